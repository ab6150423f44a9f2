package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// schedule enqueues a campaign of one recipient with the given spec.
func (r *testLedger) schedule(id string, s campaign.Spec) {
	r.Helper()
	s.Body = "Hello"
	u, err := r.BeginUpload(id, s)
	r.ok(err)
	r.ok(u.Add(r.Context(), "254712345678"))
	_, err = u.Commit(r.Context())
	r.ok(err)
}

func TestReschedule_MovesTheStartUntilTheCampaignHasBegun(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	now, err := r.Now(t.Context())
	r.ok(err)
	scheduled := func(id string, s campaign.Spec) {
		t.Helper()
		s.StartAt = now.Add(time.Hour)
		r.schedule(id, s)
	}
	later := now.Add(3 * time.Hour).Truncate(time.Millisecond)
	plan := func(id string) (*Plan, error) {
		return r.StartPlan(t.Context(), id, func(campaign.Spec) (campaign.PlanSnapshot, error) { return campaign.PlanSnapshot{}, nil })
	}
	due := func(id string) time.Time {
		t.Helper()
		at, err := r.NextDue(t.Context(), id)
		r.ok(err)
		return at
	}

	scheduled("later", campaign.Spec{ExpiresAt: now.Add(2 * time.Hour), ExpiresIn: time.Hour})
	if wake, err := r.Reschedule(t.Context(), "later", later); err != nil || wake != 1 {
		t.Fatalf("Reschedule = wake %d, %v; want wake 1", wake, err)
	}
	s := r.summary("later")
	if s.State != campaign.Scheduled || !s.StartAt.Equal(later) || !s.ExpiresAt.Equal(later.Add(time.Hour)) || !due("later").Equal(later) {
		t.Errorf("got state %s, start %v, expiry %v and the plan due at %v; want scheduled, %v, an hour later, and due at the start", s.State, s.StartAt, s.ExpiresAt, due("later"), later)
	}
	// The task of the old start must not begin the campaign, and the sweeper must not try again before
	// the new start.
	r.ok(r.Watch(t.Context(), "later", PlanWork, now, false))
	if p, err := plan("later"); p != nil || err != nil || r.summary("later").State != campaign.Scheduled || !due("later").Equal(later) {
		t.Errorf("StartPlan before the start = %v, %v with state %s, due at %v; want no plan, scheduled, due at the start", p, err, r.summary("later").State, due("later"))
	}

	scheduled("expires", campaign.Spec{ExpiresAt: now.Add(2 * time.Hour)})
	if _, err := r.Reschedule(t.Context(), "expires", later); !errors.Is(err, ErrExpiresFirst) || !r.summary("expires").StartAt.Equal(now.Add(time.Hour).Truncate(time.Millisecond)) {
		t.Errorf("a start after the expiry: %v, start %v; want ErrExpiresFirst and an unchanged start", err, r.summary("expires").StartAt)
	}
	// A start in the past means now. So the campaign can be planned, and after its planning it
	// has begun.
	if _, err := r.Reschedule(t.Context(), "expires", now.Add(-time.Hour)); err != nil {
		t.Error(err)
	}
	if at := due("expires"); at.Before(now.Add(5*time.Second)) || at.After(now.Add(time.Minute)) {
		t.Errorf("the plan of a campaign that starts now is due at %v, want 5 seconds from now", at)
	}
	if _, err := r.Reschedule(t.Context(), "expires", later); !errors.Is(err, ErrBegun) {
		t.Errorf("Reschedule after the start = %v, want ErrBegun", err)
	}
	if p, err := plan("expires"); p == nil || err != nil {
		t.Errorf("StartPlan after the start = %v, %v; want a plan", p, err)
	}
}

func TestReschedule_RefusesACampaignThatHasBegunOrEnded(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	now, err := r.Now(t.Context())
	r.ok(err)
	later := now.Add(3 * time.Hour)
	r.schedule("cancelled", campaign.Spec{StartAt: now.Add(time.Hour)})
	_, err = r.Cancel(t.Context(), "cancelled", "me")
	r.ok(err)
	if _, err := r.Reschedule(t.Context(), "cancelled", later); !errors.Is(err, ErrStopped) {
		t.Errorf("Reschedule of a cancelled campaign = %v, want ErrStopped", err)
	}
	if _, err := r.Reschedule(t.Context(), "absent", later); !errors.Is(err, ErrNotFound) {
		t.Errorf("Reschedule of no campaign = %v, want ErrNotFound", err)
	}
	r.sending("sending", []int{1})
	if _, err := r.Reschedule(t.Context(), "sending", later); !errors.Is(err, ErrBegun) {
		t.Errorf("Reschedule of a campaign that is being sent = %v, want ErrBegun", err)
	}
}

func TestReschedule_SameTokenGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	u, err := r.BeginUpload("c", campaign.Spec{Body: "Hello", StartAt: time.Now().Add(time.Hour)})
	r.ok(err)
	r.ok(u.Add(t.Context(), "254712345678"))
	_, err = u.Commit(t.Context())
	r.ok(err)
	for range 2 { // the second run repeats the first one after the campaign has begun
		if out, err := r.run(t.Context(), rescheduleScript, "c", nil, "token", 0, 0); err != nil || out[0] != "ok" {
			t.Errorf("reschedule.lua = %v, %v; want ok", out, err)
		}
	}
}
