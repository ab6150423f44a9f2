package worker_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
)

func TestWorker_SendsACampaignFromListToGateway(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.start(r.account())
	numbers := append(kenyanNumbers(1200), "0710000000", "not a number", "2.54712E+11", "+254 710-000-001")
	r.enqueue("first", numbers)
	s := r.wait("first", 20*time.Second)
	if s.Accepted != 1200 || s.Skipped != 4 || s.Total != 1204 || s.Calls != 3 || s.Batches != 3 {
		t.Errorf("got the status %+v, want 1200 accepted, 4 skipped, 1204 in total, 3 calls and 3 batches", s)
	}
	if s.Reasons["duplicate"] != 2 || s.Reasons["invalid_number"] != 2 {
		t.Errorf("got the reasons %v, want 2 duplicates and 2 invalid numbers", s.Reasons)
	}
	if got := r.gateway.Stats(); got.Accepted != 1200 || got.Calls != 3 || got.Duplicates != 0 {
		t.Errorf("got the gateway counters %+v, want 1200 accepted, 3 calls and 0 duplicates", got)
	}
	if got := r.tally("first"); got["accepted"] != 1200 || got["skipped"] != 4 {
		t.Errorf("got %v, want 1200 accepted and 4 skipped", got)
	}
	for x, err := range r.producer.Results(t.Context(), "first", "skipped") {
		if err != nil {
			t.Fatal(err)
		}
		want := map[int]string{1201: "duplicate ", 1202: "invalid_number not_a_number", 1203: "invalid_number lost_digits", 1204: "duplicate "}
		if (x.MSISDN == "") != (x.Reason == "invalid_number") {
			t.Errorf("row %d: unexpected MSISDN %q", x.Row, x.MSISDN)
		}
		if got := x.Reason + " " + x.Code; got != want[x.Row] || x.Input != numbers[x.Row-1] {
			t.Errorf("row %d: %q, input %q", x.Row, got, x.Input)
		}
	}
	again := r.enqueue("first", numbers)
	if !again.Again || again.Total != 1204 {
		t.Errorf("got the receipt %+v of a repeated Enqueue, want Again and 1204 in total", again)
	}
	if !slices.Contains(s.Accounts, "kobo-main") {
		t.Errorf("got the accounts %v, want kobo-main among them", s.Accounts)
	}
}
