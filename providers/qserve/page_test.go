package qserve

import (
	"encoding/json"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// The keys of the map "prose" are the lines of text on the vendor's page. Each value names the code that implements
// the line.
var prose = map[string]string{
	"API Endpoint https://api.qserve.co.ke/version1":                                                              "DefaultBaseURL, with what all paths begin with",
	"To Send BulkSMS you need to make a POST call to the following url :":                                         "Client.Call posts",
	"To get your 254sms Credits balance, you need to make a POST call to the following url :":                     "Client.Call posts",
	"The 254sms API uses the following error codes:":                                                              "answers",
	"Unknown or unvalid secret_key . This error appears if you use an unknow API key or if your API key expired.": "answers",
	"Unvalid secret_key for this domain. This error appears if you use an API key non specified for your domain. " +
		"Developper or Universal API keys doesn't have domain checker.": "answers; there is no domain to give",
	"Unknown or unvalid user token . This error appears if you use an unknow user token or if the user token expired.": "answers",
	"QUERY PARAMETERS": "sent in the body, as in the sample on the vendor's page",
}

// The keys of the map "offers" are the features on the vendor's page. Each value is the reason why the package does
// not implement the feature. The reason is empty for an implemented feature.
var offers = map[string]string{
	"Send Bulk SMS":      "",
	"error codes":        "",
	"Delivery reports":   "named without an endpoint, and messages have no ids",
	"Disburse Airtime":   "named without an endpoint, and no message",
	"M-Pesa C2B":         "named without an endpoint, and no message",
	"Mpesa Integrations": "named without an endpoint, and no message",
}

// The keys of the map "unread" are the fields of a reply that the package ignores. The values are the reasons.
var unread = map[string]string{
	"recipientsCount": "only the rows count",
	"statusMessage":   "the outer one goes with statusCode, which decides",
}

// section is the part of the vendor's page under one heading.
type section struct {
	url    string
	sample string
	rows   []string // rows has the first cell of each row.
}

const offersPrefix = "254sms API provides access to "

// readPage parses testdata/page.txt and fails for a line that it does not recognise.
func readPage(t *testing.T) (sections map[string]*section, offered []string) {
	t.Helper()
	raw, err := os.ReadFile("testdata/page.txt")
	if err != nil {
		t.Fatal(err)
	}
	sections = map[string]*section{}
	now, columns, depth, row := new(section), 0, 0, ""
	for line := range strings.Lines(string(raw)) {
		line = strings.TrimSpace(line)
		switch {
		case depth > 0 || line == "[":
			depth += strings.Count(line, "[") + strings.Count(line, "{") - strings.Count(line, "]") - strings.Count(line, "}")
			now.sample += line + "\n"
		case slices.Contains([]string{"Send Bulk SMS", "Send Bulk SMS Response", "SMS Credits", "SMS Credits Response", "Errors"}, line):
			now, columns = new(section), 0
			sections[line] = now
		case line == "Field | Type | Description |", line == "Error Code | Meaning |":
			columns = strings.Count(line, "|")
		case strings.Trim(line, "-|") == "" && columns > 0 && row == "" && line != "|":
		case strings.HasPrefix(line, "https://"):
			now.url = line
		case strings.HasPrefix(line, offersPrefix):
			list, _ := strings.CutSuffix(strings.TrimPrefix(line, offersPrefix), "... e.t.c")
			offered = strings.Split(list, ", ")
		case row == "" && prose[line] != "":
		case columns > 0 && (strings.Contains(line, " |") || row != "" && (line == "|" || prose[line] != "")):
			if row += line; strings.Count(row, "|") == columns {
				cell, _, _ := strings.Cut(row, "|")
				now.rows, row = append(now.rows, strings.TrimSpace(cell)), ""
			}
		default:
			t.Errorf("the test does not recognise the line %q", line)
		}
	}
	if row != "" || depth != 0 {
		t.Errorf("the vendor's page ends within the row or sample %q", row)
	}
	for line := range prose {
		if !strings.Contains("\n"+string(raw), "\n"+line+"\n") {
			t.Errorf("the line %q of the test is not on the vendor's page", line)
		}
	}
	return sections, offered
}

func sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }

// fields returns the names in a JSON object.
func fields(t *testing.T, body []byte) []string {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal(body, &o); err != nil {
		t.Fatal(err)
	}
	return slices.Sorted(maps.Keys(o))
}

var bareName = regexp.MustCompile(`(?m)^(\w+):`)

// The function "real" converts a sample to JSON. The vendor's page shows samples in the form in which a browser
// displays JSON.
func real(sample string) string {
	sample = regexp.MustCompile(`//.*`).ReplaceAllString(sample, "")
	return bareName.ReplaceAllString(sample, `"$1":`)
}

func TestVendorPage_EveryParameterAndCodeIsKnown(t *testing.T) {
	t.Parallel()
	page, offered := readPage(t)
	if want := slices.Sorted(maps.Keys(offers)); !slices.Equal(sorted(offered), want) {
		t.Errorf("the vendor's page offers %q, want the features in offers: %q", offered, want)
	}
	if got := page["Send Bulk SMS"].url; got != DefaultBaseURL+sendPath {
		t.Errorf("the vendor's address for a send: got %s, want the package's", got)
	}
	if got := page["SMS Credits"].url; got != DefaultBaseURL+creditsPath {
		t.Errorf("the vendor's address for credits: got %s, want the package's", got)
	}
	l := login{"u", new(providers.Secret)}
	if diff := cmp.Diff(sorted(page["Send Bulk SMS"].rows), fields(t, sendBody(l, providers.Batch{}))); diff != "" {
		t.Errorf("parameters of a send (-vendor's page +package):\n%s", diff)
	}
	if diff := cmp.Diff(sorted(page["SMS Credits"].rows), fields(t, creditsBody(l))); diff != "" {
		t.Errorf("parameters of credits (-vendor's page +package):\n%s", diff)
	}
	if diff := cmp.Diff(sorted(page["Errors"].rows), slices.Sorted(maps.Keys(answers))); diff != "" {
		t.Errorf("error codes (-vendor's page +package):\n%s", diff)
	}
}

// rowsOf returns the rows of recipients in a reply.
func rowsOf(t *testing.T, reply []byte) []map[string]any {
	t.Helper()
	var list []struct {
		Rows []map[string]any `json:"messageDetails"`
	}
	if err := json.Unmarshal(reply, &list); err != nil || len(list) != 1 {
		t.Fatal(err)
	}
	return list[0].Rows
}

func TestVendorPage_EveryReplyFieldIsReadOrIgnored(t *testing.T) {
	t.Parallel()
	page, _ := readPage(t)
	to := []sms.MSISDN{25472256565, 254722998999}
	read := map[string]func(body []byte) any{
		"Send Bulk SMS Response": func(body []byte) any { r, _ := parseAnswer(body, to); return r },
		"SMS Credits Response":   func(body []byte) any { b, _ := parseCredits(body); return b },
	}
	want := map[string]any{
		"Send Bulk SMS Response": []providers.Result{
			{Outcome: providers.Accepted, Balance: &providers.Balance{Amount: 8823}}, {Outcome: providers.Accepted},
		},
		"SMS Credits Response": &providers.Balance{Amount: 345},
	}
	for name, parse := range read {
		whole := []byte(real(page[name].sample))
		if diff := cmp.Diff(want[name], parse(whole)); diff != "" {
			t.Errorf("%s: its own sample (-want +got):\n%s", name, diff)
		}
		for _, field := range page[name].rows {
			var sample []map[string]any
			if err := json.Unmarshal(whole, &sample); err != nil {
				t.Fatal(err)
			}
			if _, there := sample[0][field]; !there {
				t.Errorf("%s: the vendor's table has the field %s, but the sample does not", name, field)
			}
			delete(sample[0], field)
			less, err := json.Marshal(sample)
			if err != nil {
				t.Fatal(err)
			}
			if same := cmp.Equal(parse(whole), parse(less)); same != (unread[field] != "") {
				t.Errorf("%s: a reply without the field %s: got the same result: %v, want true exactly for the fields in unread", name, field, same)
			}
		}
		for _, row := range rowsOf(t, whole) {
			if diff := cmp.Diff([]string{"message", "recipient", "statusCode", "statusMessage"}, slices.Sorted(maps.Keys(row))); diff != "" {
				t.Errorf("%s: fields of a row (-package +vendor's page):\n%s", name, diff)
			}
		}
		if len(page[name].rows) != len(fields(t, []byte(strings.Trim(strings.TrimSpace(real(page[name].sample)), "[]")))) {
			t.Errorf("%s: the vendor's table and sample have different numbers of fields, want the same", name)
		}
	}
}
