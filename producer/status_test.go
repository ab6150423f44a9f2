package producer_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/producer"
)

func (b *bench) enqueue(c producer.Campaign, n int) {
	b.t.Helper()
	if _, err := b.Enqueue(b.t.Context(), c, many(n)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) status(id string) producer.Status {
	b.t.Helper()
	s, err := b.Status(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func TestStatusSaysWhyACampaignDoesNotMove(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("kobo-main")
	b.enqueue(good(), 10)
	if s := b.status("c"); len(s.BlockedBy) != 0 || s.State != producer.Planning || s.ETA != nil {
		t.Errorf("status of a campaign without a block: %+v", s)
	}
	if err := b.Hold(t.Context(), "kobo-main", ""); err != nil {
		t.Fatal(err)
	}
	if s := b.status("c").BlockedBy; len(s) != 1 || s[0].Reason != "manual" || s[0].By != "operator" || s[0].Account != "kobo-main" || s[0].Since == nil || s[0].Until != nil {
		t.Errorf("held: %+v", s)
	}
	if _, err := b.Pause(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	s := b.status("c")
	if s.State != producer.Paused || len(s.BlockedBy) != 2 || s.BlockedBy[0].Reason != "paused" || s.BlockedBy[0].By != "producer" || s.BlockedBy[0].Since == nil {
		t.Errorf("paused and held: %+v", s)
	}
	if err := b.ledger.Withdraw(t.Context(), "w1", "kobo-main"); err != nil {
		t.Fatal(err)
	}
	if s := b.status("c"); len(s.BlockedBy) != 2 || s.BlockedBy[1].Reason != "no_worker" {
		t.Errorf("without a worker: %+v", s.BlockedBy)
	}
	if _, err := b.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if s := b.status("c"); s.State != producer.Cancelled || len(s.BlockedBy) != 0 || s.Skipped != 10 || !s.Ended() || s.Reasons["cancelled"] != 10 {
		t.Errorf("cancelled: %+v", s)
	}
}

func TestStatusNamesMissingRoutes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("kobo-main")
	routes := []ledger.Route{{Match: "234", Via: []string{"kobo-main"}}}
	if err := b.ledger.PublishRoutes(t.Context(), routes); err != nil {
		t.Fatal(err)
	}
	c := good()
	c.Via = ""
	b.enqueue(c, 10)
	if err := b.ledger.PublishRoutes(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if s := b.status("c").BlockedBy; len(s) != 1 || s[0].Reason != "no_route" {
		t.Errorf("without routes: %+v", s)
	}
	if err := b.ledger.PublishRoutes(t.Context(), routes); err != nil {
		t.Fatal(err)
	}
	if err := b.ledger.Withdraw(t.Context(), "w1", "kobo-main"); err != nil {
		t.Fatal(err)
	}
	if s := b.status("c").BlockedBy; len(s) != 1 || s[0].Reason != "no_worker" || s[0].Account != "kobo-main" {
		t.Errorf("with routes, without a worker: %+v", s)
	}
}

func TestTheETAFollowsTheRateAndTheStart(t *testing.T) {
	t.Parallel()
	at := time.Now().Truncate(time.Second).UTC()
	b := newBench(t, producer.WithClock(func() time.Time { return at }))
	b.serve("kobo-main", func(c *ledger.Card) { c.Rate = 50 })
	b.enqueue(good(), 1000)
	if s := b.status("c"); s.ETA == nil || !s.ETA.Equal(at.Add(20*time.Second)) || s.Rate != 50 {
		t.Errorf("1000 at 50/s: %v", s.ETA)
	}
	c := good()
	c.ID, c.StartAt = "tomorrow", at.Add(24*time.Hour)
	b.enqueue(c, 1000)
	s := b.status("tomorrow")
	if s.State != producer.Scheduled || s.ETA == nil || !s.ETA.Equal(c.StartAt.Add(20*time.Second)) || s.StartAt == nil || !s.StartAt.Equal(c.StartAt) {
		t.Errorf("scheduled: %+v", s)
	}
	b.serve("kobo-main", func(c *ledger.Card) { c.Rate = 1e-9 })
	if s := b.status("c"); s.ETA != nil {
		t.Errorf("in a hundred years: %v", s.ETA)
	}
	b.serve("kobo-main", func(c *ledger.Card) { c.Rate, c.Unit = 50, "segments" })
	if s := b.status("c"); s.ETA != nil {
		t.Errorf("ETA by segments before the first call: %v", s.ETA)
	}
}

func TestStatusKeepsItsForm(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("kobo-main")
	b.enqueue(good(), 3)
	text, err := json.Marshal(b.status("c"))
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{"id", "state", "blocked_by", "eta", "total", "pending", "accepted", "delivered", "undelivered", "rejected", "unknown",
		"skipped", "batches", "calls", "segments", "created_at", "finished_at"} {
		if _, ok := got[field]; !ok {
			t.Errorf("no %s in %s", field, text)
		}
	}
	if list, ok := got["blocked_by"].([]any); !ok || len(list) != 0 || got["eta"] != nil || got["finished_at"] != nil {
		t.Errorf("empty fields: %s", text)
	}
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ask := map[string]func(id string) error{
		"status": func(id string) error { _, err := b.Status(t.Context(), id); return err },
		"pause":  func(id string) error { _, err := b.Pause(t.Context(), id); return err },
		"resume": func(id string) error { _, err := b.Resume(t.Context(), id); return err },
		"cancel": func(id string) error { _, err := b.Cancel(t.Context(), id); return err },
		"retry": func(id string) error {
			_, err := b.Retry(t.Context(), id, producer.RetryOptions{Unknown: true})
			return err
		},
		"wait": func(id string) error { _, err := b.Wait(t.Context(), id); return err },
		"results": func(id string) error {
			for _, err := range b.Results(t.Context(), id) {
				return err
			}
			return nil
		},
	}
	for name, f := range ask {
		if err := f("nobody"); !errors.Is(err, producer.ErrNotFound) {
			t.Errorf("%s: %v", name, err)
		}
		if err := f("no{body}"); !errors.Is(err, producer.ErrInvalid) && !errors.Is(err, producer.ErrNotFound) {
			t.Errorf("%s of a bad id: %v", name, err)
		}
	}
	if keys := b.rdb.Keys(t.Context(), "*").Val(); len(keys) != 0 {
		t.Errorf("reading left the keys %v; want none", keys)
	}
	if err := b.Hold(t.Context(), "nobody", "x"); !errors.Is(err, producer.ErrUnknownAccount) {
		t.Error(err)
	}
	if err := b.Hold(t.Context(), "nobody", "two words"); !errors.Is(err, producer.ErrInvalid) {
		t.Error(err)
	}
	if _, err := b.Release(t.Context(), "nobody"); !errors.Is(err, producer.ErrUnknownAccount) {
		t.Error(err)
	}
}

func TestWaitEndsWithTheCampaignOrTheContext(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("kobo-main")
	b.enqueue(good(), 3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	seen := 0
	for s, err := range b.Watch(ctx, "c") {
		if err != nil || s.Total != 3 {
			t.Fatal(s, err)
		}
		if seen++; seen == 3 {
			cancel()
		}
		if seen > 3 {
			t.Fatal("Watch yielded a status after the context ended")
		}
	}
	if _, err := b.Wait(ctx, "c"); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait with a cancelled context: error %v", err)
	}
	if _, err := b.Pause(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	type end struct {
		s   producer.Status
		err error
	}
	ended := make(chan end, 1)
	go func() {
		s, err := b.Wait(t.Context(), "c")
		ended <- end{s, err}
	}()
	for s, err := range b.Watch(t.Context(), "c") { // reads the status of a paused campaign several times
		if err != nil || s.Ended() {
			t.Fatal(s, err)
		}
		if seen++; seen > 10 {
			break
		}
	}
	select {
	case e := <-ended:
		t.Fatalf("Wait returned for a paused campaign: %+v", e)
	default:
	}
	if _, err := b.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if e := <-ended; e.err != nil || e.s.State != producer.Cancelled || e.s.Skipped != 3 {
		t.Errorf("wait: %+v", e)
	}
	for _, order := range []func(context.Context, string) (producer.InFlight, error){b.Pause, b.Resume} {
		if _, err := order(t.Context(), "c"); !errors.Is(err, producer.ErrStopped) {
			t.Errorf("command for a cancelled campaign: error %v", err)
		}
	}
	if _, err := b.Cancel(t.Context(), "c"); err != nil {
		t.Errorf("cancelled twice: %v", err)
	}
}

func TestListHasTheNewestFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("kobo-main")
	for _, id := range []string{"a", "b", "d"} {
		c := good()
		c.ID = id
		b.enqueue(c, 1)
	}
	if err := b.Hold(t.Context(), "kobo-main", "x"); err != nil {
		t.Fatal(err)
	}
	got := ""
	for s, err := range b.List(t.Context()) {
		if err != nil || len(s.BlockedBy) != 0 || s.BlockedBy == nil || s.Total != 1 {
			t.Fatal(s, err)
		}
		got += s.ID
	}
	if len(got) != 3 {
		t.Errorf("listed %q", got)
	}
	for _, err := range b.List(t.Context()) {
		if err != nil {
			t.Error(err)
		}
		break // a caller may stop at any time
	}
}

func TestResultsAreChosenByStatus(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("kobo-main")
	b.enqueue(good(), 3)
	for _, err := range b.Results(t.Context(), "c", "sent") {
		if !errors.Is(err, producer.ErrInvalid) {
			t.Errorf("an invalid status: error %v", err)
		}
	}
	for r, err := range b.Results(t.Context(), "c", "accepted", "unknown") {
		t.Errorf("%+v, %v", r, err)
	}
	n := 0
	for _, err := range b.Results(t.Context(), "c", "pending") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d pending", n)
	}
}

func TestOddOptionsAreHarmless(t *testing.T) {
	t.Parallel()
	b := newBench(t, producer.WithPollInterval(0), producer.WithPollInterval(-1), producer.WithClock(nil))
	b.serve("kobo-main")
	b.enqueue(good(), 1)
	for s, err := range b.Watch(t.Context(), "c") {
		if err != nil || s.Total != 1 {
			t.Error(s, err)
		}
		break
	}
	if _, err := producer.New(nil); !errors.Is(err, producer.ErrInvalid) {
		t.Error(err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
