package tracking

import (
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
)

// moveAll moves the recipients of a batch to another account of the campaign, and returns the names of
// their new batches.
func (r *rig) moveAll(id, batch string, account int) (names []string) {
	r.Helper()
	ctx := r.Context()
	m, err := r.ledger.Movable(ctx, id, batch, time.Now().Add(time.Hour))
	r.ok(err)
	snapshot, _, err := r.ledger.Snapshot(ctx, id)
	r.ok(err)
	moved, err := r.ledger.Move(ctx, id, script.NewToken(), m, snapshot, 1000, func(campaign.Planned, string) int { return account })
	r.ok(err)
	if moved.Count == 0 {
		r.Fatalf("no recipient of batch %s moved", batch)
	}
	for _, w := range moved.Wakes {
		if strings.HasPrefix(w.Batch, string(rune('0'+account))+".") {
			names = append(names, w.Batch)
		}
	}
	return names
}

// claimIn claims call k of the named batch.
func (r *rig) claimIn(id, batch string, k int) call {
	r.Helper()
	w, err := r.ledger.LoadWork(r.Context(), id, batch)
	r.ok(err)
	return r.claimOf(id, w, k, time.Hour)
}

// A message is sent after failover. Its report comes from the account to which the recipient has
// moved.
func TestApply_MessagesSentAfterTheirRecipientsMoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.planAt("c", []string{"at", "at2"}, 1, 2, 3)
	r.send("c", 0, 0) // the first call stays
	names := r.moveAll("c", "0.0", 1)
	for _, name := range names {
		c := r.claimIn("c", name, 0)
		r.note("c", c)
		r.settle(c, c.accepted("c"))
	}
	if got := r.apply(r.report("c", 2, true), r.report("c", 4, true), r.report("c", 6, false), r.report("c", 6, true)); got != "delivered delivered undelivered duplicate" {
		t.Errorf("got %s", got)
	}
	if got := r.statuses("c"); got != "accepted delivered accepted delivered accepted undelivered:AbsentSubscriber" {
		t.Errorf("got %s", got)
	}
	s := r.summary("c")
	for i, want := range []campaign.Counts{{Total: 3, Accepted: 2, Delivered: 1}, {Total: 3, Accepted: 1, Delivered: 1, Undelivered: 1}} {
		if s.ByAccount[i].Counts != want {
			t.Errorf("account %d has the counts %+v, want %+v", i, s.ByAccount[i].Counts, want)
		}
	}
}

// A worker has released a call as not sent, although the gateway has taken its messages. The recipients then move
// twice, and after that the worker settles the late answer. The index names the first batch.
func TestApply_LateMessagesOfRecipientsThatMovedTwice(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.planAt("c", []string{"at", "at2", "at3"}, 1, 1, 3)
	late := r.claim("c", 0, 0, time.Hour)
	_, err := r.ledger.Release(t.Context(), late.claim, 0, ledger.ReleaseUnsent)
	r.ok(err)
	for _, name := range r.moveAll("c", "0.0", 1) {
		r.moveAll("c", name, 2)
	}
	r.note("c", late)
	if got := r.apply(r.report("c", 2, true)); got != "parked" {
		t.Errorf("before the late answer is settled: got %s", got)
	}
	r.settle(late, late.accepted("c"))
	r.lookNow()
	if got := r.apply(r.report("c", 3, false), r.report("c", 2, false)); got != "undelivered duplicate" {
		t.Errorf("got %s", got)
	}
	if got := r.statuses("c"); got != "accepted delivered undelivered:AbsentSubscriber" {
		t.Errorf("got %s", got)
	}
	s := r.summary("c")
	if want := (campaign.Counts{Total: 3, Accepted: 1, Delivered: 1, Undelivered: 1}); s.ByAccount[2].Counts != want || s.State != campaign.Done {
		t.Errorf("counts at the last account are %+v, and the campaign is %s; want %+v, and done", s.ByAccount[2].Counts, s.State, want)
	}
}

// A campaign has taken the ID of a cancelled campaign. The index still has messages of the cancelled
// campaign, but Redis has lost the claim of their call. Reports about these messages must not change the new
// campaign, although it has the same recipients.
func TestApply_ReplacedCampaignsDoNotMix(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.plan("c", 1, 1, 3)
	upload, _, err := r.ledger.Index().Upload(ctx, "c")
	r.ok(err)
	lost := Sent{BatchRef: ledger.BatchRef{Campaign: "c", Upload: upload, Name: "0.0"}, BatchSize: 3, Total: 3,
		IDs: []string{messageID("old", 1), messageID("old", 2)}, Positions: []int{0, 1}}
	err = r.index.Enter(ctx, testLogin, []note{noteOf(lost)}, time.Hour)
	r.ok(err)
	old := []Report{r.report("old", 1, true), r.report("old", 2, false)}
	if got := r.apply(old...); got != "parked parked" { // r.apply also loads the batch of the old campaign into the cache
		t.Errorf("before the cancel: got %s", got)
	}
	_, err = r.ledger.Cancel(ctx, "c", "test")
	r.ok(err)
	// The campaign was planned before it was cancelled. So its ID becomes free 15 minutes after the campaign's end.
	r.ok(r.rdb.HIncrBy(ctx, "tuma:{c}:l", "fin", -(16 * time.Minute).Milliseconds()).Err())
	r.plan("c", 1, 1, 3)
	if got := r.apply(old...); got != "parked parked" {
		t.Errorf("after the ID was taken: got %s", got)
	}
	c := r.claim("c", 0, 0, time.Hour)
	r.note("c", c)
	records := c.accepted("c")
	records[0] = campaign.Record{Status: campaign.Unknown, Reason: "no_answer"}
	r.settle(c, records)
	// End the attempt, so that no report settles the unknown message by the number of its recipient.
	r.ok(r.attempts.End(ctx, testLogin, c.claim.Attempt()))
	r.lookNow()
	if got := r.statuses("c"); got != "unknown:no_answer accepted accepted" {
		t.Errorf("reports of the old campaign: got %s", got)
	}
	if got := r.apply(r.report("c", 2, true)); got != "delivered" {
		t.Errorf("a report of the new campaign: got %s", got)
	}
	r.summary("c")
}
