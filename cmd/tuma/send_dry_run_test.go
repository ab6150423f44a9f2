package main

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// counts is the part of a forecast that does not depend on the time.
type counts struct {
	Total, Sent, Skipped, Calls, Segments, Each int
	Reasons, Invalid                            map[string]int
	Encoding, Cost, Country                     string
}

func countsOf(t *testing.T, out string) (counts, producer.Forecast) {
	t.Helper()
	var f producer.Forecast
	if err := json.Unmarshal([]byte(out), &f); err != nil {
		t.Fatalf("the output is not the JSON of a forecast: %v\n%s", err, out)
	}
	c := counts{Total: f.Total, Sent: f.Sent, Skipped: f.Skipped, Calls: -1, Segments: f.Segments, Each: f.SegmentsEach, Reasons: f.Reasons, Invalid: f.Invalid,
		Encoding: f.Encoding, Cost: f.Cost, Country: f.Country}
	if f.Calls != nil {
		c.Calls = *f.Calls
	}
	return c, f
}

func TestDryRun_CountsAndEnqueuesNothing(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{Credit: 250})
	file := h.file("customers.csv", mixedList)
	send := []string{"send", "--via", "kobo-main", "--body", strings.Repeat("x", 161), "--file", file, "--dry-run", "--json"}
	want := counts{
		Total: 7, Sent: 4, Skipped: 3, Reasons: map[string]int{"duplicate": 1, "invalid_number": 2}, Invalid: map[string]int{"not_a_number": 2},
		Calls: 1, Each: 2, Encoding: "GSM-7", Segments: 8, Cost: "6.40 KES", Country: "KE",
	}
	check := func(out string) producer.Forecast {
		t.Helper()
		got, f := countsOf(t, out)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		return f
	}
	out, _ := h.mustRun(send...)
	f := check(out)
	if len(f.Accounts) != 1 || f.Accounts[0].Balance != "250" || f.Accounts[0].BalanceAt == nil {
		t.Errorf("without a worker: got accounts %+v, want the balance 250 of the gateway", f.Accounts)
	}
	if len(f.Samples) != 4 || f.Samples[0].Row != 1 || f.Samples[0].MSISDN != "254712345678" || len(f.Samples[0].Body) != 161 || f.Samples[0].Account != "kobo-main" {
		t.Errorf("got samples %+v, want 4, the first one of row 1 with the whole text", f.Samples)
	}
	want.Sent, want.Skipped, want.Segments, want.Cost, want.Reasons["over_cap"] = 3, 4, 6, "4.80 KES", 1
	out, _ = h.mustRun(append(send, "--max-messages", "3")...)
	check(out)
	out, _ = h.mustRun(append(send, "--max-segments", "7")...) // two segments a message
	check(out)
	out, errOut := h.mustRun(send[:len(send)-1]...)
	if !strings.Contains(out, "skipped") || !strings.Contains(errOut, "nothing was enqueued") || !strings.Contains(out, "line 2, 2547****5678, 2 segments:") {
		t.Errorf("dry run as text: got output %s%s, want the skipped recipients, a sample of row 1 and that nothing was enqueued", out, errOut)
	}
	if all := h.campaigns(); len(all) != 0 {
		t.Errorf("got campaigns %+v, want none", all)
	}
	// A dry run works without Redis.
	h.redis.Kill()
	out, _ = h.mustRun(append(slices.Clone(send), "--max-messages", "3")...)
	check(out)
	want.Calls, want.Cost = -1, ""
	out, _ = h.mustRun(append(slices.Clone(send), "--via", "elsewhere", "--max-messages", "3")...)
	if f := check(out); len(f.Unknown) == 0 || !strings.Contains(f.Unknown[0], "account elsewhere") {
		t.Errorf("unknown facts: got %q, want one about account elsewhere", f.Unknown)
	}
	// A dry run uses the limits of an account, even of an account without a secret.
	want.Calls = 1
	out, _ = h.mustRun(append(slices.Clone(send), "--via", "other", "--from", "ACME", "--max-messages", "3")...)
	check(out)
}

func TestDryRun_RefusesWhatSendRefuses(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	for want, args := range map[string][]string{
		"--body: must not be empty":                                         {"--body", " "},
		"--body: the body has 906 characters; account kobo-main allows 905": {"--body", strings.Repeat("x", 906)},
		"--from: sender": {"--body", "x", "--from", "ACME-AND-SONS"},
		"--start-at: 2020-01-01T00:00:00Z is in the past": {"--body", "x", "--start-at", "2020-01-01T00:00:00Z"},
		"standard input:2: field name is blank":           {"--body", "Hi {{name}}"},
		"but the header has no column of that name":       {"--body", "Hi {{town}}"},
		"standard input:2: ":                              {"--body", "x"},
	} {
		in := "0712345678\n"
		switch {
		case strings.HasSuffix(want, "2: "):
			in = "phone,x\n0712345678,1,2\n"
		case strings.Contains(args[1], "{{"):
			in = "phone,name\n0712345678,\n"
		}
		out, errOut, exit := h.runWithInput(in, append([]string{"send", "--via", "kobo-main", "--dry-run"}, args...)...)
		if exit != exitMisuse || out != "" || !strings.Contains(errOut, want) {
			t.Errorf("tuma send %v: got exit %d and output %s%s, want exit 2 and %s", args, exit, out, errOut, want)
		}
	}
}

func TestDryRun_SkippedFileListsSkippedRecipients(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	file := h.file("customers.csv", "name,phone\n\n"+strings.TrimPrefix(mixedList, "name,phone\n"))
	skipped := filepath.Join(h.dir, "skipped.csv")
	send := []string{"send", "--via", "kobo-main", "--body", "Hello", "--file", file, "--dry-run", "--skipped-file", skipped}
	_, errOut := h.mustRun(send...)
	if !strings.Contains(errOut, "3 recipients skipped: listed in "+skipped) || strings.Contains(errOut, "deprecated") {
		t.Errorf("got standard error %s, want a note on 3 skipped recipients and no deprecation", errOut)
	}
	got, err := os.ReadFile(skipped)
	if err != nil {
		t.Fatal(err)
	}
	want := "row,input,reason,code,line\n3,254712345678,duplicate,,5\n4,n/a,invalid_number,not_a_number,6\n6,'=1+1,invalid_number,not_a_number,8\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if _, errOut, exit := h.run(send...); exit != exitMisuse || !strings.Contains(errOut, "--skipped-file: "+skipped+" already exists") {
		t.Errorf("with a skipped file that exists: got exit %d and standard error %s, want exit 2 and \"already exists\"", exit, errOut)
	}
	// A dry run that fails leaves no file of skipped recipients.
	broken := h.file("broken.csv", "phone,x\nn/a,1\n0712345679,1,2\n")
	other := filepath.Join(h.dir, "other.csv")
	if _, _, exit := h.run("send", "--via", "kobo-main", "--body", "x", "--file", broken, "--dry-run", "--skipped-file", other); exit != exitMisuse {
		t.Errorf("dry run of a broken list: got exit %d, want 2", exit)
	}
	names, err := filepath.Glob(filepath.Join(h.dir, "*"))
	if hidden, _ := filepath.Glob(filepath.Join(h.dir, ".tuma*")); err != nil || len(hidden) > 0 || slices.Contains(names, other) {
		t.Errorf("glob: error %v, files %q, hidden files %q; want no skipped file", err, names, hidden)
	}
	if _, errOut, exit := h.runWithInput("0712345678", "send", "--body", "x", "--skipped-file", other); exit != exitMisuse || !strings.Contains(errOut, "--skipped-file requires --dry-run") {
		t.Errorf("got exit %d and standard error %s, want exit 2 and \"--skipped-file requires --dry-run\"", exit, errOut)
	}
}

// TestDryRun_RejectsIsTheDeprecatedNameOfSkippedFile checks the old flag --rejects.
func TestDryRun_RejectsIsTheDeprecatedNameOfSkippedFile(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	old, other := filepath.Join(h.dir, "old.csv"), filepath.Join(h.dir, "other.csv")
	send := []string{"send", "--via", "kobo-main", "--body", "Hello", "--file", h.file("customers.csv", mixedList), "--dry-run", "--json", "--rejects", old}
	if _, errOut, exit := h.run(append(send, "--skipped-file", other)...); exit != exitMisuse || !strings.Contains(errOut, "the two flags name different files: use only --skipped-file") {
		t.Errorf("--rejects and --skipped-file with different files: got exit %d and standard error %s, want exit 2 and advice", exit, errOut)
	}
	out, errOut := h.mustRun(append(send, "--skipped-file", old)...)
	if _, f := countsOf(t, out); f.Skipped != 3 || !strings.Contains(errOut, "tuma: warning: --rejects is deprecated: use --skipped-file\n") {
		t.Errorf("--rejects and --skipped-file with the same file: got %d skipped and standard error %s, want 3 and a warning that --rejects is deprecated", f.Skipped, errOut)
	}
	if got, err := os.ReadFile(old); err != nil || strings.Count(string(got), "\n") != 4 {
		t.Errorf("--rejects wrote %q, error %v; want a header and 3 rows", got, err)
	}
	if help, _ := h.mustRun("help", "send"); strings.Contains(help, "  --rejects") || !strings.Contains(help, "--skipped-file file") {
		t.Errorf("tuma help send must show --skipped-file and not --rejects:\n%s", help)
	}
	if out, _ := h.mustRun("__complete", "send", "--re"); strings.Contains(out, "--rejects") {
		t.Errorf("completion of --re offers the deprecated flag --rejects:\n%s", out)
	}
}

// dryRunCampaigns are the arguments of tuma send for the campaigns of TestDryRun_EqualsTheSentCampaign.
var dryRunCampaigns = map[string][]string{
	"one account":     {"--via", "kobo-main", "--body", "Hello"},
	"routes":          {"--body", strings.Repeat("Hello ", 30)},
	"capped":          {"--body", "Habari", "--max-messages", "1234"},
	"capped segments": {"--body", strings.Repeat("é", 100) + "ŝ", "--max-segments", "2001"},
	"national":        {"--via", "at", "--body", "Hello", "--country", "NG", "--class", "transactional"},
	"canary":          {"--via", "small", "--body", "Hello", "--canary", "25"},
	"own text":        {"--body", "Hi {{name|you}}, we open at 9.", "--via", "kobo-main"},
	"own texts":       {"--body", strings.Repeat("Hi {{name}}, ", 13) + "{{ town }}!", "--on-missing", "skip"},
	"own, capped":     {"--body", "Hi {{name}}, " + strings.Repeat("Hello ", 24), "--on-missing", "default", "--max-segments", "1700"},
	"own, plain":      {"--via", "at", "--body", "“{{name|you}}” – {{town}}", "--on-missing", "default", "--transliterate", "--country", "NG"},
}

// newDryRunCLI returns a command line with three accounts at simulated gateways.
func newDryRunCLI(t *testing.T) *cli {
	t.Helper()
	gateway := catalog.Simulate(simulator.Options{})
	server := httptest.NewServer(gateway)
	t.Cleanup(func() { gateway.Close(); server.Close() })
	return newCLI(t, `
redis: {url: "`+redistest.Start(t, redistest.WithAOF("no")).URL()+`"}
accounts:
  kobo-main: {provider: kobo, base_url: "`+server.URL+`/kobo", user: demo, pass: demo, sender: ACME, price: 0.80 KES}
  small: {provider: kobo, base_url: "`+server.URL+`/kobo", user: demo, pass: demo, sender: ACME, max_recipients: 7, rate: 100000/s, unit: segments}
  at: {provider: africastalking, base_url: "`+server.URL+`/africastalking", username: demo, api_key: demo, sender: ACME, rate: 60000/m, unit: requests}
routes:
  - {match: "25471", via: [small]}
  - {match: "254", via: [kobo-main, at]}
  - {match: "234", via: [at]}
default_country: KE
windows: {KE: "00:00-24:00", NG: "00:00-24:00"}
`)
}

// TestDryRun_EqualsTheSentCampaign makes a dry run of each campaign and then sends it. The forecast must
// equal the counts of the sent campaign.
func TestDryRun_EqualsTheSentCampaign(t *testing.T) {
	t.Parallel()
	c := newDryRunCLI(t)
	list := c.file("list.csv", makeDirtyList(3200))
	plan := func(t *testing.T, args []string) (counts, producer.Forecast) {
		t.Helper()
		out, _ := c.mustRun(append(args, "--dry-run", "--json")...)
		return countsOf(t, out)
	}
	id := func(name string) string { return strings.NewReplacer(" ", "-", ",", "").Replace(name) }
	before := map[string]counts{}
	for name, args := range dryRunCampaigns {
		// No worker has run so far, so this dry run uses the accounts of the configuration.
		before[name], _ = plan(t, append([]string{"send", "--file", list}, args...))
	}
	c.start("worker")
	eventually(t, "the worker to publish its accounts", func() bool {
		out, _, _ := c.run("accounts", "--json")
		return strings.Count(out, `"workers": 1`) == 3
	})
	for name, args := range dryRunCampaigns {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"send", "--file", list, "--id", id(name)}, args...)
			want, f := plan(t, args)
			if diff := cmp.Diff(before[name], want); diff != "" {
				t.Errorf("forecast differs with and without a worker (-without +with): %s", diff)
			}
			if out, errOut, exit := c.run(append(args, "--wait")...); exit != exitNotAll {
				t.Fatalf("got exit %d and output %s%s, want exit 3", exit, out, errOut)
			}
			c.checkForecast(t, id(name), want, f)
		})
	}
}

// checkForecast fails the test if the forecast of a campaign differs from its status and results.
func (c *cli) checkForecast(t *testing.T, id string, want counts, f producer.Forecast) {
	t.Helper()
	out, _ := c.mustRun("status", id, "--json")
	var st producer.Status
	if err := json.Unmarshal([]byte(out), &st); err != nil {
		t.Fatal(err)
	}
	got := counts{Total: st.Total, Sent: st.Accepted, Skipped: st.Skipped, Calls: st.Calls, Segments: st.Segments, Reasons: st.Reasons,
		Invalid: map[string]int{}, Each: want.Each, Encoding: want.Encoding, Cost: want.Cost, Country: want.Country}
	out, _ = c.mustRun("results", id, "--format", "jsonl")
	accepted := 0
	for line := range strings.Lines(out) {
		var r producer.Result
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Reason == "invalid_number" {
			got.Invalid[r.Code]++
		}
		if r.Status == "accepted" {
			accepted++
		}
	}
	if accepted != st.Accepted {
		t.Errorf("results have %d accepted, status has %d", accepted, st.Accepted)
	}
	if diff := cmp.Diff(want, got); diff != "" || want.Sent == 0 {
		t.Error(diff)
	}
	byAccount := map[string]int{}
	for _, a := range st.ByAccount {
		byAccount[a.Account] = a.Total
	}
	for _, a := range f.Accounts {
		if byAccount[a.Account] != a.Recipients {
			t.Errorf("account %s: got %d recipients, the forecast was %d, want equal numbers", a.Account, byAccount[a.Account], a.Recipients)
		}
	}
}

// makeDirtyList returns a CSV with the given number of rows: valid numbers of three countries,
// duplicates and invalid numbers, with common, unique and blank names.
func makeDirtyList(rows int) string {
	var b strings.Builder
	b.WriteString("name,phone,town\n")
	for i := range rows {
		name := []string{"Ann", "Bola", "Çelik", "", fmt.Sprint("Gus", i), "Ngũgĩ", strings.Repeat("x", i%50)}[i%7]
		number := fmt.Sprintf("0722%06d", i)
		switch i % 16 {
		case 1, 9:
			number = fmt.Sprintf("0712%06d", i)
		case 2:
			number = fmt.Sprintf("+234 803 %07d", i)
		case 3:
			number = fmt.Sprintf("+44 7911 %06d", i)
		case 4:
			number = fmt.Sprintf("+254722%06d", i-4)
		case 5:
			number = "n/a"
		case 6:
			number = "0712"
		}
		fmt.Fprintf(&b, "%s,%s,%s\n", name, number, []string{"Nairobi", "Aba", ""}[i%3])
	}
	return b.String()
}

func TestDryRun_OptOutsAreSkipped(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	file := h.file("customers.csv", mixedList)
	h.mustRun("optout", "add", "254712345679")
	h.mustRun("optout", "add", "254712345680", "--sender", "ACME") // the account's sender
	h.mustRun("optout", "add", "254712345681", "--sender", "OTHER")
	out, _ := h.mustRun("send", "--via", "kobo-main", "--body", "Hello", "--file", file, "--dry-run", "--json")
	c, f := countsOf(t, out)
	if diff := cmp.Diff(map[string]int{"duplicate": 1, "invalid_number": 2, "opted_out": 2}, c.Reasons); diff != "" || c.Sent != 2 {
		t.Error(diff)
	}
	if len(f.Unknown) != 0 {
		t.Errorf("unknown facts: got %q, want none", f.Unknown)
	}
	h.redis.Kill()
	out, _ = h.mustRun("send", "--via", "kobo-main", "--body", "Hello", "--file", file, "--dry-run", "--json")
	if c, f := countsOf(t, out); c.Sent != 4 || len(f.Unknown) != 1 || !strings.Contains(f.Unknown[0], "opted out") {
		t.Errorf("without Redis: got counts %+v and unknown facts %q, want 4 to send and one unknown fact about opt-outs", c, f.Unknown)
	}
}
