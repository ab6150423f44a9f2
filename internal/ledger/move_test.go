package ledger

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// The method "routed" enqueues a campaign of n recipients and plans all of them in one batch at account a0. The
// parameter "calls" has the number of recipients of each call. The next accounts of the campaign's
// route are a1, which takes two recipients a call, and a2, which takes 500.
func (r *testLedger) routed(id string, n int, calls ...int) campaign.PlanSnapshot {
	r.Helper()
	r.enqueue(id, campaign.Spec{}, n)
	f := campaign.PlanSnapshot{Country: "KE", Accounts: []campaign.SnapshotAccount{{Name: "a0", MaxRecipients: 3, BatchSize: 6}, {Name: "a1", MaxRecipients: 2, BatchSize: 4},
		{Name: "a2", MaxRecipients: 500, BatchSize: 500}}, Routes: []campaign.Route{{Match: "254", Via: []string{"a0", "a1", "a2"}}}}
	p, err := r.StartPlan(r.Context(), id, func(campaign.Spec) (campaign.PlanSnapshot, error) { return f, nil })
	r.ok(err)
	_, _, err = p.CommitPage(r.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1000},
		Batches: []campaign.PlannedBatch{{Calls: calls, To: plannedRows(1, n)}}})
	r.ok(err)
	return f
}

func (r *testLedger) movable(id, batch string) *Movable {
	r.Helper()
	now, err := r.Now(r.Context())
	r.ok(err)
	m, err := r.Movable(r.Context(), id, batch, now)
	r.ok(err)
	return m
}

// move moves all movable recipients of a batch to an account, and returns the names of the new
// batches.
func (r *testLedger) move(id, batch string, f campaign.PlanSnapshot, to int) []string {
	r.Helper()
	m := r.movable(id, batch)
	out, err := r.Move(r.Context(), id, script.NewToken(), m, f, 1000, func(campaign.Planned, string) int { return to })
	r.ok(err)
	if out.Count != len(m.To) {
		r.Fatalf("%d recipients moved, want %d", out.Count, len(m.To))
	}
	var names []string
	for _, w := range out.Wakes {
		if strings.HasPrefix(w.Batch, string(rune('0'+to))+".") {
			names = append(names, w.Batch)
		}
	}
	return names
}

func TestFailoverMove_CutsBatchesForTheOtherAccount(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	f := r.routed("c", 6, 3, 3)
	names := r.move("c", "0.0", f, 1)
	if len(names) != 2 {
		t.Fatalf("the new batches are %v, want two", names)
	}
	for i, want := range [][]int{{2, 2}, {2}} {
		w, err := r.LoadWork(t.Context(), "c", names[i])
		r.ok(err)
		if !slices.Equal(w.Batch.Calls, want) || len(w.Open) != len(want) {
			t.Errorf("batch %d has calls %v and %d open generations, want one generation for each call", i, w.Batch.Calls, len(w.Open))
		}
	}
	r.expect("c", "pending pending pending pending pending pending")
	for k := range 2 {
		r.settle(r.claim("c", names[0], k, 0, noKey, long), campaign.SettleAnswer, accepted("x"), accepted("y"))
	}
	out := r.settle(r.claim("c", names[1], 0, 0, noKey, long), campaign.SettleAnswer, accepted("x"), rejected("bad_number"))
	r.expect("c", "accepted accepted accepted accepted accepted rejected")
	if s := r.summary("c"); !out.Done || s.ByAccount[0].Total != 0 || s.ByAccount[1] != (campaign.AccountCounts{Account: "a1", Counts: campaign.Counts{Total: 6, Accepted: 5, Rejected: 1}}) {
		t.Errorf("done %t, counts by account %+v; want true, and all 6 at a1", out.Done, s.ByAccount)
	}
	for _, row := range r.rows("c") {
		if row.Account != "a1" || row.MessageUUID == "" {
			t.Errorf("row is %+v, want account a1 and an idempotency key", row)
		}
	}
}

func TestFailoverMove_OnlyRecipientsCertainlyNotSent(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	f := r.routed("c", 15, 3, 3, 3, 3, 3)
	r.claim("c", "0.0", 0, 0, noKey, long) // the first call is in flight
	_, err := r.Doubt(t.Context(), r.claim("c", "0.0", 1, 0, keyed, long), 0, true)
	r.ok(err)
	_, err = r.Release(t.Context(), r.claim("c", "0.0", 2, 0, noKey, long), time.Hour, ReleaseUnsent) // the third call backs off
	r.ok(err)
	r.settle(r.claim("c", "0.0", 3, 0, noKey, long), campaign.SettleAnswer, unknown("no_answer"), rejected("x"), refusedForNow())
	_, err = r.Retry(t.Context(), "c", "op", true, true)
	r.ok(err)
	var rows []int
	m := r.movable("c", "0.0")
	for _, p := range m.To {
		rows = append(rows, p.Row)
	}
	slices.Sort(rows)
	// One recipient of the fourth call was unknown before, and must not move.
	if want := []int{11, 12, 13, 14, 15}; !slices.Equal(rows, want) {
		t.Errorf("may move %v, want %v", rows, want)
	}
	r.move("c", "0.0", f, 1)
	r.expect("c", strings.TrimSpace(strings.Repeat("pending ", 15)))
	if s := r.summary("c"); s.ByAccount[0].Pending != 10 || s.ByAccount[1].Pending != 5 {
		t.Errorf("counts by account are %+v, want 10 pending at a0 and 5 at a1", s.ByAccount)
	}
	// After the cancel, the recipient that was unknown before the retry is unknown again. Calls in flight stay in flight.
	_, err = r.Cancel(t.Context(), "c", "me")
	r.ok(err)
	r.expect("c", "pending pending pending pending pending pending skipped skipped skipped unknown skipped skipped skipped skipped skipped")
}

func TestFailoverMove_ChangedBatchIsNotMoved(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*testLedger){
		"claimed": func(r *testLedger) { r.claim("c", "0.0", 1, 0, noKey, long) },
		"claimed and released under another request": func(r *testLedger) {
			_, err := r.Release(r.Context(), r.claim("c", "0.0", 1, 0, noKey, long), 0, ReleaseAnswered)
			r.ok(err)
		},
		"moved by another": func(r *testLedger) { r.move("c", "0.0", r.snapshot("c"), 2) },
		"cancelled": func(r *testLedger) {
			_, err := r.Cancel(r.Context(), "c", "me")
			r.ok(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			f := r.routed("c", 6, 3, 3)
			m := r.movable("c", "0.0")
			change(r)
			before := r.state("c")
			out, err := r.Move(t.Context(), "c", script.NewToken(), m, f, 1000, func(campaign.Planned, string) int { return 1 })
			if err != nil || out.Count != 0 || r.state("c") != before {
				t.Errorf("Move returned %+v, %v; want nothing moved, and no change", out, err)
			}
			r.sound("c")
		})
	}
}

func (r *testLedger) snapshot(id string) campaign.PlanSnapshot {
	r.Helper()
	f, _, err := r.Snapshot(r.Context(), id)
	r.ok(err)
	return f
}

// A late result arrives for a claim that Redis has lost, or for a call that the gateway has
// certainly not taken, according to its first answer. The claim's recipients have moved twice.
func TestFailoverLateResult_ReachesMovedRecipients(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	f := r.routed("c", 3, 3)
	late := r.claim("c", "0.0", 0, 0, noKey, long)
	_, err := r.Release(t.Context(), late, 0, ReleaseUnsent)
	r.ok(err)
	one := r.move("c", "0.0", f, 1)
	last := r.claim("c", one[0], 1, 0, noKey, long) // row 3 is in flight
	two := r.move("c", one[0], f, 2)
	r.settle(late, campaign.SettleAnswer, accepted("early-1"), rejected("x"), accepted("early-3"))
	r.expect("c", "accepted pending accepted")
	if got := r.open("c", two[0], 0, 0).To; len(got) != 1 || got[0].Row != 2 {
		t.Errorf("waiting at the third account are %v, want only row 2", got)
	}
	rows := r.rows("c")
	if rows[0].MessageID != "early-1" || rows[0].MessageUUID != late.IdempotencyKey.String() || rows[0].Account != "a2" {
		t.Errorf("row 1 is %+v, want the late result's id and key, and account a2", rows[0])
	}
	before := r.state("c")
	r.settle(late, campaign.SettleAnswer, accepted("early-1"), rejected("x"), accepted("early-3"))
	if r.state("c") != before {
		t.Error("the repeated result changed the ledger")
	}
	r.settle(last, campaign.SettleAnswer, accepted("late-3"))
	if row := r.rows("c")[2]; row.MessageID != "early-3" || !slices.Equal(row.Resent, []string{"late-3"}) || r.summary("c").Resent != 1 {
		t.Errorf("row 3 is %+v, want the ids of both messages", row)
	}
	out := r.settle(r.claim("c", two[0], 0, 0, noKey, long), campaign.SettleAnswer, rejected("x"))
	if r.expect("c", "accepted rejected accepted"); !out.Done {
		t.Error("the campaign is not done")
	}
}

func TestFailoverLateResult_OfALostMoveReachesTheFirstBatch(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	f := r.routed("c", 3, 3)
	saved, err := r.rdb.Dump(t.Context(), ledgerKey("c")).Result()
	r.ok(err)
	open, err := r.rdb.Dump(t.Context(), openKey("c")).Result()
	r.ok(err)
	one := r.move("c", "0.0", f, 1)
	two := r.move("c", one[0], f, 2)
	lost := r.claim("c", two[0], 0, 0, noKey, long)
	r.ok(r.rdb.RestoreReplace(t.Context(), ledgerKey("c"), 0, saved).Err())
	r.ok(r.rdb.RestoreReplace(t.Context(), openKey("c"), 0, open).Err())
	r.move("c", "0.0", f, 2) // this time the recipients move to other batches
	r.settle(lost, campaign.SettleAnswer, accepted("x"), unknown("no_answer"), rejected("x"))
	r.expect("c", "accepted pending pending")
	if row := r.rows("c")[0]; row.MessageID != "x" || row.MessageUUID != lost.IdempotencyKey.String() {
		t.Errorf("row 1 is %+v, want id x under the key of the lost claim", row)
	}
}

func TestFailoverRetry_RetriesAtTheAccountMovedTo(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	f := r.routed("c", 6, 3, 3)
	names := r.move("c", "0.0", f, 1)
	further := r.move("c", names[1], f, 2)
	r.settle(r.claim("c", names[0], 0, 0, noKey, long), campaign.SettleAnswer, rejected("x"), accepted("1"))
	r.settle(r.claim("c", names[0], 1, 0, noKey, long), campaign.SettleAnswer, unknown("x"), rejected("x"))
	r.settle(r.claim("c", further[0], 0, 0, noKey, long), campaign.SettleAnswer, rejected("x"), accepted("2"))
	r.expect("c", "rejected accepted unknown rejected rejected accepted")
	n, err := r.Retry(t.Context(), "c", "op", true, true)
	if err != nil || n != 4 {
		t.Fatalf("retried %d, %v; want 4", n, err)
	}
	r.expect("c", "pending accepted pending pending pending accepted")
	if n, err = r.Retry(t.Context(), "c", "op", true, true); err != nil || n != 4 {
		t.Errorf("the same retry again returned %d, %v; want 4", n, err)
	}
	if s := r.summary("c"); s.ByAccount[1].Pending != 3 || s.ByAccount[2].Pending != 1 {
		t.Errorf("counts by account are %+v, want 3 pending at a1 and 1 at a2", s.ByAccount)
	}
}

func TestFailoverPlan_NextPlannerCountsMovedRecipientsOnce(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.enqueue("c", campaign.Spec{}, 2*campaign.MaxPageRows)
	p := r.startPlan("c", 2)
	_, _, err := p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1},
		Batches: []campaign.PlannedBatch{{Calls: []int{500}, To: plannedRows(1, 500)}, {Calls: []int{500}, To: plannedRows(501, 500)}}})
	r.ok(err)
	r.move("c", "0.0", p.Snapshot, 1)
	r.move("c", "0.1", p.Snapshot, 1)
	p = r.startPlan("c", 2)
	rows := map[int]int{}
	for x, err := range p.PlannedMessages(t.Context()) {
		r.ok(err)
		rows[x.Row]++
	}
	if len(rows) != 1000 || p.Next != 1 {
		t.Fatalf("%d rows are planned, and page %d comes next; want 1000 and page 1", len(rows), p.Next)
	}
	for row, n := range rows {
		if n != 1 {
			t.Fatalf("row %d is planned %d times, want once", row, n)
		}
	}
	_, _, err = p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{Page: 1, First: 1001, OpenBatchLimits: map[int]int{0: 1}, Batches: []campaign.PlannedBatch{
		{Calls: []int{500}, To: plannedRows(1001, 500)}, {Stream: 1, Calls: []int{500}, To: plannedRows(1501, 500)}}})
	r.ok(err)
	r.sound("c")
	// A batch whose recipients all moved before it was handed out does not block later batches.
	if got, err := r.Waiting(t.Context(), "c", 2); err != nil || got.Next[0] != 2 && !slices.Contains(got.Open, "0.2") {
		t.Errorf("Waiting returned %+v, %v; want batch 0.2 next or open", got, err)
	}
}

func TestFailoverMove_NoValueOver64KB(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.enqueue("c", campaign.Spec{}, 500)
	f := campaign.PlanSnapshot{Accounts: []campaign.SnapshotAccount{{Name: "a0", MaxRecipients: 500, BatchSize: 500}, {Name: "a1", MaxRecipients: 1, BatchSize: 1}}}
	p, err := r.StartPlan(t.Context(), "c", func(campaign.Spec) (campaign.PlanSnapshot, error) { return f, nil })
	r.ok(err)
	_, _, err = p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1}, Batches: []campaign.PlannedBatch{{Calls: []int{500}, To: plannedRows(1, 500)}}})
	r.ok(err)
	if names := r.move("c", "0.0", f, 1); len(names) != 500 {
		t.Errorf("%d new batches, want 500", len(names))
	}
	r.sound("c")
	all, err := r.rdb.HGetAll(t.Context(), ledgerKey("c")).Result()
	r.ok(err)
	for f, v := range all {
		if len(v) > 64<<10 {
			t.Errorf("field %s has %d bytes, want at most 64 KB", f, len(v))
		}
	}
}

func TestFailoverMove_KeepsTheSendingHours(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.enqueue("c", campaign.Spec{}, 3)
	f := campaign.PlanSnapshot{Country: "KE", Accounts: []campaign.SnapshotAccount{{Name: "a0", MaxRecipients: 3, BatchSize: 3}, {Name: "a1", MaxRecipients: 2, BatchSize: 2}},
		SendingHours: []campaign.CountryHours{{Country: "KE", Hours: "08:00-18:00"}}}
	p, err := r.StartPlan(t.Context(), "c", func(campaign.Spec) (campaign.PlanSnapshot, error) { return f, nil })
	r.ok(err)
	_, _, err = p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{2: 9}, Batches: []campaign.PlannedBatch{{Stream: 2, Calls: []int{3}, To: plannedRows(1, 3)}}})
	r.ok(err)
	for _, name := range r.move("c", "2.0", f, 1) {
		t.Error("no error for a stream outside the snapshot: ", name)
	}
	names, err := r.records.movedTo(t.Context(), "c", "2.0")
	r.ok(err)
	for _, name := range names {
		if stream, err := f.StreamOf(name); err != nil || stream.Account.Name != "a1" || stream.SendingHours.Country != "KE" {
			t.Errorf("batch %s has stream %+v, %v; want account a1 with the hours of KE", name, stream, err)
		}
	}
	r.expect("c", "pending pending pending")
	if s := r.summary("c"); len(names) != 2 || s.ByAccount[1].Pending != 3 {
		t.Errorf("the new batches are %v, counts by account %+v; want two batches and 3 pending at a1", names, s.ByAccount)
	}
}
