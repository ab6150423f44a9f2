package producer_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/inbox"
	"github.com/tuma-sms/tuma/producer"
)

func TestEvents_TwoReadersFollowTheSameStream(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	box := inbox.New(b.ledger.Runner(), 0, 0)
	type read struct {
		kinds []producer.EventKind
		err   error
	}
	done := make(chan read, 2)
	for range 2 {
		go func() {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var r read
			for e, err := range b.Events(ctx, "") {
				if err != nil {
					r.err = err
					break
				}
				if r.kinds = append(r.kinds, e.Kind); len(r.kinds) == 2 {
					cancel()
				}
			}
			done <- r
		}()
	}
	for range 2 { // the gateway sends the message twice
		if _, err := box.Take(t.Context(), inbox.Message{Account: "at", ID: "1", From: "254711000001", Text: "secret text"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	optOut := func(yield func(producer.OptOut, error) bool) { yield(producer.OptOut{Number: "+254711000001"}, nil) }
	if _, err := b.OptOut(t.Context(), optOut); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		r := <-done
		if !errors.Is(r.err, context.Canceled) {
			t.Errorf("the sequence ends with %v; want the error of its context", r.err)
		}
		if !slices.Equal(r.kinds, []producer.EventKind{producer.InboundReceived, producer.OptOutAdded}) {
			t.Errorf("a reader has seen %v; want the message once and then the opt-out", r.kinds)
		}
	}
}

func TestPastEvents_GoOnAfterLostEvents(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	stream := events.New(b.ledger.Runner(), 100)
	for range 400 {
		if err := stream.Add(t.Context(), events.Event{Kind: events.AccountHeld, Account: "at"}); err != nil {
			t.Fatal(err)
		}
	}
	var got []producer.Event
	for e, err := range b.PastEvents(t.Context(), "1-1") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, e)
	}
	if len(got) < 101 || got[0].Kind != producer.EventsLost || got[1].Kind != producer.AccountHeldEvent || got[1].Account != "at" {
		t.Fatalf("%d events; want events.lost and then those that are left", len(got))
	}
	for e, err := range b.PastEvents(t.Context(), got[0].Cursor) {
		if err != nil || e.Cursor != got[1].Cursor {
			t.Errorf("after the cursor of events.lost: %+v, error %v; want the oldest event", e, err)
		}
		break
	}
	for _, err := range b.PastEvents(t.Context(), "yesterday") {
		if !errors.Is(err, producer.ErrInvalid) {
			t.Errorf("after yesterday: %v; want ErrInvalid", err)
		}
	}
}
