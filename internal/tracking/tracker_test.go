package tracking

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
)

func TestApply_FirstFinalReportDecides(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan("c", 1, 2, 2)
	r.send("c", 0, 0)
	r.send("c", 0, 1)
	sent := r.report("c", 1, true)
	sent.Status = providers.MessageStatus{State: "Sent"}
	if got := r.apply(sent, r.report("c", 1, true), r.report("c", 1, false), r.report("c", 4, false), sent); got != "pending delivered duplicate undelivered pending" {
		t.Errorf("got %s", got)
	}
	if got := r.apply(r.report("c", 4, true), r.report("c", 4, false)); got != "duplicate duplicate" {
		t.Errorf("later reports: got %s", got)
	}
	if got := r.statuses("c"); got != "delivered accepted accepted undelivered:AbsentSubscriber" {
		t.Errorf("got %s", got)
	}
	if s := r.summary("c"); s.State != campaign.Done {
		t.Errorf("the campaign is %s, want done", s.State)
	}
}

// A report that arrives before the settle is parked. After the settle, the worker applies it.
func TestSettled_AppliesWhatIsParked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan("c", 1, 1, 3)
	c := r.claim("c", 0, 0, time.Hour)
	if got := r.apply(r.report("c", 1, true), r.report("c", 1, false)); got != "parked parked" {
		t.Errorf("before the answer: got %s", got)
	}
	r.note("c", c)
	if got := r.apply(r.report("c", 2, false)); got != "parked" {
		t.Errorf("between index and settle: got %s", got)
	}
	if r.parkedCount() != 2 {
		t.Errorf("%d reports are parked, want one for each message", r.parkedCount())
	}
	r.settle(c, c.accepted("c"))
	r.Settled(t.Context(), c.accepted("c"))
	if got := r.statuses("c"); got != "delivered undelivered:AbsentSubscriber accepted" {
		t.Errorf("got %s", got)
	}
	if r.parkedCount() != 0 {
		t.Errorf("%d reports are still parked", r.parkedCount())
	}
	if r.counted[Parked] != 3 || r.counted[Delivered] != 1 || r.counted[Undelivered] != 1 {
		t.Errorf("counted %v", r.counted)
	}
}

// If a worker is killed after the settle, LookAgain applies the parked reports.
func TestLookAgain_AppliesWhatTheWorkerLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan("c", 1, 1, 2)
	c := r.claim("c", 0, 0, time.Hour)
	r.note("c", c)
	r.apply(r.report("c", 2, true))
	r.lookNow()
	if got := r.statuses("c"); got != "pending pending" || r.parkedCount() != 1 {
		t.Errorf("a call in flight: got %s, %d parked", got, r.parkedCount())
	}
	r.settle(c, c.accepted("c"))
	r.lookNow()
	if got := r.statuses("c"); got != "accepted delivered" || r.parkedCount() != 0 {
		t.Errorf("got %s, %d parked", got, r.parkedCount())
	}
}

// If a worker is killed after it has written the index and before the settle, the outcome of the call is
// unknown. A delivery report then proves that the gateway took the message.
func TestLookAgain_ProvesAMessageWhoseSettleWasLost(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan("c", 1, 1, 3)
	c := r.claim("c", 0, 0, time.Hour)
	r.note("c", c)
	r.apply(r.report("c", 1, true), r.report("c", 2, false))
	r.settle(c, slices.Repeat([]campaign.Record{{Status: campaign.Unknown, Reason: "no_answer"}}, 3))
	r.lookNow()
	if got := r.statuses("c"); got != "delivered:reconciled undelivered:reconciled unknown:no_answer" {
		t.Errorf("got %s", got)
	}
	if s := r.summary("c"); s.Unknown != 1 || r.parkedCount() != 0 {
		t.Errorf("%d unknown, %d parked", s.Unknown, r.parkedCount())
	}
}

// A call got no answer. A report about one of its messages finds the recipient by the number, and so proves that
// the gateway took this message. A later report finds the message by its id.
func TestLookAgain_ProvesAMessageByItsNumber(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan("c", 1, 1, 3)
	c := r.claim("c", 0, 0, time.Hour)
	other := r.report("c", 1, true)
	other.To = msisdn(77)
	r.apply(r.report("c", 2, false), other)
	r.lookNow()
	if got := r.statuses("c"); got != "pending pending pending" {
		t.Errorf("a call in flight: got %s", got)
	}
	r.settle(c, slices.Repeat([]campaign.Record{{Status: campaign.Unknown, Reason: "no_answer"}}, 3))
	r.lookNow()
	if got := r.statuses("c"); got != "unknown:no_answer undelivered:reconciled unknown:no_answer" {
		t.Errorf("got %s", got)
	}
	sent := r.report("c", 3, true)
	sent.Status = providers.MessageStatus{State: "Sent"}
	if got := r.apply(sent); got != "pending" {
		t.Errorf("got %s", got)
	}
	if got := r.apply(r.report("c", 3, true)); got != "delivered" {
		t.Errorf("a report about a message that a first report has proved: got %s", got)
	}
}

// The gateway refused a call, and the worker split it. Both parts got no answer. A report proves a message of the part
// that has its recipient, although both parts are attempts of one call.
func TestLookAgain_ProvesAMessageOfASplitCall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan("c", 1, 1, 4)
	whole := r.claim("c", 0, 0, time.Hour)
	_, err := r.ledger.Split(t.Context(), whole.claim)
	r.ok(err)
	r.ok(r.attempts.End(t.Context(), testLogin, whole.claim.Attempt()))
	for settled := 0; settled < 4; {
		part := r.claim("c", 0, 0, time.Hour)
		settled += len(part.gen.To)
		if part.gen.Number == 0 || len(part.gen.To) == 4 {
			t.Fatalf("generation %d has %d recipients, want a part of the call", part.gen.Number, len(part.gen.To))
		}
		r.settle(part, slices.Repeat([]campaign.Record{{Status: campaign.Unknown, Reason: "no_answer"}}, len(part.gen.To)))
	}
	r.apply(r.report("c", 1, true), r.report("c", 4, false))
	r.lookNow()
	if got := r.statuses("c"); got != "delivered:reconciled unknown:no_answer unknown:no_answer undelivered:reconciled" {
		t.Errorf("got %s", got)
	}
	if s := r.summary("c"); s.Unknown != 2 || r.parkedCount() != 0 {
		t.Errorf("%d unknown, %d parked", s.Unknown, r.parkedCount())
	}
	sent := r.report("c", 2, true)
	sent.Status = providers.MessageStatus{State: "Sent"}
	if got := r.apply(sent); got != "pending" {
		t.Errorf("a report that is not final: got %s", got)
	}
}

// Two calls to the same number have an unknown outcome. A report proves neither of them, because it may be about
// either of the messages.
func TestLookAgain_ProvesNothingIfTwoCallsAreUnknown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, id := range []string{"c", "d"} {
		r.plan(id, 1, 1, 2)
		r.settle(r.claim(id, 0, 0, time.Hour), slices.Repeat([]campaign.Record{{Status: campaign.Unknown, Reason: "no_answer"}}, 2))
	}
	r.apply(r.report("c", 1, true))
	r.lookNow()
	for _, id := range []string{"c", "d"} {
		if got := r.statuses(id); got != "unknown:no_answer unknown:no_answer" {
			t.Errorf("campaign %s: got %s", id, got)
		}
	}
	if n := r.parkedCount(); n != 1 {
		t.Errorf("%d reports are parked, want 1", n)
	}
}

// A report proves that the gateway took a message, but LookAgain fails while it stores this result. The next
// LookAgain stores the result.
func TestLookAgain_ProvesAfterAFailureInTheMiddle(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]string{"index": tableKey(testLogin, 1), "list": "tuma:sent:{" + testLogin + "}:"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.plan("c", 1, 1, 2)
			c := r.claim("c", 0, 0, time.Hour)
			r.settle(c, slices.Repeat([]campaign.Record{{Status: campaign.Unknown, Reason: "no_answer"}}, 2))
			r.apply(r.report("c", 2, true))
			if name == "list" {
				key += strconv.FormatInt(time.Now().UnixMilli()/(10*60*1000), 10)
			}
			r.ok(r.rdb.LPush(t.Context(), key, "not what the scripts expect").Err())
			r.ok(r.rdb.ZAdd(t.Context(), parkDueKey(testLogin), redis.Z{Score: 1, Member: messageID("c", 2)}).Err())
			if _, err := r.LookAgain(t.Context()); err == nil {
				t.Fatal("no error while Redis refuses a step of the proof")
			}
			r.ok(r.rdb.Del(t.Context(), key).Err())
			r.lookNow()
			if got := r.statuses("c"); got != "unknown:no_answer delivered:reconciled" {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestLookAgain_ForgetsReportsAfterTheirTime(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old := r.report("c", 1, true)
	old.At = time.Now().Add(-73 * time.Hour)
	r.apply(old, r.report("c", 2, true))
	r.ok(r.rdb.HSet(t.Context(), parkedKey(testLogin), "bad", "x").Err())
	r.ok(r.rdb.ZAdd(t.Context(), parkDueKey(testLogin), zAt("bad"), zAt("gone")).Err())
	r.lookNow()
	if r.parkedCount() != 1 || r.counted[Unmatched] != 2 {
		t.Errorf("%d parked, counted %v; want the newer report only: an unreadable one counts as old", r.parkedCount(), r.counted)
	}
}

func TestApply_RefusesReportsBeyondTheBound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	fill := make([]any, 0, 2*maxParked)
	for i := range maxParked {
		fill = append(fill, messageID("fill", i), "1 d 0 x\t")
	}
	r.ok(r.rdb.HSet(t.Context(), parkedKey(testLogin), fill...).Err())
	if _, err := r.Apply(t.Context(), []Report{r.report("c", 1, true)}); !isFull(err) {
		t.Errorf("got %v, want ErrParkedFull", err)
	}
}

// Two processes receive reports at once. Every report arrives twice and in any order, and some reports arrive before
// the settle.
func TestApply_TwiceShuffledAndEarly(t *testing.T) {
	t.Parallel()
	const batches, calls, size = 4, 5, 20
	r := newRig(t)
	r.plan("c", batches, calls, size)
	seed := rand.New(rand.NewPCG(1, 2))
	want := make([]bool, batches*calls*size)
	var early, late []Report
	for i := range want {
		want[i] = seed.IntN(4) > 0
		x := r.report("c", i+1, want[i])
		for range 2 {
			if seed.IntN(10) == 0 {
				early = append(early, x)
			} else {
				late = append(late, x)
			}
		}
	}
	seed.Shuffle(len(late), func(i, j int) { late[i], late[j] = late[j], late[i] })
	r.apply(early...)
	for b := range batches {
		for k := range calls {
			r.send("c", b, k)
		}
	}
	var wg sync.WaitGroup
	var errs [2]error
	for i := range errs {
		other := New(Config{Ledger: r.ledger, Log: r.log, Login: testLogin, For: time.Hour})
		wg.Go(func() {
			for part := range slices.Chunk(late[i*len(late)/2:(i+1)*len(late)/2], 64) {
				if _, err := other.Apply(t.Context(), part); err != nil {
					errs[i] = err
				}
			}
		})
	}
	for range 20 {
		r.summary("c") // I1 while reports come
	}
	wg.Wait()
	r.ok(errs[0])
	r.ok(errs[1])
	n := 0
	for row, err := range r.ledger.ResultsAfter(t.Context(), "c", 0) {
		r.ok(err)
		if delivered := row.Status == campaign.Delivered; delivered != want[row.Row-1] || !delivered && row.Status != campaign.Undelivered {
			t.Errorf("row %d is %s, the gateway said delivered: %t", row.Row, row.Status, want[row.Row-1])
		}
		n++
	}
	if s := r.summary("c"); n != len(want) || s.Accepted != 0 || r.parkedCount() != 0 {
		t.Errorf("%d rows, %d accepted, %d parked", n, s.Accepted, r.parkedCount())
	}
}

// A report about a record that cannot be read waits, and other reports of the same run are applied.
func TestApply_UnreadableRecordsDoNotStopOthers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan("c", 2, 1, 2)
	r.send("c", 0, 0)
	r.send("c", 1, 0)
	r.ok(r.rdb.HSet(t.Context(), "tuma:{c}:l", "r0.0.0", "\x03\xff").Err())
	if got := r.apply(r.report("c", 1, true), r.report("c", 3, true)); got != "parked delivered" {
		t.Errorf("got %s", got)
	}
}

// Applied is called for each final report that was applied, with the batch in which its message went out. If a report
// about a blacklisted number is repeated, Applied is called again: the process that applied the first report may have
// died before it added the number to the suppression list. The record of a parked report says that the gateway has
// blacklisted the number.
func TestApplied_BlacklistedNumbersComeAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.planAt("c", []string{"at", "at2"}, 1, 1, 3)
	var got []string
	r.Tracker = New(Config{Ledger: r.ledger, Log: r.log, Login: testLogin, For: time.Hour, Applied: func(_ context.Context, list []Applied) {
		for _, x := range list {
			got = append(got, fmt.Sprintf("%s %s %t %t", x.Name, x.To, x.Status.Delivered, x.Blacklisted))
		}
	}})
	late := r.claim("c", 0, 0, time.Hour)
	_, err := r.ledger.Release(t.Context(), late.claim, 0, ledger.ReleaseUnsent)
	r.ok(err)
	r.moveAll("c", "0.0", 1)
	listed := r.report("c", 1, false)
	listed.Blacklisted = true
	r.apply(listed, listed)
	r.note("c", late)
	r.settle(late, late.accepted("c")) // meanwhile the recipients are in a batch of the second account
	r.Settled(t.Context(), late.accepted("c"))
	r.apply(listed, r.report("c", 2, true), r.report("c", 2, true))
	if want := []string{"0.0 254700000001 false true", "0.0 254700000001 false true", "0.0 254700000002 true false"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
