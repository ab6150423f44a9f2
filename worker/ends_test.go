package worker_test

import (
	"context"
	"errors"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/sms"
	"github.com/tuma-sms/tuma/worker"
)

func TestSchedule_CampaignStartsAtItsTime(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newClockedStub(providers.Info{})
	r.start(stubAccount(gw))
	start := time.Now().Add(1500 * time.Millisecond).Truncate(time.Millisecond)
	_, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: "b", StartAt: start}, producer.Numbers(kenyanNumbers(3)...))
	if err != nil {
		t.Fatal(err)
	}
	s := r.status("c")
	if s.State != producer.Scheduled || s.StartAt == nil || !s.StartAt.Equal(start) {
		t.Errorf("got the status %+v, want state scheduled and the start %s", s, start)
	}
	r.wait("c", 10*time.Second)
	if at := gw.at[0]; at.Before(start) || at.After(start.Add(2*time.Second)) {
		t.Errorf("sent %s after StartAt, want 0 to 2 s", at.Sub(start))
	}
}

func TestExpiry_EndsACampaignWhoseAccountIsHeld(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{KeyTTL: keyTTL})
	r.start(stubAccount(gw))
	if err := r.producer.Hold(t.Context(), "kobo-main", "audit"); err != nil {
		t.Fatal(err)
	}
	_, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: "b", ExpiresIn: time.Second}, producer.Numbers(kenyanNumbers(600)...))
	if err != nil {
		t.Fatal(err)
	}
	s := r.wait("c", 10*time.Second)
	if s.Skipped != 600 || s.Reasons["expired"] != 600 || s.State != producer.Done || gw.calls.Load() != 0 {
		t.Errorf("got status %+v after %d calls, want 600 expired after 0 calls", s, gw.calls.Load())
	}
}

func TestExpiry_LateAnswerStillCounts(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{KeyTTL: keyTTL})
	proceed := make(chan struct{})
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		<-proceed
		return gw.accept(ctx, b)
	}
	a := stubAccount(gw)
	a.Timeout = 5 * time.Second
	r.start(a)
	_, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: "b", ExpiresIn: time.Second}, producer.Numbers(kenyanNumbers(3)...))
	if err != nil {
		t.Fatal(err)
	}
	r.eventually(10*time.Second, "the call", func() bool { return r.status("c").InFlight.Calls == 1 })
	expires := *r.status("c").ExpiresAt
	r.eventually(10*time.Second, "the expiry", func() bool { return time.Now().After(expires.Add(300 * time.Millisecond)) })
	close(proceed)
	if s := r.wait("c", 10*time.Second); s.Accepted != 3 {
		t.Errorf("got the status %+v, want 3 accepted", s)
	}
}

func TestCancel_DoubtfulCallEndsUnknown(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{KeyTTL: keyTTL})
	gw.send = func(context.Context, providers.Batch) ([]providers.Result, error) { return nil, noAnswerError() }
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(3))
	r.eventually(10*time.Second, "a doubtful call", func() bool { return gw.calls.Load() > 0 })
	if _, err := r.producer.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 15*time.Second); s.Unknown != 3 || s.State != producer.Cancelled {
		t.Errorf("got the status %+v, want 3 unknown and state cancelled", s)
	}
}

func TestRetry_SendsUnknownAndRejectedAgain(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{}) // a gateway without idempotency keys
	var repaired atomic.Bool
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if repaired.Load() {
			return gw.accept(ctx, b)
		}
		out := make([]providers.Result, len(b.To))
		for i := range out {
			switch i {
			case 0, 1:
				out[i] = providers.Result{Outcome: providers.Rejected, Reason: "refused"}
			case 2:
			default:
				out[i] = providers.Result{Outcome: providers.Accepted, MessageID: "first"}
			}
		}
		return out, nil
	}
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(10))
	if s := r.wait("c", 10*time.Second); s.Accepted != 7 || s.Rejected != 2 || s.Unknown != 1 {
		t.Fatalf("got the status %+v, want 7 accepted, 2 rejected and 1 unknown", s)
	}
	repaired.Store(true)
	if n, err := r.producer.Retry(t.Context(), "c", producer.RetryOptions{Rejected: true}); n != 2 || err != nil {
		t.Errorf("Retry(Rejected): got %d, %v, want 2", n, err)
	}
	if s := r.wait("c", 15*time.Second); s.Accepted != 9 || s.Unknown != 1 {
		t.Fatalf("got the status %+v, want 9 accepted and 1 unknown", s)
	}
	if n, err := r.producer.Retry(t.Context(), "c", producer.RetryOptions{Unknown: true}); n != 1 || err != nil {
		t.Errorf("Retry(Unknown): got %d, %v, want 1", n, err)
	}
	if s := r.wait("c", 15*time.Second); s.Accepted != 10 {
		t.Fatalf("got the status %+v, want 10 accepted", s)
	}
	if _, err := r.producer.Retry(t.Context(), "c", producer.RetryOptions{Unknown: true, Rejected: true}); !errors.Is(err, producer.ErrNothingToRetry) {
		t.Errorf("third Retry: got %v, want ErrNothingToRetry", err)
	}
	if n := gw.calls.Load(); n != 3 {
		t.Errorf("got %d calls, want 3", n)
	}
}

func TestPause_ManyQuickPausesDelayNothing(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.start(r.account(func(c *kobo.Config, _ *worker.Account) { c.MaxRecipients = 5 }))
	r.enqueue("c", kenyanNumbers(4000))
	r.eventually(10*time.Second, "calls", func() bool { return r.gateway.Stats().Calls > 0 })
	for range 60 {
		if _, err := r.producer.Pause(t.Context(), "c"); errors.Is(err, producer.ErrDone) {
			break
		}
		if _, err := r.producer.Resume(t.Context(), "c"); err != nil && !errors.Is(err, producer.ErrDone) {
			t.Fatal(err)
		}
	}
	if s := r.wait("c", 25*time.Second); s.Accepted != 4000 {
		t.Errorf("got the status %+v, want 4000 accepted", s)
	}
	if got := r.gateway.Stats(); got.Calls != 800 || got.Duplicates != 0 {
		t.Errorf("got the gateway counters %+v, want 800 calls and 0 duplicates", got)
	}
}

func TestPlan_ContinuesAfterAPlannerDied(t *testing.T) {
	t.Parallel()
	const n = campaign.MaxPageRows + 900
	r := newTestTuma(t, simulator.Options{})
	l := ledger.New(r.rdb)
	gw := newStubGateway(providers.Info{KeyTTL: keyTTL})
	card := campaign.Card{Name: "kobo-main", Info: gw.info, Unit: worker.UnitMessages, Concurrency: 1}
	if err := accounts.New(l.Runner()).Publish(t.Context(), "dead", card); err != nil {
		t.Fatal(err)
	}
	if err := accounts.New(l.Runner()).PublishRoutes(t.Context(), []campaign.Route{{Match: "254", Via: []string{"kobo-main"}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Body: "b"}, producer.Numbers(kenyanNumbers(n)...)); err != nil {
		t.Fatal(err)
	}
	// The first planner commits a page and dies before it has queued the page's batches. The second
	// planner has no routes, so it must use the snapshot.
	snapshot := campaign.PlanSnapshot{Country: "KE", Accounts: []campaign.SnapshotAccount{{Name: "kobo-main", MaxRecipients: 400, BatchSize: 400}}}
	plan, err := l.StartPlan(t.Context(), "c", func(campaign.Spec) (campaign.PlanSnapshot, error) { return snapshot, nil })
	if err != nil {
		t.Fatal(err)
	}
	for page, err := range l.ReadPages(t.Context(), "c", 0, 1, 1) {
		if err != nil {
			t.Fatal(err)
		}
		out := campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 4}, Carry: make([][]campaign.Call, 1)}
		var to []campaign.Planned
		for i := range page.Inputs {
			to = append(to, campaign.Planned{Row: i + 1, MSISDN: 254_710_000_000 + sms.MSISDN(i)})
		}
		out.Batches = []campaign.PlannedBatch{{Calls: []int{400}, To: to[:400]}, {Calls: []int{400}, To: to[400:800]}}
		out.Carry[0] = []campaign.Call{{To: to[800:]}}
		if _, _, err := plan.CommitPage(t.Context(), script.NewToken(), out); err != nil {
			t.Fatal(err)
		}
	}
	r.start(stubAccount(gw))
	if s := r.wait("c", 40*time.Second); s.Accepted != n || s.Batches != (n+399)/400 {
		t.Errorf("got the status %+v, want %d accepted and %d batches", s, n, (n+399)/400)
	}
	if got := r.tallyRows("c"); got["accepted"] != n {
		t.Errorf("got %v, want %d accepted", got, n)
	}
}

func TestPlan_WaitsForItsAccount(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	l := ledger.New(r.rdb)
	if err := accounts.New(l.Runner()).Publish(t.Context(), "gone", campaign.Card{Name: "kobo-main", Info: providers.Info{SenderOptional: true, MaxRecipients: 10}}); err != nil {
		t.Fatal(err)
	}
	r.enqueue("c", kenyanNumbers(20))
	if err := accounts.New(l.Runner()).Forget(t.Context(), "kobo-main"); err != nil {
		t.Fatal(err)
	}
	other := stubAccount(newStubGateway(providers.Info{}))
	other.Name = "other"
	r.start(other)
	r.eventually(5*time.Second, "the reason", func() bool {
		b := r.status("c").BlockedBy
		return len(b) == 1 && b[0].Reason == "no_worker" && b[0].Account == "kobo-main"
	})
	r.start(stubAccount(newStubGateway(providers.Info{})))
	if s := r.wait("c", 20*time.Second); s.Accepted != 20 {
		t.Errorf("got the status %+v, want 20 accepted", s)
	}
}

func TestSweep_TaskArchivedByAsynqIsQueuedAgain(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.enqueueAt(t.Context(), "c")
	// The test moves the task from the queue to asynq's archive, as asynq does after too many
	// failures of the task's handler.
	moved, err := r.rdb.LMove(t.Context(), "asynq:{tuma-send:kobo-main}:pending", "elsewhere", "RIGHT", "LEFT").Result()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.rdb.ZAdd(t.Context(), "asynq:{tuma-send:kobo-main}:archived", redis.Z{Score: float64(time.Now().Unix()), Member: moved}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := r.rdb.HSet(t.Context(), "asynq:{tuma-send:kobo-main}:t:"+moved, "state", "archived").Err(); err != nil {
		t.Fatal(err)
	}
	r.start(stubAccount(newStubGateway(providers.Info{})))
	if s := r.wait("c", 20*time.Second); s.Accepted != 2 {
		t.Errorf("got the status %+v, want 2 accepted", s)
	}
}

func TestSweep_AnotherWorkerTakesOver(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	if err := r.rdb.Set(t.Context(), "tuma:sweeper", "a dead worker", 2*time.Second).Err(); err != nil {
		t.Fatal(err)
	}
	r.enqueueAt(t.Context(), "c")
	if err := r.rdb.Del(t.Context(), r.rdb.Keys(t.Context(), "asynq:*").Val()...).Err(); err != nil {
		t.Fatal(err)
	}
	r.start(stubAccount(newStubGateway(providers.Info{})))
	if s := r.wait("c", 20*time.Second); s.Accepted != 2 {
		t.Errorf("got the status %+v, want 2 accepted", s)
	}
}

// enqueueAt enqueues a campaign with two recipients, for an account that no worker serves at that
// moment.
func (r *testTuma) enqueueAt(ctx context.Context, id string) {
	r.t.Helper()
	card := campaign.Card{Name: "kobo-main", Info: providers.Info{SenderOptional: true, MaxRecipients: 500}}
	if err := accounts.New(ledger.New(r.rdb).Runner()).Publish(ctx, "once", card); err != nil {
		r.t.Fatal(err)
	}
	r.enqueue(id, kenyanNumbers(2))
}

// tallyRows counts results by status, and checks that each row occurs once.
func (r *testTuma) tallyRows(id string) map[string]int {
	r.t.Helper()
	out, row := map[string]int{}, 0
	for x, err := range r.producer.Results(r.t.Context(), id) {
		if row++; err != nil || x.Row != row {
			r.t.Fatalf("got row %d, want %d: %v", x.Row, row, err)
		}
		out[x.Status]++
	}
	return out
}

// The remaining calls of a stopped campaign must not use up turns that other campaigns need.
func TestCancel_StoppedCampaignDelaysNoOther(t *testing.T) {
	t.Parallel()
	for name, stop := range map[string]func(*testTuma){
		"cancelled": func(r *testTuma) {
			if _, err := r.producer.Cancel(r.t.Context(), "stopped"); err != nil {
				r.t.Fatal(err)
			}
		},
		"expired": func(r *testTuma) {
			r.eventually(20*time.Second, "the expiry", func() bool { return r.status("stopped").Reasons["expired"] > 0 })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			r.start(r.account(func(c *kobo.Config, a *worker.Account) { c.MaxRecipients, a.Rate = 10, 50 }))
			c := producer.Campaign{ID: "stopped", Via: "kobo-main", Body: "b"}
			if name == "expired" {
				c.ExpiresIn = 2 * time.Second
			}
			if _, err := r.producer.Enqueue(t.Context(), c, producer.Numbers(kenyanNumbers(3000)...)); err != nil {
				t.Fatal(err)
			}
			r.eventually(10*time.Second, "the campaign to begin", func() bool { return r.status("stopped").Accepted > 0 })
			stop(r)
			begun := time.Now()
			if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "next", Via: "kobo-main", Body: "b"}, producer.Numbers(kenyanNumbers(200)...)); err != nil {
				t.Fatal(err)
			}
			if r.wait("next", 60*time.Second); time.Since(begun) > 9*time.Second {
				t.Errorf("200 at 50/s took %s", time.Since(begun))
			}
		})
	}
}

// A campaign with doubtful calls is cancelled while nine other campaigns wait for the same held
// account. The cancelled campaign must still end.
func TestCancel_DoubtEndsWhileOtherCampaignsWait(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.start(r.account(func(c *kobo.Config, a *worker.Account) { c.MaxRecipients, a.Concurrency, a.Rate = 1, 4, 100 }))
	r.enqueue("c", kenyanNumbers(600))
	r.eventually(20*time.Second, "60 recipients to be accepted", func() bool { return r.status("c").Accepted > 60 })
	r.gateway.FailNext(5000, "close")
	for i := range 9 {
		r.enqueue("other-"+strconv.Itoa(i), kenyanNumbers(40))
	}
	r.eventually(20*time.Second, "the hold", func() bool { return len(r.status("c").BlockedBy) > 0 })
	if _, err := r.producer.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	r.eventually(25*time.Second, "the campaign to end", func() bool { return r.status("c").Pending == 0 })
}
