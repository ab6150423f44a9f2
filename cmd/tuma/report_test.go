package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/report"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/kobo/kobosim"
)

func TestReport_OfACampaign(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	kobosim.Of(h.gateway).SetInvalid("error_number", 254712345679)
	h.startWorker()
	file := h.file("customers.csv", mixedList)
	h.run("send", "--id", "sale", "--via", "kobo-main", "--body", strings.Repeat("x", 161), "--file", file, "--wait")
	out, _ := h.mustRun("report", "sale", "--json")
	var r campaignReport
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
		t.Errorf("got reasons %+v, want 2 skipped as invalid_number and 1 as duplicate", r.Reasons)
	}
	if r.Codes[0] != (report.CodeCount{Code: "not_a_number", Status: "skipped", Recipients: 2}) ||
		!slices.Contains(r.Codes, report.CodeCount{Code: "error_number", Status: "rejected", Account: "kobo-main", Recipients: 1}) {
		t.Errorf("got codes %+v, want first 2 skipped with not_a_number, and 1 rejected with error_number", r.Codes)
	}
	if len(r.Accounts) != 1 || r.Accounts[0].Recipients != 4 || r.Accounts[0].Statuses["rejected"] != 1 || len(r.Countries) != 1 || r.Countries[0].Name != "KE" ||
		r.Countries[0].Recipients != 5 {
		t.Errorf("got accounts %+v and countries %+v, want one account with 4 recipients (1 rejected), and KE with 5", r.Accounts, r.Countries)
	}
	if len(r.Estimate) != 1 || r.Estimate[0] != (report.CostSum{Amount: 4_800_000, Currency: "KES", Messages: 3}) {
		t.Errorf("got estimate %+v, want 4.80 KES for 3 messages", r.Estimate)
	}

	out, _ = h.mustRun("report", "sale")
	text := strings.Join(strings.Fields(out), " ")
	for _, want := range []string{"sale: done, 7 recipients ", " accepted 3 42.9 % ####", " estimate 4.80 KES by the accounts' configured price, for 3 messages ",
		" invalid_number skipped 2 ", " error_number rejected kobo-main 1 ", " KE 5 3 1 1 ",
		" 1 recipient rejected by the gateway; check the codes, then send again to these recipients: tuma retry sale --rejected ", " tuma results sale --status skipped"} {
		if !strings.Contains(text, want) {
			t.Errorf("report does not contain %q:\n%s", want, out)
		}
	}
	if strings.ContainsFunc(out, func(r rune) bool { return r > '~' || r < ' ' && r != '\n' }) {
		t.Errorf("output must be plain ASCII lines:\n%s", out)
	}
	if _, errOut, exit := h.run("report", "missing"); exit != exitMisuse || !strings.Contains(errOut, "no such campaign") {
		t.Errorf("report of an unknown campaign: got exit %d and standard error %s, want exit 2 and \"no such campaign\"", exit, errOut)
	}
}

func TestReport_NamesWhatACampaignWaitsFor(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	h.mustRun("hold", "kobo-main", "--reason", "lunch")
	h.runWithInput("0712345678\n", "send", "--id", "a", "--via", "kobo-main", "--body", "Hello")
	out, _ := h.mustRun("report", "a")
	if !strings.Contains(out, "pending           1  100.0 %") || !strings.Contains(out, "the campaign is waiting: account kobo-main is on hold: lunch") {
		t.Errorf("got\n%s\nwant 1 pending recipient and the reason of the hold", out)
	}
}

func TestReport_OfManyReasonsIsShort(t *testing.T) {
	t.Parallel()
	r := campaignReport{Report: report.Report{Recipients: 500, Statuses: map[string]int{"rejected": 500}, Segments: 1}}
	for i := range 500 {
		word := fmt.Sprint("w", i)
		costs := []report.CostSum{{Amount: 100_000, Currency: word, Messages: 1}}
		r.Reasons = append(r.Reasons, report.ReasonCount{Status: "rejected", Reason: word, Recipients: 1})
		r.Codes = append(r.Codes, report.CodeCount{Code: word, Status: "rejected", Account: word, Recipients: 1})
		group := report.Group{Name: word, Recipients: 1, Statuses: map[string]int{"rejected": 1}, Cost: costs}
		r.Accounts, r.Countries, r.Cost = append(r.Accounts, group), append(r.Countries, group), append(r.Cost, costs...)
	}
	var out bytes.Buffer
	if err := r.print(&out, console.Screen{Width: 80}); err != nil || strings.Count(out.String(), "\n") > 70 {
		t.Errorf("got error %v and %d lines, want at most 70 lines", err, strings.Count(out.String(), "\n"))
	}
}
