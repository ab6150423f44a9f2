package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

func TestPause_StopsClaimsUntilResume(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2, 1})
	out := r.claim("c", "0.0", 0, 0, keyed, long)
	f, err := r.Pause(t.Context(), "c", "gateway:http 400")
	if err != nil || f != (InFlight{Calls: 1, Recipients: 2}) {
		t.Errorf("pause returned %+v, %v; want one call, two recipients", f, err)
	}
	s := r.summary("c")
	if s.State != campaign.Paused || s.PausedBy != "gateway:http 400" || time.Since(s.PausedAt) > time.Minute {
		t.Errorf("state is %s by %q at %v, want paused by gateway:http 400 just now", s.State, s.PausedBy, s.PausedAt)
	}
	if c := r.tryClaim("c", "0.0", r.open("c", "0.0", 1, 0), keyed, long); c.Result != ClaimPaused {
		t.Errorf("a claim got %q, want paused", c.Result)
	}
	// The call that was in flight is still settled. Recipients that are pending after the settle wait
	// for a resume.
	r.settle(out, campaign.SettleAnswer, accepted("m1"), refusedForNow())
	r.expect("c", "accepted pending pending")
	if _, err := r.Pause(t.Context(), "c", "another"); err != nil {
		t.Error(err)
	}
	if s := r.summary("c"); s.PausedBy != "gateway:http 400" {
		t.Errorf("a second pause replaced the reason: got %q, want gateway:http 400", s.PausedBy)
	}

	if _, err := r.Resume(t.Context(), "c", "me"); err != nil {
		t.Error(err)
	}
	now, err := r.Now(t.Context())
	r.ok(err)
	if due, err := r.DueBatches(t.Context(), "c", now); err != nil || len(due) != 1 {
		t.Errorf("after Resume, due are %v, %v; want one batch", due, err)
	}
	r.settle(r.claim("c", "0.0", 1, 0, keyed, long), campaign.SettleAnswer, accepted("m3"))
	r.settle(r.claim("c", "0.0", 0, 1, keyed, long), campaign.SettleAnswer, accepted("m2"))
	r.expect("c", "accepted accepted accepted")
	if _, err := r.Resume(t.Context(), "c", "me"); !errors.Is(err, ErrDone) {
		t.Errorf("Resume of a finished campaign returned %v, want ErrDone", err)
	}
}

func TestPause_RepeatedAfterResumeChangesNothing(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1})
	pause := []any{"token", "pause", "me"}
	_, err := r.run(t.Context(), controlScript, "c", nil, pause...)
	r.ok(err)
	_, err = r.Resume(t.Context(), "c", "other")
	r.ok(err)
	_, err = r.run(t.Context(), controlScript, "c", nil, pause...)
	r.ok(err)
	if s := r.summary("c"); s.State != campaign.Sending {
		t.Errorf("state is %s, want sending: the repeated pause must change nothing after the resume", s.State)
	}
}

func TestCancel_CallsInFlightAreStillSettled(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2, 1, 1}, []int{1})
	out := r.claim("c", "0.0", 0, 0, keyed, long)
	doubtful := r.claim("c", "0.0", 1, 0, noKey, lapsed)
	f, err := r.Cancel(t.Context(), "c", "me")
	// A call is still counted as in flight if no process has noticed that its lease has ended.
	if err != nil || f != (InFlight{Calls: 2, Recipients: 3}) {
		t.Errorf("Cancel returned %+v, %v; want 2 calls with 3 recipients in flight", f, err)
	}
	r.expect("c", "pending pending pending skipped skipped")
	if s := r.summary("c"); s.State != campaign.Cancelled || !s.FinishedAt.IsZero() {
		t.Errorf("state is %s, finished %v; want cancelled and not finished", s.State, s.FinishedAt)
	}
	// A recipient that was refused for now, or whose claim was released, got no message and is
	// skipped.
	if got := r.settle(out, campaign.SettleAnswer, accepted("m1"), refusedForNow()); got.Done || len(got.Wakes) > 0 {
		t.Errorf("the settle returned %+v, want not done and no wakes", got)
	}
	r.expect("c", "accepted skipped pending skipped skipped")
	c := r.tryClaim("c", "0.0", r.open("c", "0.0", 1, 0), noKey, long)
	if c.Result != ClaimStopped || !c.Doubt {
		t.Errorf("a doubtful call of a cancelled campaign got %q, doubt %t; want stopped with doubt", c.Result, c.Doubt)
	}
	if got := r.settle(c, campaign.SettleAbandon, unknown(c.Why)); !got.Done {
		t.Error("the campaign has not finished")
	}
	r.expect("c", "accepted skipped unknown skipped skipped")
	// A late result is still written, even for a skipped recipient.
	r.settle(doubtful, campaign.SettleAnswer, accepted("m3"))
	r.settle(out, campaign.SettleAnswer, accepted("m1"), accepted("m2"))
	r.expect("c", "accepted accepted accepted skipped skipped")
	for name, do := range map[string]func() (InFlight, error){
		"pause":  func() (InFlight, error) { return r.Pause(t.Context(), "c", "me") },
		"resume": func() (InFlight, error) { return r.Resume(t.Context(), "c", "me") },
	} {
		if _, err := do(); !errors.Is(err, ErrStopped) {
			t.Errorf("%s of a cancelled campaign returned %v, want ErrStopped", name, err)
		}
	}
	if _, err := r.Cancel(t.Context(), "c", "me"); err != nil {
		t.Errorf("cancelling the campaign again returned %v, want no error", err)
	}
}

func TestCancel_ReleasedCallsAreSkipped(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2, 2})
	one, two := r.claim("c", "0.0", 0, 0, keyed, long), r.claim("c", "0.0", 1, 0, keyed, long)
	_, err := r.Cancel(t.Context(), "c", "me")
	r.ok(err)
	for range 2 {
		out, err := r.Release(t.Context(), one, time.Hour, ReleaseUnsent)
		if err != nil || out.Stale || out.Done {
			t.Errorf("Release returned %+v, %v; want neither stale nor done", out, err)
		}
		r.expect("c", "skipped skipped pending pending")
	}
	for range 2 {
		out, err := r.Split(t.Context(), two)
		if err != nil || out.Stale || !out.Done {
			t.Errorf("Split returned %+v, %v; want done and not stale", out, err)
		}
		r.expect("c", "skipped skipped skipped skipped")
	}
}

func TestExpiry_EndsTheCampaignAtClaimOrSweep(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for name, notice := range map[string]func(id string){
		"claim": func(id string) { r.tryClaim(id, "0.0", r.open(id, "0.0", 0, 0), keyed, long) },
		"sweep": func(id string) {
			if _, done, err := r.TopUp(t.Context(), id, map[int]int{0: 4}); err != nil || !done {
				t.Errorf("TopUp returned done %t, %v; want true", done, err)
			}
		},
	} {
		r.sendingSpec(name, campaign.Spec{ExpiresAt: time.Now().Add(time.Hour)}, []int{2})
		r.travel(name, 2*time.Hour)
		notice(name)
		r.expect(name, "skipped skipped")
		if s := r.summary(name); s.State != campaign.Done || s.StoppedBy != campaign.ReasonExpired || s.Reasons[campaign.ReasonExpired] != 2 {
			t.Errorf("%s: state %s, stopped by %q for %v; want done, stopped by expired, 2 skipped as expired", name, s.State, s.StoppedBy, s.Reasons)
		}
	}
}

func TestControl_UnknownCampaignIsErrNotFound(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for name, do := range map[string]func() (InFlight, error){
		"pause":  func() (InFlight, error) { return r.Pause(t.Context(), "c", "me") },
		"resume": func() (InFlight, error) { return r.Resume(t.Context(), "c", "me") },
		"cancel": func() (InFlight, error) { return r.Cancel(t.Context(), "c", "me") },
	} {
		if _, err := do(); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s returned %v, want ErrNotFound", name, err)
		}
	}
}

func TestExpiry_DoneOrCancelledCampaignStaysAsItIs(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sendingSpec("done", campaign.Spec{ExpiresAt: time.Now().Add(time.Hour)}, []int{1})
	old := r.open("done", "0.0", 0, 0)
	r.settle(r.claim("done", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("m"))
	r.sendingSpec("cancelled", campaign.Spec{ExpiresAt: time.Now().Add(time.Hour)}, []int{1, 1})
	out := r.claim("cancelled", "0.0", 0, 0, keyed, 1000*time.Hour)
	_, err := r.Cancel(t.Context(), "cancelled", "me")
	r.ok(err)
	for id, g := range map[string]*Generation{"done": old, "cancelled": out.gen} {
		r.travel(id, 2*time.Hour)
		before := r.summary(id)
		r.tryClaim(id, "0.0", g, keyed, long)
		_, _, err := r.TopUp(t.Context(), id, map[int]int{0: 4})
		r.ok(err)
		if s := r.summary(id); s.State != before.State || s.StoppedBy != before.StoppedBy || !s.FinishedAt.Equal(before.FinishedAt) {
			t.Errorf("%s: after the expiry time the state is %s, stopped by %q; want no change", id, s.State, s.StoppedBy)
		}
		r.sound(id)
	}
}

func TestCancel_DuringPlanningEndsThePlansWatch(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.uploaded("c", campaign.Spec{}, 1, 1)
	_, _, err := r.startPlan("c", 1).CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1}, Batches: []campaign.PlannedBatch{{Calls: []int{1}, To: plannedRows(1, 1)}}})
	r.ok(err)
	out := r.claim("c", "0.0", 0, 0, keyed, long)
	_, err = r.Cancel(t.Context(), "c", "me")
	r.ok(err)
	r.expect("c", "pending skipped")
	if due, err := r.DueBatches(t.Context(), "c", time.Now().Add(2*time.Hour)); err != nil || len(due) != 1 || due[0].Batch != "0.0" {
		t.Errorf("due is %v, %v; want only the batch in flight", due, err)
	}
	r.settle(out, campaign.SettleAnswer, accepted("m"))
	r.expect("c", "accepted skipped")
}

// A worker that waits for sending hours may set the watch just after the campaign was stopped.
func TestCancel_WatchSetAfterwardsIsSoon(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1})
	r.claim("c", "0.0", 0, 0, keyed, lapsed)
	tomorrow := time.Now().Add(24 * time.Hour)
	watched := func(when string, known, soon bool) {
		r.ok(r.Watch(t.Context(), "c", "0.0", tomorrow, known))
		due, err := r.DueBatches(t.Context(), "c", time.Now().Add(10*time.Second))
		if err != nil || (len(due) == 1) != soon {
			t.Errorf("%s: within 10 seconds %v is due, %v; want the batch: %t", when, due, err, soon)
		}
	}
	watched("sending", false, false)
	_, err := r.Cancel(t.Context(), "c", "me")
	r.ok(err)
	watched("cancelled", false, true)
	watched("cancelled, and the caller knows", true, false)
	r.ok(r.Watch(t.Context(), "c", "0.0", time.Now().Add(-time.Second), false))
	if due, err := r.DueBatches(t.Context(), "c", time.Now()); err != nil || len(due) != 1 {
		t.Errorf("%v is due now, %v; want the batch, because its watch is in the past", due, err)
	}
}

// A call ends doubtful after the cancel. Its back-off must not delay the end of the campaign.
func TestCancel_CallThatEndsDoubtfulIsDueNow(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testLedger, *Claim) error{
		"doubt": func(r *testLedger, c *Claim) error { _, err := r.Doubt(r.Context(), c, time.Hour, true); return err },
		"partial settle": func(r *testLedger, c *Claim) error {
			_, err := r.Settle(r.Context(), c, []campaign.Record{accepted("m"), unknown("unsaid")}, campaign.SettlePartial, 1, time.Hour)
			return err
		},
		"lookup": func(r *testLedger, c *Claim) error {
			_, err := r.Settle(r.Context(), c, []campaign.Record{accepted("m"), unknown("unsaid")}, campaign.SettleLookup, 1, time.Hour)
			return err
		},
		"release of a doubtful call": func(r *testLedger, c *Claim) error {
			_, err := r.Release(r.Context(), c, time.Hour, ReleaseUnsent)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			r.sending("c", []int{2})
			r.claim("c", "0.0", 0, 0, keyed, lapsed)
			c := r.claim("c", "0.0", 0, 0, keyed, long)
			_, err := r.Cancel(t.Context(), "c", "me")
			r.ok(err)
			r.ok(end(r, c))
			if due, err := r.DueBatches(t.Context(), "c", time.Now().Add(time.Second)); err != nil || len(due) != 1 {
				t.Errorf("%v is due, %v; want the batch", due, err)
			}
		})
	}
}
