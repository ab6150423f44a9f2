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

	"github.com/tuma-sms/tuma/internal/redistest"
	"github.com/tuma-sms/tuma/internal/sandbox"
	"github.com/tuma-sms/tuma/producer"
)

// counted is the part of a forecast that does not depend on the time.
type counts struct {
	Total, Sent, Skipped, Calls, Segments, Each int
	Reasons, Invalid                            map[string]int
	Encoding, Cost, Country                     string
}

func countsOf(t *testing.T, out string) (counts, producer.Forecast) {
	t.Helper()
	var f producer.Forecast
	if err := json.Unmarshal([]byte(out), &f); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := counts{Total: f.Total, Sent: f.Sent, Skipped: f.Skipped, Calls: -1, Segments: f.Segments, Each: f.SegmentsEach, Reasons: f.Reasons, Invalid: f.Invalid,
		Encoding: f.Encoding, Cost: f.Cost, Country: f.Country}
	if f.Calls != nil {
		c.Calls = *f.Calls
	}
	return c, f
}

func TestDryRunCountsAndEnqueuesNothing(t *testing.T) {
	t.Parallel()
	h := newHouse(t, sandbox.Options{Credit: 250})
	file := h.file("customers.csv", mixed)
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
	out, _ := h.must(send...)
	f := check(out)
	if len(f.Accounts) != 1 || f.Accounts[0].Balance != "250" || f.Accounts[0].BalanceAt == nil {
		t.Errorf("without a worker the gateway is asked for the balance: %+v", f.Accounts)
	}
	if len(f.Samples) != 4 || f.Samples[0].Row != 1 || f.Samples[0].MSISDN != "254712345678" || len(f.Samples[0].Body) != 161 || f.Samples[0].Account != "kobo-main" {
		t.Errorf("samples %+v", f.Samples)
	}
	want.Sent, want.Skipped, want.Segments, want.Cost, want.Reasons["over_cap"] = 3, 4, 6, "4.80 KES", 1
	out, _ = h.must(append(send, "--max-messages", "3")...)
	check(out)
	out, _ = h.must(append(send, "--max-segments", "7")...) // of two a message
	check(out)
	out, errOut := h.must(send[:len(send)-1]...)
	if !strings.Contains(out, "left out") || !strings.Contains(errOut, "nothing was enqueued") || !strings.Contains(out, "row 1, 2547****5678, 2 segments:") {
		t.Errorf("%s%s", out, errOut)
	}
	if all := h.campaigns(); len(all) != 0 {
		t.Errorf("something was enqueued: %+v", all)
	}
	// Redis is not needed for it.
	h.redis.Kill()
	out, _ = h.must(append(slices.Clone(send), "--max-messages", "3")...)
	check(out)
	want.Calls, want.Cost = -1, ""
	out, _ = h.must(append(slices.Clone(send), "--via", "elsewhere", "--max-messages", "3")...)
	if f := check(out); len(f.Unknown) == 0 || !strings.Contains(f.Unknown[0], "account elsewhere") {
		t.Errorf("what it could not know: %q", f.Unknown)
	}
	// An account whose secret is missing has limits all the same.
	want.Calls = 1
	out, _ = h.must(append(slices.Clone(send), "--via", "other", "--from", "ACME", "--max-messages", "3")...)
	check(out)
}

func TestDryRunRefusesWhatWouldBeRefused(t *testing.T) {
	t.Parallel()
	h := newHouse(t, sandbox.Options{})
	for want, args := range map[string][]string{
		"--body: must not be empty": {"--body", " "},
		"--body: it has 906 characters, account kobo-main takes 905": {"--body", strings.Repeat("x", 906)},
		"--from: sender": {"--body", "x", "--from", "ACME-AND-SONS"},
		"--start-at: 2020-01-01T00:00:00Z is in the past": {"--body", "x", "--start-at", "2020-01-01T00:00:00Z"},
		"standard input:2: the field name is blank":       {"--body", "Hi {{name}}"},
		"but the header has no column of that name":           {"--body", "Hi {{town}}"},
		"standard input:2: ":                              {"--body", "x"},
	} {
		in := "0712345678\n"
		switch {
		case strings.HasSuffix(want, "2: "):
			in = "phone,x\n0712345678,1,2\n"
		case strings.Contains(args[1], "{{"):
			in = "phone,name\n0712345678,\n"
		}
		out, errOut, exit := h.feed(in, append([]string{"send", "--via", "kobo-main", "--dry-run"}, args...)...)
		if exit != exitMisuse || out != "" || !strings.Contains(errOut, want) {
			t.Errorf("exit %d, %s%s, want %s", exit, out, errOut, want)
		}
	}
}

func TestRejectsAreAFileOfItsOwn(t *testing.T) {
	t.Parallel()
	h := newHouse(t, sandbox.Options{})
	file := h.file("customers.csv", "name,phone\n\n"+strings.TrimPrefix(mixed, "name,phone\n"))
	rejects := filepath.Join(h.dir, "left-out.csv")
	send := []string{"send", "--via", "kobo-main", "--body", "Hello", "--file", file, "--dry-run", "--rejects", rejects}
	_, errOut := h.must(send...)
	if !strings.Contains(errOut, "the 3 recipients left out are in "+rejects) {
		t.Errorf("got %s", errOut)
	}
	got, err := os.ReadFile(rejects)
	if err != nil {
		t.Fatal(err)
	}
	want := "row,input,reason,code,line\n3,254712345678,duplicate,,5\n4,n/a,invalid_number,not_a_number,6\n6,'=1+1,invalid_number,not_a_number,8\n"
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
	if _, errOut, exit := h.run(send...); exit != exitMisuse || !strings.Contains(errOut, "--rejects: there is a file") {
		t.Errorf("again: exit %d, %s", exit, errOut)
	}
	// What fails leaves nothing behind.
	broken := h.file("broken.csv", "phone,x\nn/a,1\n0712345679,1,2\n")
	other := filepath.Join(h.dir, "other.csv")
	if _, _, exit := h.run("send", "--via", "kobo-main", "--body", "x", "--file", broken, "--dry-run", "--rejects", other); exit != exitMisuse {
		t.Errorf("exit %d", exit)
	}
	names, err := filepath.Glob(filepath.Join(h.dir, "*"))
	if hidden, _ := filepath.Glob(filepath.Join(h.dir, ".tuma*")); err != nil || len(hidden) > 0 || slices.Contains(names, other) {
		t.Errorf("%v, %q, %q", err, names, hidden)
	}
	if _, errOut, exit := h.feed("0712345678", "send", "--body", "x", "--rejects", other); exit != exitMisuse || !strings.Contains(errOut, "--rejects goes with --dry-run") {
		t.Errorf("exit %d, %s", exit, errOut)
	}
}

// TestDryRunIsWhatSendingComesTo holds a preview against the same campaign, really sent.
func TestDryRunIsWhatSendingComesTo(t *testing.T) {
	t.Parallel()
	gateway := sandbox.New(sandbox.Options{})
	server := httptest.NewServer(gateway)
	t.Cleanup(func() { gateway.Close(); server.Close() })
	c := newCLI(t, `
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
	list := c.file("list.csv", dirtyList(3200))
	plan := func(t *testing.T, args []string) (counts, producer.Forecast) {
		t.Helper()
		out, _ := c.must(append(args, "--dry-run", "--json")...)
		return countsOf(t, out)
	}
	campaigns := map[string][]string{
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
	id := func(name string) string { return strings.NewReplacer(" ", "-", ",", "").Replace(name) }
	before := map[string]counts{}
	for name, args := range campaigns {
		// Before any worker has been there, by the configuration alone.
		before[name], _ = plan(t, append([]string{"send", "--file", list}, args...))
	}
	c.start("worker")
	eventually(t, "the worker to publish its accounts", func() bool {
		out, _, _ := c.run("accounts", "--json")
		return strings.Count(out, `"workers": 1`) == 3
	})
	for name, args := range campaigns {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"send", "--file", list, "--id", id(name)}, args...)
			want, f := plan(t, args)
			if diff := cmp.Diff(before[name], want); diff != "" {
				t.Errorf("with a worker and without: %s", diff)
			}
			if out, errOut, exit := c.run(append(args, "--wait")...); exit != exitNotAll {
				t.Fatalf("exit %d, %s%s", exit, out, errOut)
			}
			out, _ := c.must("status", id(name), "--json")
			var st producer.Status
			if err := json.Unmarshal([]byte(out), &st); err != nil {
				t.Fatal(err)
			}
			got := counts{Total: st.Total, Sent: st.Accepted, Skipped: st.Skipped, Calls: st.Calls, Segments: st.Segments, Reasons: st.Reasons,
				Invalid: map[string]int{}, Each: want.Each, Encoding: want.Encoding, Cost: want.Cost, Country: want.Country}
			out, _ = c.must("results", id(name), "--format", "jsonl")
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
				t.Errorf("%d are accepted by the results, %d by the status", accepted, st.Accepted)
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
					t.Errorf("through %s: %d, foreseen were %d", a.Account, byAccount[a.Account], a.Recipients)
				}
			}
		})
	}
}

// dirtyList has so many rows: good numbers of two countries, some of a third, repeated ones
// and such as are none; with names that many have, that one has, and blank ones.
func dirtyList(rows int) string {
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

func TestDryRunLeavesOutWhoHasOptedOut(t *testing.T) {
	t.Parallel()
	h := newHouse(t, sandbox.Options{})
	file := h.file("customers.csv", mixed)
	h.must("optout", "add", "254712345679")
	h.must("optout", "add", "254712345680", "--sender", "ACME") // the account's sender
	h.must("optout", "add", "254712345681", "--sender", "OTHER")
	out, _ := h.must("send", "--via", "kobo-main", "--body", "Hello", "--file", file, "--dry-run", "--json")
	c, f := countsOf(t, out)
	if diff := cmp.Diff(map[string]int{"duplicate": 1, "invalid_number": 2, "opted_out": 2}, c.Reasons); diff != "" || c.Sent != 2 {
		t.Error(diff)
	}
	if len(f.Unknown) != 0 {
		t.Errorf("it knows not: %q", f.Unknown)
	}
	h.redis.Kill()
	out, _ = h.must("send", "--via", "kobo-main", "--body", "Hello", "--file", file, "--dry-run", "--json")
	if c, f := countsOf(t, out); c.Sent != 4 || len(f.Unknown) != 1 || !strings.Contains(f.Unknown[0], "opted out") {
		t.Errorf("without Redis: %+v, %q", c, f.Unknown)
	}
}
