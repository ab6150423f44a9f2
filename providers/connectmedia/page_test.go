package connectmedia

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
)

// prose has each line of the vendor's page that is not a row, sample or address. It maps the line to the name
// of the code that implements the line.
var prose = map[string]string{
	`The action to perform:`: "the table of actions",
	`ConectMedia`:            "DefaultSender",
	`) is limited to a maximum of 11 characters. Note the spelling with a single 'n' in "ConectMedia".`: "MaxSender",
	`The API returns responses in JSON format with two indexes: code`:                                   "parseReply",
	`and message`: "parseReply",
	`.`:           "parseReply",
	`Example of a successful response when sending a message:`:                                                 "the sample below",
	`Example of a successful response when checking your balance:`:                                             "the sample below",
	`Example of a successful response when retrieving message history:`:                                        "the sample below",
	`Example of a successful response when retrieving inbox messages:`:                                         "the sample below",
	`Note: 201 is the response code indicating the message was sent successfully.`:                             "codeSent",
	`Note: 200 is the response code and 1 is the balance of the account.`:                                      "codeBalance",
	`Note: 202 is the response code and indexes 0 to n show an array of messages with their details.`:          "codeHistory",
	`Note: 302 is the response code and indexes 0 to n show an array of received messages with their details.`: "codeInbox",
	`'message' => urlencode($message)`:                                                                         "preEncode; PHP sends a multipart form here, which is not offered",
	`formData.append('message', encodeURIComponent('Hello from Connect Media!'));`:                             "preEncode; a FormData is a multipart form, which is not offered",
	`'message': 'Hello from Connect Media!'`:                                                                   "Config.PlainMessage",
}

// notOnThePage has each code of the package that is not on the vendor's page. The value is the
// source of the code.
var notOnThePage = map[string]string{"104": "public code", "105": "public code", "500": "the vendor's own clients"}

// page is the parsed testdata/page.txt.
type page struct {
	tables  map[string][][]string // tables has the rows of each table. The key is the name of the table's first column.
	samples []string
	urls    []string
}

// readPage parses the vendor's page and fails for a line that it does not recognise.
func readPage(t *testing.T) page {
	t.Helper()
	raw, err := os.ReadFile("testdata/page.txt")
	if err != nil {
		t.Fatal(err)
	}
	p := page{tables: map[string][][]string{}}
	table, columns, row := "", 0, ""
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		switch {
		case slices.Contains([]string{"Action | Description | Endpoint |", "Parameter | Description | Required |", "Code | Description |"}, line):
			table, _, _ = strings.Cut(line, " ")
			columns = strings.Count(line, "|")
		case columns > 0 && line == strings.Repeat("---|", columns):
		case row == "" && prose[line] != "":
			columns = 0
		case row == "" && strings.HasPrefix(line, "{"):
			p.samples = append(p.samples, line)
		case row == "" && strings.HasPrefix(line, `$url = "`):
			address, _, _ := strings.Cut(strings.TrimPrefix(line, `$url = "`), `"`)
			p.urls = append(p.urls, address)
		case columns > 0 && (strings.Contains(line, " |") || row != "" && prose[line] != ""):
			if row += line + " "; strings.Count(row, "|") < columns {
				continue
			}
			cells := strings.Split(row, "|")[:columns]
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			p.tables[table] = append(p.tables[table], cells)
			row = ""
		default:
			t.Errorf("the test does not recognise the line %q", line)
		}
	}
	if row != "" {
		t.Errorf("the vendor's page ends within the row %q", row)
	}
	for line := range prose {
		if !strings.Contains(string(raw), "\n"+line+"\n") {
			t.Errorf("the line %q of the test is not on the vendor's page", line)
		}
	}
	return p
}

// The function "names" returns the first cell of each row, sorted.
func names(rows [][]string) (names []string) {
	for _, row := range rows {
		names = append(names, row[0])
	}
	return slices.Sorted(slices.Values(names))
}

func TestVendorPage_EveryActionAtItsEndpoint(t *testing.T) {
	t.Parallel()
	do := map[string]func(*Provider, context.Context) error{
		"send":    func(p *Provider, ctx context.Context) error { _, err := p.Send(ctx, batch(one)); return err },
		"balance": func(p *Provider, ctx context.Context) error { _, err := p.Balance(ctx); return err },
		"history": func(p *Provider, ctx context.Context) error {
			_, err := p.Report(ctx, "history", time.Time{}, time.Time{})
			return err
		},
		"inbox": func(p *Provider, ctx context.Context) error { _, err := p.Inbox(ctx, ""); return err },
	}
	read := readPage(t)
	if diff := cmp.Diff(names(read.tables["Action"]), slices.Sorted(maps.Keys(do))); diff != "" {
		t.Errorf("actions (-vendor's page +package):\n%s", diff)
	}
	for i, row := range read.tables["Action"] {
		p, seen := answering(t, 200, read.samples[i])
		if err := do[row[0]](p, t.Context()); err != nil {
			t.Errorf("%s: the reply on the vendor's page: got the error %v, want none", row[0], err)
		}
		if got := <-seen; got.form.Get("action") != row[0] || got.uri != "/prefix/user-board/?"+row[2] {
			t.Errorf("%s: got the action %s at %s, want those of the vendor's page", row[0], got.form.Get("action"), got.uri)
		}
	}
	want := []string{"http://www.connectmedia.co.ke" + path, "http://www.connectmedia.co.ke" + inboxPath}
	if !slices.Equal(read.urls, want) || "https"+strings.TrimPrefix(want[0], "http") != DefaultBaseURL+path {
		t.Errorf("got the addresses %q on the vendor's page, want those of the package", read.urls)
	}
}

func TestVendorPage_EveryParameterIsSent(t *testing.T) {
	t.Parallel()
	rows := readPage(t).tables["Parameter"]
	var always [][]string
	for _, row := range rows {
		switch row[2] {
		case "Yes":
			always = append(always, row)
		case "No", "Yes (for send action)":
		default:
			t.Errorf("the parameter %q: got %q for required, want No or Yes", row[0], row[2])
		}
		if row[0] == "sender" && !strings.Contains(row[1], "Use "+DefaultSender+" as default") {
			t.Errorf("the sender on the vendor's page: got %s, want the package's default sender in it", row[1])
		}
		if row[0] == "action" && !strings.Contains(row[1], "send - ") {
			t.Errorf("the action on the vendor's page: got %s, want \"send - \" in it", row[1])
		}
	}
	login := loginForm("u", "p")
	for _, tc := range []struct {
		want [][]string
		form []byte
	}{{rows, sendForm(login, batch(one), false)}, {always, askForm(login, "balance")}} {
		form, err := url.ParseQuery(string(tc.form))
		if diff := cmp.Diff(names(tc.want), slices.Sorted(maps.Keys(form))); diff != "" || err != nil {
			t.Errorf("got the error %v; parameters (-vendor's page +package):\n%s", err, diff)
		}
	}
	if limit := fmt.Sprintf(") is limited to a maximum of %d characters. ", MaxSender); !strings.Contains(strings.Join(slices.Collect(maps.Keys(prose)), "\n"), limit) {
		t.Errorf("the vendor's page does not contain %q", limit)
	}
}

func TestVendorPage_EveryCodeHasItsVerdict(t *testing.T) {
	t.Parallel()
	ours := slices.Concat([]string{codeSent, codeBalance, codeHistory, codeInbox, codeNoInbox, codeInvalidNumber},
		slices.Collect(maps.Keys(refusals)))
	theirs := slices.Concat(names(readPage(t).tables["Code"]), slices.Collect(maps.Keys(notOnThePage)))
	if diff := cmp.Diff(slices.Sorted(slices.Values(theirs)), slices.Sorted(slices.Values(ours))); diff != "" {
		t.Errorf("codes (-vendor's page +package):\n%s", diff)
	}
}

func TestVendorPage_SampleRepliesAreUnderstood(t *testing.T) {
	t.Parallel()
	samples := readPage(t).samples
	if len(samples) != 4 {
		t.Fatalf("got %d samples, want 4", len(samples))
	}
	if r, e := parseAnswer([]byte(samples[0])); e != nil || r == nil || *r != (providers.Result{Outcome: providers.Accepted}) {
		t.Errorf("the sample for send: got %v and the error %v, want accepted", r, e)
	}
	if amount, ok, e := parseBalance([]byte(samples[1])); e != nil || !ok || amount != 1 {
		t.Errorf("the sample for balance: got %v %v and the error %v, want 1 and true", amount, ok, e)
	}
	rows, _, _ := parseList([]byte(samples[2]), codeHistory, historyColumns)
	if diff := cmp.Diff([][]string{
		{"1", "test message 1", "2016-06-11 06:00:27", "Delivered", "OK"},
		{"2", "test message 2", "2016-06-11 15:03:49", "Delivered", "OK"},
	}, rows); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
	inbox, _, _ := parseInbox([]byte(samples[3]))
	if diff := cmp.Diff([]providers.Inbound{
		{From: "254712345678", Text: "incoming test message", At: time.Date(2016, 6, 11, 3, 0, 27, 0, time.UTC)},
		{From: "254787654321", Text: "another test message", At: time.Date(2016, 6, 11, 12, 3, 49, 0, time.UTC)},
	}, inbox); diff != "" {
		t.Errorf("inbox (-want +got):\n%s", diff)
	}
	for i, columns := range map[int][]string{2: historyColumns, 3: {fieldText, fieldAt, fieldFrom}} {
		if n := strings.Count(samples[i], `":"`); n != 2*len(columns)+1 {
			t.Errorf("sample %d: got %d fields, want one for each column in two rows, and the code", i, n)
		}
	}
}
