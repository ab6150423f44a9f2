package ledger

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// The method "uploaded" uploads and commits a campaign with pages of the given sizes.
func (r *testLedger) uploaded(id string, spec campaign.Spec, pages ...int) {
	r.Helper()
	spec.Body = "Habari"
	u, err := r.BeginUpload(id, spec)
	r.ok(err)
	row := 1
	for _, n := range pages {
		for range n {
			r.ok(u.Add(r.Context(), msisdnOfRow(row).E164()))
			row++
		}
		r.ok(u.flush(r.Context(), 1))
	}
	_, err = u.Commit(r.Context())
	r.ok(err)
}

func TestPlan_PageByPageWithCarryOver(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.uploaded("c", campaign.Spec{}, 3, 2, 2)
	p := r.startPlan("c", 2)
	if p.Total != 7 || p.Pages != 3 || p.Next != 0 {
		t.Fatalf("the plan is of %d recipients, %d pages, from page %d; want 7, 3, 0", p.Total, p.Pages, p.Next)
	}
	_, done, err := p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, Carry: plainCarry(plannedRows(1, 1), plannedRows(3, 1)),
		Skipped: []campaign.SkippedRecipient{{Row: 2, Reason: campaign.ReasonInvalidNumber, Code: "too_short"}}})
	if err != nil || done {
		t.Fatal(done, err)
	}
	r.expect("c", "pending skipped pending pending pending pending pending")

	// Another planner takes over and finds the state that the first planner stored.
	p = r.startPlan("c", 7) // the stored snapshot is used
	if len(p.Snapshot.Accounts) != 2 || p.Next != 1 || !cmp.Equal(p.Carry, plainCarry(plannedRows(1, 1), plannedRows(3, 1))) {
		t.Fatalf("planning continues at page %d with %v and %d accounts; want page 1, rows 1 and 3, 2 accounts", p.Next, p.Carry, len(p.Snapshot.Accounts))
	}
	if row, err := p.FirstRow(t.Context()); err != nil || row != 4 {
		t.Errorf("page 1 begins with row %d, %v; want 4", row, err)
	}
	wakes, _, err := p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{Page: 1, First: 4, OpenBatchLimits: map[int]int{0: 1, 1: 1},
		Batches: []campaign.PlannedBatch{{Stream: 0, Calls: []int{2}, To: append(plannedRows(1, 1), plannedRows(4, 1)...)}}, Carry: plainCarry(nil, append(plannedRows(3, 1), plannedRows(5, 1)...))})
	r.ok(err)
	if want := []Wake{{"0.0", 1}}; !cmp.Equal(wakes, want) {
		t.Errorf("handed out %v, want %v", wakes, want)
	}
	var planned []int
	for x, err := range p.PlannedMessages(t.Context()) {
		r.ok(err)
		planned = append(planned, x.Row)
	}
	if want := []int{1, 4, 3, 5}; !cmp.Equal(planned, want) {
		t.Errorf("planned so far are rows %v, want %v", planned, want)
	}
	r.sound("c")

	_, done, err = p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{Page: 2, First: 6, OpenBatchLimits: map[int]int{0: 1, 1: 1},
		Skipped: []campaign.SkippedRecipient{{Row: 7, Reason: campaign.ReasonDuplicate}}, Batches: []campaign.PlannedBatch{{Stream: 1, Calls: []int{1, 2}, To: append(append(plannedRows(3, 1), plannedRows(5, 1)...), plannedRows(6, 1)...)}}})
	if err != nil || done {
		t.Fatal(done, err)
	}
	if again, err := r.StartPlan(t.Context(), "c", func(campaign.Spec) (campaign.PlanSnapshot, error) { return campaign.PlanSnapshot{}, nil }); again != nil || err != nil {
		t.Errorf("StartPlan of a planned campaign returned %v, %v; want nil", again, err)
	}
	r.settle(r.claim("c", "0.0", 0, 0, keyed, long), campaign.SettleAnswer, accepted("m1"), accepted("m4"))
	r.settle(r.claim("c", "1.0", 0, 0, noKey, long), campaign.SettleAnswer, accepted("m3"))
	r.settle(r.claim("c", "1.0", 1, 0, noKey, long), campaign.SettleAnswer, rejected("bad_number"), accepted("m6"))
	r.expect("c", "accepted skipped accepted accepted rejected accepted skipped")
	rows := r.rows("c")
	if rows[0].Account != "a0" || rows[2].Account != "a1" || rows[1].Code != "too_short" || rows[4].Input != msisdnOfRow(5).E164() || rows[4].MSISDN != msisdnOfRow(5) {
		t.Errorf("rows are %+v, want the planned accounts and the skipped rows", rows)
	}
	if s := r.summary("c"); s.State != campaign.Done || s.Batches != 2 || s.Calls != 3 || s.Segments != 4 {
		t.Errorf("summary is %+v, want done with 2 batches, 3 calls and 4 segments", s)
	}
}

func TestPlan_SecondPlannerIsStopped(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.uploaded("c", campaign.Spec{}, 2, 2)
	one, two := r.startPlan("c", 1), r.startPlan("c", 1)
	page := campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 2}, Batches: []campaign.PlannedBatch{{Calls: []int{2}, To: plannedRows(1, 2)}}}
	token := script.NewToken()
	first, _, err := one.CommitPage(t.Context(), token, page)
	r.ok(err)
	before := r.state("c")
	if _, _, err := two.CommitPage(t.Context(), script.NewToken(), page); !errors.Is(err, ErrMoved) {
		t.Errorf("the second planner got %v, want ErrMoved", err)
	}
	// The first planner did not get the answer to its commit, and repeats the commit.
	again, _, err := one.CommitPage(t.Context(), token, page)
	if err != nil || !cmp.Equal(again, first) {
		t.Errorf("the repeated commit returned %v, %v; want %v", again, err, first)
	}
	if r.state("c") != before {
		t.Error("the second planner or the repeated commit changed the ledger")
	}
}

// Redis restarts without the snapshot of a plan, while a planner works on the first page. The page must not be
// committed. Its batches could not be sent, because Redis no longer has the names of their accounts.
func TestPlan_PageOfALostSnapshotIsNotCommitted(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.uploaded("c", campaign.Spec{}, 2)
	uploaded := r.rdb.Dump(t.Context(), ledgerKey("c")).Val()
	p := r.startPlan("c", 1)
	r.ok(r.rdb.RestoreReplace(t.Context(), ledgerKey("c"), 0, uploaded).Err())
	before := r.state("c")
	page := campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 2}, Batches: []campaign.PlannedBatch{{Calls: []int{2}, To: plannedRows(1, 2)}}}
	if _, _, err := p.CommitPage(t.Context(), script.NewToken(), page); !errors.Is(err, ErrMoved) || r.state("c") != before {
		t.Errorf("the page was committed, or changed the ledger: %v, want ErrMoved", err)
	}
	again := r.startPlan("c", 2) // another snapshot
	before = r.state("c")
	if _, _, err := p.CommitPage(t.Context(), script.NewToken(), page); !errors.Is(err, ErrMoved) || r.state("c") != before {
		t.Errorf("a page of the lost snapshot was committed to another plan, or changed the ledger: %v, want ErrMoved", err)
	}
	if _, _, err := again.CommitPage(t.Context(), script.NewToken(), page); err != nil {
		t.Errorf("the campaign cannot be planned again: %v", err)
	}
}

func TestPlan_RepeatedLastPageChangesNothing(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.uploaded("c", campaign.Spec{}, 2)
	p := r.startPlan("c", 1)
	page := campaign.PlannedPage{First: 1, Skipped: []campaign.SkippedRecipient{{Row: 1, Reason: campaign.ReasonNoRoute}, {Row: 2, Reason: campaign.ReasonOverCap}}}
	token := script.NewToken()
	for range 2 {
		if _, done, err := p.CommitPage(t.Context(), token, page); err != nil || !done {
			t.Errorf("CommitPage returned done %t, %v; want true", done, err)
		}
		r.expect("c", "skipped skipped")
	}
}

func TestOpenBatchLimit_BoundsBatchesHandedOut(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.uploaded("c", campaign.Spec{}, 6)
	page := campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 2, 1: 0}}
	for i := range 5 {
		page.Batches = append(page.Batches, campaign.PlannedBatch{Calls: []int{1}, To: plannedRows(i+1, 1)})
	}
	page.Batches = append(page.Batches, campaign.PlannedBatch{Stream: 1, Calls: []int{1}, To: plannedRows(6, 1)})
	wakes, _, err := r.startPlan("c", 2).CommitPage(t.Context(), script.NewToken(), page)
	r.ok(err)
	if want := []Wake{{"0.0", 1}, {"0.1", 1}}; !cmp.Equal(wakes, want) {
		t.Fatalf("handed out %v, want %v", wakes, want)
	}
	c := r.claim("c", "0.1", 0, 0, keyed, long)
	c.openBatchLimit = 2
	if out := r.settle(c, campaign.SettleAnswer, accepted("m")); !cmp.Equal(out.Wakes, []Wake{{"0.2", 1}}) {
		t.Errorf("a settled batch handed out %v, want 0.2", out.Wakes)
	}
	r.sound("c")
	wakes, _, err = r.TopUp(t.Context(), "c", map[int]int{0: 3})
	if err != nil || !cmp.Equal(wakes, []Wake{{"0.3", 1}}) {
		t.Errorf("a larger open-batch limit handed out %v, %v; want 0.3", wakes, err)
	}
	wakes, _, err = r.TopUp(t.Context(), "c", map[int]int{1: 9})
	if err != nil || !cmp.Equal(wakes, []Wake{{"1.0", 1}}) {
		t.Errorf("room in the other stream handed out %v, %v; want 1.0", wakes, err)
	}
	if wakes, _, err = r.TopUp(t.Context(), "c", map[int]int{0: 3, 1: 9}); err != nil || len(wakes) > 0 {
		t.Errorf("at the open-batch limit, a top-up handed out %v, %v; want nothing", wakes, err)
	}
	r.sound("c")
}

// Redis lost the hand-out of batch 0.1, but a worker continues with the batch. The campaign must
// end.
func TestOpenBatchLimit_CampaignEndsAfterALostHandOut(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.uploaded("c", campaign.Spec{}, 3)
	page := campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1}}
	for i := range 3 {
		page.Batches = append(page.Batches, campaign.PlannedBatch{Calls: []int{1}, To: plannedRows(i+1, 1)})
	}
	_, _, err := r.startPlan("c", 1).CommitPage(t.Context(), script.NewToken(), page)
	r.ok(err)
	c := r.claim("c", "0.1", 0, 0, keyed, long)
	d := r.claim("c", "0.2", 0, 0, keyed, long)
	r.settle(d, campaign.SettleAnswer, accepted("m3"))
	end := r.claim("c", "0.0", 0, 0, keyed, long)
	end.openBatchLimit = 1
	r.settle(end, campaign.SettleAnswer, accepted("m1"))
	r.sound("c")
	c.openBatchLimit = 1
	if out := r.settle(c, campaign.SettleAnswer, accepted("m2")); !out.Done {
		t.Error("the campaign is not done")
	}
	r.expect("c", "accepted accepted accepted")
}

func TestPlan_StopsWhenTheCampaignIsCancelled(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.uploaded("c", campaign.Spec{}, 2, 2)
	p := r.startPlan("c", 1)
	_, _, err := p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 2}, Skipped: []campaign.SkippedRecipient{{Row: 2, Reason: campaign.ReasonDuplicate}},
		Carry: plainCarry(plannedRows(1, 1))})
	r.ok(err)
	if _, err := r.Cancel(t.Context(), "c", "me"); err != nil {
		t.Fatal(err)
	}
	r.expect("c", "skipped skipped skipped skipped")
	if s := r.summary("c"); s.Reasons[campaign.ReasonCancelled] != 3 || s.Reasons[campaign.ReasonDuplicate] != 1 || s.State != campaign.Cancelled || s.FinishedAt.IsZero() {
		t.Errorf("summary is %+v, want cancelled and finished, 3 skipped by the cancel and 1 duplicate", s)
	}
	before := r.state("c")
	if _, _, err := p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{Page: 1, First: 3}); !errors.Is(err, ErrStopped) {
		t.Errorf("the campaign's planner got %v, want ErrStopped", err)
	}
	if p, err := r.StartPlan(t.Context(), "c", func(campaign.Spec) (campaign.PlanSnapshot, error) { return campaign.PlanSnapshot{}, nil }); p != nil || err != nil {
		t.Errorf("StartPlan of a cancelled campaign returned %v, %v; want nil", p, err)
	}
	if r.state("c") != before {
		t.Error("planning continued after the cancel")
	}
}

func TestResults_OfALargeUploadAreInOrder(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	const n = 2*campaign.MaxPageRows + 500
	r.enqueue("c", campaign.Spec{}, n)
	p := r.startPlan("c", 2)
	for page, err := range r.ReadPages(t.Context(), "c", 0, p.Pages, 1) {
		r.ok(err)
		out := campaign.PlannedPage{Page: page.Number, First: page.First, OpenBatchLimits: map[int]int{0: 100, 1: 100}}
		// Odd rows go to account 0 and even rows to account 1, in batches of 100.
		to := [2][]campaign.Planned{}
		for i := range page.Inputs {
			row := page.First + i
			to[row%2] = append(to[row%2], campaign.Planned{Row: row, MSISDN: msisdnOfRow(row)})
		}
		for a := range to {
			for at := 0; at < len(to[a]); at += 100 {
				some := to[a][at:min(at+100, len(to[a]))]
				out.Batches = append(out.Batches, campaign.PlannedBatch{Stream: a, Calls: []int{len(some)}, To: some})
			}
		}
		_, _, err := p.CommitPage(t.Context(), script.NewToken(), out)
		r.ok(err)
	}
	r.settle(r.claim("c", "1.3", 0, 0, keyed, long), campaign.SettleAnswer, repeat(100, accepted("m"))...)
	rows := r.rows("c")
	if len(rows) != n {
		t.Fatalf("got %d results, want %d", len(rows), n)
	}
	for _, row := range rows {
		want := fmt.Sprint("a", row.Row%2)
		if row.Account != want || row.MSISDN != msisdnOfRow(row.Row) || row.Input != msisdnOfRow(row.Row).E164() {
			t.Fatalf("row %d is %+v, want the planned account and the uploaded number", row.Row, row)
		}
	}
	r.sound("c")
	if first := rows[600]; first.Status != campaign.Accepted || first.UpdatedAt.Before(time.Now().Add(-time.Hour)) {
		t.Errorf("row 601 is %+v, want accepted within the last hour", first)
	}
	for _, after := range []int{0, 1, 99, 100, 600, 601, campaign.MaxPageRows - 1, campaign.MaxPageRows, campaign.MaxPageRows + 1, 2 * campaign.MaxPageRows, n - 1, n, n + 1} {
		var rest []Row
		for row, err := range r.ResultsAfter(t.Context(), "c", after) {
			r.ok(err)
			rest = append(rest, row)
		}
		if want := rows[min(after, n):]; len(rest) != len(want) || len(want) > 0 && !reflect.DeepEqual(rest, want) {
			t.Errorf("ResultsAfter(%d) returned %d rows, want the same rows as Results", after, len(rest))
		}
	}
}

// A planner that takes over must know the text of each planned recipient, so that it can recognise
// a repeated message. A repeated message has the same text and the same number.
func TestPlan_PlannedMessagesHaveTheirTexts(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.enqueue("c", campaign.Spec{Body: "Pay {{due}}", Fields: []string{"due"}}, 2*campaign.MaxPageRows)
	p := r.startPlan("c", 1)
	_, _, err := p.CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1},
		Batches: []campaign.PlannedBatch{{Calls: []int{2, 1}, Bodies: []string{"Pay 100", "Pay 200"}, To: plannedRows(1, 3)}},
		Carry:   [][]campaign.Call{{{Values: []string{"300"}, To: plannedRows(4, 1)}}}})
	r.ok(err)
	var got []PlannedMessage
	for x, err := range r.startPlan("c", 1).PlannedMessages(t.Context()) {
		r.ok(err)
		got = append(got, x)
	}
	rows := plannedRows(1, 4)
	want := []PlannedMessage{{rows[0], "Pay 100"}, {rows[1], "Pay 100"}, {rows[2], "Pay 200"}, {rows[3], ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
