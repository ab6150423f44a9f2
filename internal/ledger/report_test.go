package ledger

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// atID returns a message id in the form of Africa's Talking.
func atID(n int) string { return fmt.Sprintf("ATXid_%032x", n) }

// settleAll settles call 0 of batch 0.0: every recipient is accepted under the id of its row.
func (r *testLedger) settleAll(id string, n int) {
	r.Helper()
	c := r.claim(id, "0.0", 0, 0, noKey, long)
	var records []campaign.Record
	for i := range n {
		records = append(records, accepted(atID(i+1)))
	}
	r.settle(c, campaign.SettleAnswer, records...)
}

func (r *testLedger) apply(id string, reports ...Report) string {
	r.Helper()
	out, err := NewReports(r.Ledger).Apply(r.Context(), id, r.uploadOf(id), reports)
	r.ok(err)
	return strings.Trim(fmt.Sprint(out), "[]")
}

// uploadOf returns the token of a campaign's upload.
func (r *testLedger) uploadOf(id string) string {
	r.Helper()
	upload, _, err := r.Index().Upload(r.Context(), id)
	r.ok(err)
	return upload
}

// The function "about" returns a delivery report for a row of batch 0.0, call 0.
func about(row int, delivered bool, at time.Time) Report {
	return Report{Batch: "0.0", Position: row - 1, Row: row, MessageID: atID(row), Delivered: delivered, Reason: "DeliveryFailure", State: "Failed", At: at}
}

func TestReports_FinalStatusNeverChanges(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{4})
	now := r.clock()
	if got := r.apply("c", about(1, true, now)); got != "unsettled" {
		t.Errorf("a report before the settle: got %s", got)
	}
	r.settleAll("c", 4)
	if got := r.apply("c", about(1, true, now), about(2, false, now), about(2, true, now), about(1, false, now)); got != "applied applied repeated repeated" {
		t.Errorf("got %s", got)
	}
	if got := r.apply("c", about(1, true, now), about(2, false, now)); got != "repeated repeated" {
		t.Errorf("the same reports again: got %s", got)
	}
	r.expect("c", "delivered undelivered accepted accepted")
	rows := r.rows("c")
	if rows[1].Reason != "DeliveryFailure" || rows[1].Code != "Failed" || !rows[1].DeliveredAt.IsZero() {
		t.Errorf("an undelivered row has reason %q, code %q, delivered at %v; want the gateway's, and no time", rows[1].Reason, rows[1].Code, rows[1].DeliveredAt)
	}
	if rows[0].MessageID != atID(1) || rows[0].DeliveredAt.IsZero() {
		t.Errorf("a delivered row has id %q, delivered at %v", rows[0].MessageID, rows[0].DeliveredAt)
	}
	if s := r.summary("c"); s.State != campaign.Done {
		t.Errorf("the campaign is %s, want done", s.State)
	}
}

func TestReports_OnlyTheStoredIDCounts(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{3})
	c := r.claim("c", "0.0", 0, 0, noKey, long)
	r.settle(c, campaign.SettleAnswer, accepted(atID(1)), rejected("dead"), accepted("id-3"))
	now := r.clock()
	wrong := about(1, true, now)
	wrong.MessageID = atID(9)
	part := about(3, true, now)
	part.MessageID = "id-"
	outside := about(1, true, now)
	outside.Position = 7
	noRow := about(1, true, now)
	noRow.Row = 4
	if got := r.apply("c", wrong, about(2, true, now), part, outside, noRow); got != "other other other other other" {
		t.Errorf("got %s", got)
	}
	r.expect("c", "accepted rejected accepted")
	if got := r.apply("gone", about(1, true, now)); got != "gone" {
		t.Errorf("an unknown campaign: got %s", got)
	}
}

// A recipient with two accepted messages is delivered if either message is delivered.
func TestReports_SecondMessageCounts(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1})
	c := r.claim("c", "0.0", 0, 0, noKey, long)
	r.settle(c, campaign.SettleAnswer, unknown("timeout"))
	_, err := r.retryAll("c")
	r.ok(err)
	second := r.claim("c", "0.0", 0, 1, noKey, long)
	r.settle(second, campaign.SettleAnswer, accepted(atID(2)))
	r.settle(c, campaign.SettleAnswer, accepted(atID(1)))
	x := about(1, true, r.clock())
	if got := r.apply("c", x); got != "applied" {
		t.Errorf("a report about the first message: got %s, rows %+v", got, r.rows("c"))
	}
	r.expect("c", "delivered")
}

// retryAll retries the unknown and the rejected recipients of a campaign, and returns their number.
func (r *testLedger) retryAll(id string) (int, error) {
	return r.Retry(r.Context(), id, script.NewToken(), true, true)
}

func TestRetry_LeavesReportedRecipientsAlone(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{4})
	c := r.claim("c", "0.0", 0, 0, noKey, long)
	r.settle(c, campaign.SettleAnswer, accepted(atID(1)), accepted(atID(2)), unknown("timeout"), rejected("dead"))
	now := r.clock()
	r.apply("c", about(1, true, now), about(2, false, now))
	n, err := r.retryAll("c")
	r.ok(err)
	if n != 2 {
		t.Errorf("the retry sends again to %d recipients, want the unknown and the rejected one", n)
	}
	r.expect("c", "delivered undelivered pending pending")
}

func TestDeliveryTimes_MedianAndP95(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{100})
	r.settleAll("c", 100)
	at := r.rows("c")[0].UpdatedAt
	for row := 1; row <= 100; row++ {
		r.apply("c", about(row, true, at.Add(time.Duration(row)*time.Minute)))
	}
	d, err := NewReports(r.Ledger).DeliveryTimes(t.Context(), "c")
	r.ok(err)
	near := func(got, want time.Duration) bool {
		return got > want*96/100 && got < want*104/100
	}
	if d.Messages != 100 || !near(d.Median, 50*time.Minute) || !near(d.P95, 95*time.Minute) {
		t.Errorf("got %+v, want 50m and 95m within 4 percent", d)
	}
	for i, row := range r.rows("c") {
		if want := time.Duration(i+1) * time.Minute; !near(row.DeliveredAt.Sub(at), want) {
			t.Errorf("row %d was delivered after %v, want %v", i+1, row.DeliveredAt.Sub(at), want)
		}
	}
}

func TestOverlayDelay_EveryCodeIsTheMiddleOfItsStep(t *testing.T) {
	t.Parallel()
	for code := 2; code < 255; code++ {
		if a, b := overlayDelay(code), overlayDelay(code+1); b <= a || b > a*107/100 {
			t.Errorf("codes %d and %d stand for %v and %v", code, code+1, a, b)
		}
	}
	if last := overlayDelay(255); last < 72*time.Hour {
		t.Errorf("the scale ends at %v, want more than 72 h", last)
	}
}

func TestPurge_RemovesTheOverlay(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2})
	r.settleAll("c", 2)
	r.apply("c", about(1, true, r.clock()), about(2, false, r.clock()))
	if _, err := r.Purge(t.Context(), "c", r.clock().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	keys, err := r.rdb.Keys(t.Context(), "tuma:{c}:*").Result()
	r.ok(err)
	if !slices.Equal(keys, []string{tombstoneKey("c")}) {
		t.Errorf("after the purge Redis has %q, want the tombstone only", keys)
	}
}

// The overlay takes at most three bytes a recipient. A message id of Africa's Talking takes 18
// bytes in a record.
func TestMemory_OverlayTakesThreeBytesARecipient(t *testing.T) {
	t.Parallel()
	const rows = 64_000
	r := newTestLedger(t)
	page := campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1000}}
	for row := 1; row <= rows; row += 500 {
		page.Batches = append(page.Batches, campaign.PlannedBatch{Calls: []int{500}, To: plannedRows(row, 500)})
	}
	r.enqueue("c", campaign.Spec{}, rows)
	r.ok(r.rdb.HSet(t.Context(), ledgerKey("c"), fieldPages, 1).Err()) // one page with all recipients, so that one step plans them
	_, _, err := r.startPlan("c", 1).CommitPage(t.Context(), script.NewToken(), page)
	r.ok(err)
	for b := range rows / 500 {
		c := r.claim("c", campaign.BatchName(0, b), 0, 0, noKey, long)
		var records []campaign.Record
		for i := range 500 {
			records = append(records, accepted(atID(b*500+i+1)))
		}
		r.settle(c, campaign.SettleAnswer, records...)
	}
	now := r.clock()
	for b := range rows / 500 {
		var reports []Report
		for i := range 500 {
			x := about(b*500+i+1, i%10 > 0, now)
			x.Batch, x.Position = campaign.BatchName(0, b), i
			reports = append(reports, x)
		}
		r.apply("c", reports...)
	}
	keys, err := r.rdb.Keys(t.Context(), "tuma:{c}:d*").Result()
	r.ok(err)
	used := 0
	for _, key := range keys { // used_memory would also count the buffers of connections, so the test adds up the keys
		n, err := r.rdb.MemoryUsage(t.Context(), key, 0).Result()
		r.ok(err)
		used += int(n)
	}
	each := float64(used) / rows
	t.Logf("overlay: %.2f bytes a recipient", each)
	if each > 3 {
		t.Errorf("the overlay takes %.2f bytes a recipient, want at most 3", each)
	}
	if s := r.summary("c"); s.Delivered != rows*9/10 || s.Undelivered != rows/10 || s.Accepted != 0 {
		t.Errorf("delivered %d, undelivered %d, accepted %d", s.Delivered, s.Undelivered, s.Accepted)
	}
	if n := len(appendRecord(nil, accepted(atID(1)))); n != 22 {
		t.Errorf("a record with an id of Africa's Talking has %d bytes, want 22", n)
	}
}
