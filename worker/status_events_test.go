package worker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

func TestStatusEvents_HaveTheRowsOfTheCampaignsThatWantThem(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	w := r.start(r.account())
	const n = 1200
	recipients := func(yield func(producer.Recipient, error) bool) {
		for i, number := range kenyanNumbers(n) {
			if !yield(producer.Recipient{Number: number, Ref: fmt.Sprint("order ", i+1)}, nil) {
				return
			}
		}
	}
	for id, on := range map[string]bool{"on": true, "off": false} {
		c := producer.Campaign{ID: id, Via: "kobo-main", Body: "Habari", Class: producer.Transactional, StatusEvents: on}
		if _, err := r.producer.Enqueue(t.Context(), c, recipients); err != nil {
			t.Fatal(err)
		}
		if s := r.wait(id, 20*time.Second); s.Accepted != n {
			t.Fatalf("%s: %d accepted, want %d", id, s.Accepted, n)
		}
	}
	m, err := r.producer.Send(t.Context(), producer.Message{Via: "kobo-main", To: kenyanNumbers(1)[0], Body: "Code", Ref: "user 7", StatusEvents: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.producer.WaitMessage(t.Context(), m.ID); err != nil {
		t.Fatal(err)
	}
	w.drain(t) // writes what was noted
	seen := map[string]map[int]producer.EventRow{}
	for e, err := range r.producer.PastEvents(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != producer.MessageStatusChanged {
			continue
		}
		if len(e.Rows) == 0 || len(e.Rows) > 500 || e.Missed != 0 {
			t.Errorf("an event of %s has %d rows and %d missed ones, want 1 to 500 and none", e.Campaign, len(e.Rows), e.Missed)
		}
		for _, row := range e.Rows {
			if seen[e.Campaign] == nil {
				seen[e.Campaign] = map[int]producer.EventRow{}
			}
			seen[e.Campaign][row.Row] = row
		}
	}
	if len(seen["on"]) != n || len(seen[m.ID]) != 1 || len(seen) != 2 {
		t.Fatalf("events about %d rows of the campaign and %d of the message, of %d campaigns; want %d, 1 and 2", len(seen["on"]), len(seen[m.ID]), len(seen), n)
	}
	for row, x := range seen["on"] {
		if x.Ref != fmt.Sprint("order ", row) || x.Status != "accepted" || x.Account != "kobo-main" || x.MessageID == "" || x.MSISDN == "" {
			t.Fatalf("row %d is %+v, want it accepted with its reference", row, x)
		}
	}
	if x := seen[m.ID][1]; x.Ref != "user 7" || x.Status != "accepted" {
		t.Errorf("the message is %+v, want it accepted with its reference", x)
	}
}
