package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/sandbox"
	"github.com/tuma-sms/tuma/producer"
)

func TestReportOfACampaign(t *testing.T) {
	t.Parallel()
	h := newFixture(t, sandbox.Options{})
	h.gateway.KoboInvalid("error_number", 254712345679)
	h.startWorker()
	file := h.file("customers.csv", mixedList)
	h.run("send", "--id", "sale", "--via", "kobo-main", "--body", strings.Repeat("x", 161), "--file", file, "--wait")
	out, _ := h.mustRun("report", "sale", "--json")
	var r report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("got error %v and output\n%s", err, out)
	}
	if diff := cmp.Diff(map[string]int{"accepted": 3, "rejected": 1, "skipped": 3}, r.Statuses); diff != "" {
		t.Error(diff)
	}
	if r.ID != "sale" || r.State != producer.Done || r.Recipients != 7 || r.Calls == 0 || r.Segments != 6 || r.Finished == nil || r.Began == nil {
		t.Errorf("got report %+v, want the finished campaign sale with 7 recipients and 6 segments", r)
	}
	reasons := map[string]int{}
	for _, x := range r.Reasons {
		reasons[x.Status+" "+x.Reason] = x.Recipients
	}
	if reasons["skipped invalid_number"] != 2 || reasons["skipped duplicate"] != 1 {
		t.Errorf("got reasons %+v", r.Reasons)
	}
	if r.Codes[0] != (codeCount{Code: "not_a_number", Status: "skipped", Recipients: 2}) ||
		!slices.Contains(r.Codes, codeCount{Code: "error_number", Status: "rejected", Account: "kobo-main", Recipients: 1}) {
		t.Errorf("got codes %+v", r.Codes)
	}
	if len(r.Accounts) != 1 || r.Accounts[0].Recipients != 4 || r.Accounts[0].Statuses["rejected"] != 1 || len(r.Countries) != 1 || r.Countries[0].Name != "KE" ||
		r.Countries[0].Recipients != 5 {
		t.Errorf("got accounts %+v and countries %+v", r.Accounts, r.Countries)
	}
	if len(r.Estimate) != 1 || r.Estimate[0] != (costSum{Amount: 4_800_000, Currency: "KES", Messages: 3}) {
		t.Errorf("got estimate %+v", r.Estimate)
	}

	out, _ = h.mustRun("report", "sale")
	text := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{"sale: done, 7 recipients ", " accepted 3 42.9 % ####", " estimate 4.80 KES by the accounts' configured price, for 3 messages ",
		" invalid_number skipped 2 ", " error_number rejected kobo-main 1 ", " KE 5 3 1 1 ",
		" 1 recipient rejected by the gateway; check the codes, then send again: tuma retry sale --rejected ", " tuma results sale --status skipped"} {
		if !strings.Contains(text, want) {
			t.Errorf("report does not contain %q:\n%s", want, out)
		}
	}
	if strings.ContainsFunc(out, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' }) {
		t.Errorf("output must be plain ASCII lines:\n%s", out)
	}
	if _, errOut, exit := h.run("report", "missing"); exit != exitMisuse || !strings.Contains(errOut, "no such campaign") {
		t.Errorf("report of an unknown campaign: exit %d, %s", exit, errOut)
	}
}

func TestReportSaysWhatACampaignWaitsFor(t *testing.T) {
	t.Parallel()
	h := newFixture(t, sandbox.Options{})
	h.startWorker()
	h.mustRun("hold", "kobo-main", "--reason", "lunch")
	h.runWithInput("0712345678\n", "send", "--id", "a", "--via", "kobo-main", "--body", "Hello")
	out, _ := h.mustRun("report", "a")
	if !strings.Contains(out, "pending           1  100.0 %") || !strings.Contains(out, "the campaign is waiting: account kobo-main is on hold: lunch") {
		t.Errorf("got\n%s\nwant 1 pending recipient and the reason of the hold", out)
	}
}

func TestReckoningIsBounded(t *testing.T) {
	t.Parallel()
	c := newTotals()
	at := time.Date(2025, 11, 3, 9, 0, 0, 0, time.UTC)
	const n = 50_000
	for i := range n {
		word := fmt.Sprint("w", i)
		c.add(producer.Result{Row: i, Status: "rejected", Reason: word, Code: word, Account: word, MSISDN: "254712345678", MessageUUID: "u",
			Cost: "0.10", Currency: word, UpdatedAt: at.Add(time.Duration(i) * time.Minute)})
	}
	if len(c.reasons.n) > maxKeys+1 || len(c.codes.n) > maxKeys+1 || len(c.accounts) > maxKeys+1 || len(c.countries["KE"].cost) > maxKeys ||
		len(c.times.counts) > maxSteps {
		t.Errorf("%d reasons, %d codes, %d accounts, %d currencies, %d steps", len(c.reasons.n), len(c.codes.n), len(c.accounts),
			len(c.countries["KE"].cost), len(c.times.counts))
	}
	r := c.report(nil)
	reasons, codes, accounts, moments := 0, 0, 0, 0
	for _, x := range r.Reasons {
		reasons += x.Recipients
	}
	for _, x := range r.Codes {
		codes += x.Recipients
	}
	for _, x := range r.Accounts {
		accounts += x.Recipients
	}
	for _, x := range r.Timeline {
		moments += x.Recipients
	}
	if reasons != n || codes != n || accounts != n || moments != n {
		t.Errorf("got %d reasons, %d codes, %d accounts and %d times, want %d of each", reasons, codes, accounts, moments, n)
	}
	var out bytes.Buffer
	if err := r.print(&out, screen{width: 80}); err != nil || strings.Count(out.String(), "\n") > 70 {
		t.Errorf("got error %v and %d lines, want at most 70 lines", err, strings.Count(out.String(), "\n"))
	}
}

func TestChart(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 11, 3, 9, 0, 0, 0, time.UTC)
	var l timeline
	for second, n := range []int{10, 100, 200, 0, 1, 50} {
		for range n {
			l.add(at.Add(time.Duration(second) * time.Second))
		}
	}
	draw := func(columns, room int, g glyphs) string {
		var out bytes.Buffer
		if err := l.chart(columns).print(&out, g, room); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	tests := map[string]struct {
		columns, room int
		glyphs        glyphs
		want          string
	}{
		"a second each": {60, 12, blockGlyphs, `
200/s │    ██
      │    ██
      │  ▄▄██
      │  ████    ▂▂
      │▂▂████  ▁▁██
    0 └────────────
       09:00:00 to 09:00:06
`},
		"two seconds each, plain": {3, 24, plainGlyphs, `
100/s |    ####
      |    ####
      |::::####
      |########....
      |############
    0 +------------
       09:00:00 to 09:00:06
`},
	}
	for name, tt := range tests {
		if diff := cmp.Diff(tt.want, "\n"+draw(tt.columns, tt.room, tt.glyphs)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestChartHoldsEverythingOverAnySpan(t *testing.T) {
	t.Parallel()
	for _, length := range []time.Duration{0, time.Second, 59 * time.Second, time.Hour, 25 * time.Hour, 40 * 24 * time.Hour, 3000 * 24 * time.Hour} {
		var l timeline
		at := time.Date(2025, 11, 3, 23, 59, 59, 5e8, time.UTC)
		for i := range 10_000 {
			l.add(at.Add(length * time.Duration(i) / 10_000))
		}
		for _, columns := range []int{20, 66, 100, 120} {
			c := l.chart(columns)
			sum := 0
			for _, n := range c.bars {
				sum += n
			}
			if sum != 10_000 || len(c.bars) > columns || len(c.bars) == 0 || c.bars[0] == 0 || c.bars[len(c.bars)-1] == 0 {
				t.Errorf("%s in at most %d bars: got %d events in %d bars of %s, want 10,000 events", length, columns, sum, len(c.bars), c.each)
			}
			var out bytes.Buffer
			if err := c.print(&out, plainGlyphs, columns); err != nil {
				t.Error(err)
			}
			for line := range strings.Lines(out.String()) {
				if len(line) > columns+14+1 {
					t.Errorf("%s in at most %d bars: got a line of %d characters, want at most %d", length, columns, len(line)-1, columns+14)
				}
			}
		}
	}
}

func TestMoneyAddsUpExactly(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"0.80": "0.80", "1": "1.00", "1234567.5": "1,234,567.50", "0.000001": "0.000001", "12.345": "12.345", "0": "0.00"} {
		if got, ok := parseAmount(in); !ok || got.String() != want {
			t.Errorf("parseAmount(%q) = %s, %v; want %s, true", in, got, ok, want)
		}
	}
	for _, in := range []string{"", ".5", "-1", "1e3", "1.2345678", "1,000", "KES 1", "1.2.3", "9999999999999"} {
		if got, ok := parseAmount(in); ok {
			t.Errorf("parseAmount(%q) = %s, true; want false", in, got)
		}
	}
	var sum amount
	for range 1_000_000 {
		each, _ := parseAmount("0.8")
		sum += each
	}
	if sum.String() != "800,000.00" {
		t.Errorf("sum of a million times 0.8: got %s, want 800,000.00", sum)
	}
}

func TestSharesAndBars(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		n, of int
		want  string
	}{{0, 10, "0.0 %"}, {1, 3, "33.3 %"}, {1, 1_000_000, "<0.1 %"}, {10, 10, "100.0 %"}, {0, 0, "0.0 %"}} {
		if got := share(tt.n, tt.of); got != tt.want {
			t.Errorf("share(%d, %d) = %s, want %s", tt.n, tt.of, got, tt.want)
		}
	}
	if got := bar(1, 1_000_000, 10, false); got != "#" {
		t.Errorf("bar of a small number: got %q, want #", got)
	}
	if got := bar(50, 100, 10, true); got != "█████" {
		t.Errorf("bar of a half: got %q, want █████", got)
	}
	if diff := cmp.Diff([]string{"one two", "three", "fourteen"}, wrap("one two three fourteen", 7)); diff != "" {
		t.Error(diff)
	}
	if got := withoutControls("a\x1b[31mb\nc", 20); got != "a [31mb c" {
		t.Errorf("withoutControls: got %q, want \"a [31mb c\"", got)
	}
	for locale, want := range map[string]bool{"en_KE.UTF-8": true, "C.utf8": true, "C": false, "": false} {
		if got := (&app{env: map[string]string{"LANG": locale}}).isUTF8(); got != want {
			t.Errorf("locale %q: %v", locale, got)
		}
	}
}
