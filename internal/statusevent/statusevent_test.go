package statusevent

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/internal/wake"
)

var wanted = &wake.Campaign{Spec: campaign.Spec{StatusEvents: true}}

// pageOf returns all events of the stream.
func pageOf(t *testing.T, s *events.Stream) []events.Stored {
	t.Helper()
	page, err := s.Page(t.Context(), "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

func TestWriter_OneEventForUpTo500Rows(t *testing.T) {
	t.Parallel()
	r := script.NewRunner(redistest.Start(t).Client(), script.Durability{})
	w := New(r, nil)
	for k := range 7 {
		w.Call(wanted, "c", "0.1", k, 200)
	}
	w.Call(wanted, "d", "0.0", 0, 500)
	w.Call(&wake.Campaign{}, "off", "0.0", 0, 500)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range pageOf(t, w.stream) {
		got = append(got, e.Kind+" "+e.Campaign+" "+strings.Join(e.Places, ","))
	}
	want := []string{"message.status c 0.1.0,0.1.1", "message.status c 0.1.2,0.1.3", "message.status c 0.1.4,0.1.5", "message.status c 0.1.6", "message.status d 0.0.0"}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("events are %q, want %q", got, want)
	}
	if err := w.Flush(t.Context()); err != nil || len(pageOf(t, w.stream)) != len(want) {
		t.Errorf("a flush without notes wrote events, or failed: %v", err)
	}
}

func TestWriter_CountsWhatItCannotKeep(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	w := New(script.NewRunner(server.Client(), script.Durability{}), nil)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for k := range maxNoted/MaxRows + 3 { // three calls more than a Writer keeps
		w.Call(wanted, "c", "0.0", k, MaxRows)
	}
	if err := w.Flush(gone); err == nil {
		t.Error("a flush without Redis returns no error")
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	page, missed, places := pageOf(t, w.stream), 0, map[string]bool{}
	for _, e := range page {
		missed += e.Missed
		for _, p := range e.Places {
			places[p] = true
		}
	}
	if missed != 3*MaxRows || len(places) != maxNoted/MaxRows || page[0].Missed != missed {
		t.Errorf("%d rows missed and %d places, want %d in the first event and %d", missed, len(places), 3*MaxRows, maxNoted/MaxRows)
	}
}

// If the Redis user lacks the right to write streams, only the events are lost.
func TestWriter_WithoutTheRight(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, redistest.WithUser("tuma", "secret", "~*", "+@all", "-xadd"))
	w := New(script.NewRunner(server.Client(server.AsUser), script.Durability{}), nil)
	w.Call(wanted, "c", "0.0", 0, 1)
	if err := w.Flush(t.Context()); err != nil {
		t.Errorf("flush: %v, want nil", err)
	}
	if all := w.take(); len(all) != 0 {
		t.Errorf("%d campaigns are still noted, want none", len(all))
	}
}

func TestWriter_ReportsOfTheCampaignsThatWantEvents(t *testing.T) {
	t.Parallel()
	l := ledger.New(redistest.Start(t).Client())
	w := New(l.Runner(), &wake.Campaigns{Ledger: l})
	var list []tracking.Applied
	for _, id := range []string{"on", "off"} {
		u, err := l.BeginUpload(id, campaign.Spec{Body: "b", StatusEvents: id == "on"})
		if err != nil {
			t.Fatal(err)
		}
		if err := u.Add(t.Context(), "+254712345678"); err != nil {
			t.Fatal(err)
		}
		if _, err := u.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		upload := l.Runner().Redis().HGet(t.Context(), "tuma:{"+id+"}:l", "up").Val()
		for _, token := range []string{upload, "another"} {
			list = append(list, tracking.Applied{BatchRef: ledger.BatchRef{Campaign: id, Upload: token, Name: "0.0"}, Batch: "1.0", Call: 2, Position: 7})
		}
	}
	w.Reports(t.Context(), list)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	page := pageOf(t, w.stream)
	if len(page) != 1 || page[0].Campaign != "on" || fmt.Sprint(page[0].Places) != "[1.0.2:7]" {
		t.Errorf("events are %+v, want one of campaign on about 1.0.2:7", page)
	}
	var none *Writer
	none.Reports(t.Context(), list)
	none.Call(wanted, "c", "0.0", 0, 1)
	if err := none.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}
