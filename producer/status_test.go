package producer_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/producer"
)

func TestStatus_BlockedBy(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	b.enqueue(validCampaign(), 10)
	if s := b.status("c"); len(s.BlockedBy) != 0 || s.State != producer.Planning || s.ETA != nil {
		t.Errorf("status = %+v; want planning, without a block and an ETA", s)
	}
	if err := b.Hold(t.Context(), "kobo-main", ""); err != nil {
		t.Fatal(err)
	}
	if s := b.status("c").BlockedBy; len(s) != 1 || s[0].Reason != "manual" || s[0].By != "operator" || s[0].Account != "kobo-main" || s[0].Since == nil || s[0].Until != nil {
		t.Errorf("blocks of a held account = %+v; want one: manual, by operator", s)
	}
	if _, err := b.Pause(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	s := b.status("c")
	if s.State != producer.Paused || len(s.BlockedBy) != 2 || s.BlockedBy[0].Reason != "paused" || s.BlockedBy[0].By != "producer" || s.BlockedBy[0].Since == nil {
		t.Errorf("status of a paused campaign with a held account = %+v; want two blocks, paused first", s)
	}
	if err := accounts.New(b.ledger.Runner()).Withdraw(t.Context(), "w1", "kobo-main"); err != nil {
		t.Fatal(err)
	}
	if s := b.status("c"); len(s.BlockedBy) != 2 || s.BlockedBy[1].Reason != "no_worker" {
		t.Errorf("blocks without a worker = %+v; want two, the second no_worker", s.BlockedBy)
	}
	if _, err := b.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if s := b.status("c"); s.State != producer.Cancelled || len(s.BlockedBy) != 0 || s.Skipped != 10 || !s.Ended() || s.Reasons["cancelled"] != 10 {
		t.Errorf("status after Cancel = %+v; want cancelled, with 10 skipped and no block", s)
	}
}

func TestStatus_MissingRoutes(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	routes := []campaign.Route{{Match: "234", Via: []string{"kobo-main"}}}
	if err := accounts.New(b.ledger.Runner()).PublishRoutes(t.Context(), routes); err != nil {
		t.Fatal(err)
	}
	c := validCampaign()
	c.Via = ""
	b.enqueue(c, 10)
	if err := accounts.New(b.ledger.Runner()).PublishRoutes(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if s := b.status("c").BlockedBy; len(s) != 1 || s[0].Reason != "no_route" {
		t.Errorf("blocks without routes = %+v; want no_route", s)
	}
	if err := accounts.New(b.ledger.Runner()).PublishRoutes(t.Context(), routes); err != nil {
		t.Fatal(err)
	}
	if err := accounts.New(b.ledger.Runner()).Withdraw(t.Context(), "w1", "kobo-main"); err != nil {
		t.Fatal(err)
	}
	if s := b.status("c").BlockedBy; len(s) != 1 || s[0].Reason != "no_worker" || s[0].Account != "kobo-main" {
		t.Errorf("blocks with routes, without a worker = %+v; want no_worker for kobo-main", s)
	}
}

func TestStatus_ETAFollowsTheRateAndTheStart(t *testing.T) {
	t.Parallel()
	at := time.Now().Truncate(time.Second).UTC()
	b := newTestClient(t, producer.WithClock(func() time.Time { return at }))
	b.serve("kobo-main", func(c *campaign.Card) { c.Rate = 50 })
	b.enqueue(validCampaign(), 1000)
	if s := b.status("c"); s.ETA == nil || !s.ETA.Equal(at.Add(20*time.Second)) || s.Rate != 50 {
		t.Errorf("ETA of 1000 recipients at 50/s = %v; want 20 seconds from now", s.ETA)
	}
	c := validCampaign()
	c.ID, c.StartAt = "tomorrow", at.Add(24*time.Hour)
	b.enqueue(c, 1000)
	s := b.status("tomorrow")
	if s.State != producer.Scheduled || s.ETA == nil || !s.ETA.Equal(c.StartAt.Add(20*time.Second)) || s.StartAt == nil || !s.StartAt.Equal(c.StartAt) {
		t.Errorf("status before StartAt = %+v; want scheduled, with an ETA 20 seconds after StartAt", s)
	}
	b.serve("kobo-main", func(c *campaign.Card) { c.Rate = 1e-9 })
	if s := b.status("c"); s.ETA != nil {
		t.Errorf("ETA at one message in 30 years = %v; want nil", s.ETA)
	}
	b.serve("kobo-main", func(c *campaign.Card) { c.Rate, c.Unit = 50, "segments" })
	if s := b.status("c"); s.ETA != nil {
		t.Errorf("ETA by segments before the first call = %v; want nil", s.ETA)
	}
}

func TestStatus_JSONForm(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	b.enqueue(validCampaign(), 3)
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
			t.Errorf("the field %s is missing in %s", field, text)
		}
	}
	if list, ok := got["blocked_by"].([]any); !ok || len(list) != 0 || got["eta"] != nil || got["finished_at"] != nil {
		t.Errorf("got %s; want blocked_by an empty list, and eta and finished_at null", text)
	}
}

func TestClient_UnknownIDIsErrNotFound(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
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
		if err := f("absent"); !errors.Is(err, producer.ErrNotFound) {
			t.Errorf("%s of an unknown ID: error %v; want ErrNotFound", name, err)
		}
		if err := f("no{body}"); !errors.Is(err, producer.ErrInvalid) && !errors.Is(err, producer.ErrNotFound) {
			t.Errorf("%s of an invalid ID: error %v; want an ErrInvalid or ErrNotFound", name, err)
		}
	}
	if keys := b.rdb.Keys(t.Context(), "*").Val(); len(keys) != 0 {
		t.Errorf("reading left the keys %v; want none", keys)
	}
	if err := b.Hold(t.Context(), "absent", "x"); !errors.Is(err, producer.ErrUnknownAccount) {
		t.Error(err)
	}
	if err := b.Hold(t.Context(), "absent", "two words"); !errors.Is(err, producer.ErrInvalid) {
		t.Error(err)
	}
	if _, err := b.Release(t.Context(), "absent"); !errors.Is(err, producer.ErrUnknownAccount) {
		t.Error(err)
	}
}

func TestWatch_EndsWithTheContext(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	b.enqueue(validCampaign(), 3)
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
		t.Errorf("Wait with a cancelled context: error %v; want context.Canceled", err)
	}
}

func TestWait_EndsWithTheCampaign(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	b.enqueue(validCampaign(), 3)
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
	seen := 0
	for s, err := range b.Watch(t.Context(), "c") { // while this loop runs, Wait reads the status of the paused campaign several times
		if err != nil || s.Ended() {
			t.Fatal(s, err)
		}
		if seen++; seen > 7 {
			break
		}
	}
	select {
	case e := <-ended:
		t.Fatalf("Wait returned %+v for a paused campaign; want it to block", e)
	default:
	}
	if _, err := b.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if e := <-ended; e.err != nil || e.s.State != producer.Cancelled || e.s.Skipped != 3 {
		t.Errorf("Wait = %+v; want cancelled, with 3 skipped", e)
	}
	for _, order := range []func(context.Context, string) (producer.InFlight, error){b.Pause, b.Resume} {
		if _, err := order(t.Context(), "c"); !errors.Is(err, producer.ErrStopped) {
			t.Errorf("Pause or Resume of a cancelled campaign: error %v; want ErrStopped", err)
		}
	}
	if _, err := b.Cancel(t.Context(), "c"); err != nil {
		t.Errorf("second Cancel: error %v; want none", err)
	}
}

func TestList_NewestFirst(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	for _, id := range []string{"a", "b", "d"} {
		c := validCampaign()
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
		t.Errorf("List yielded the campaigns %q; want three", got)
	}
	for _, err := range b.List(t.Context()) {
		if err != nil {
			t.Error(err)
		}
		break // a caller may stop at any time
	}
}

func TestResults_ChosenByStatus(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	b.enqueue(validCampaign(), 3)
	for _, err := range b.Results(t.Context(), "c", "sent") {
		if !errors.Is(err, producer.ErrInvalid) {
			t.Errorf("Results with an invalid status: error %v; want an ErrInvalid", err)
		}
	}
	for r, err := range b.Results(t.Context(), "c", "accepted", "unknown") {
		t.Errorf("Results yielded %+v, %v; want nothing", r, err)
	}
	n := 0
	for _, err := range b.Results(t.Context(), "c", "pending") {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d pending results; want 3", n)
	}
}

func TestNew_OddOptionsAreHarmless(t *testing.T) {
	t.Parallel()
	b := newTestClient(t, producer.WithPollInterval(0), producer.WithPollInterval(-1), producer.WithClock(nil))
	b.serve("kobo-main")
	b.enqueue(validCampaign(), 1)
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
