package worker_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/sms"
	"github.com/tuma-sms/tuma/worker"
)

// clockedStub is a stub that records when it got the message of each recipient.
type clockedStub struct {
	*stubGateway
	mu sync.Mutex
	at []time.Time // for each recipient, the time at which the stub got the message
}

func newClockedStub(info providers.Info) *clockedStub {
	c := &clockedStub{stubGateway: newStubGateway(info)}
	c.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		now := time.Now()
		c.mu.Lock()
		for range b.To {
			c.at = append(c.at, now)
		}
		c.mu.Unlock()
		return c.accept(ctx, b)
	}
	return c
}

// busiest returns the maximum number of recipients in any second. It also returns the time between
// the first recipient and the last.
func (c *clockedStub) busiest() (most int, took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slices.SortFunc(c.at, time.Time.Compare)
	for i, j := 0, 0; i < len(c.at); i++ {
		for ; c.at[i].Sub(c.at[j]) >= time.Second; j++ {
		}
		most = max(most, i-j+1)
	}
	return most, c.at[len(c.at)-1].Sub(c.at[0])
}

func TestRate_HoldsAtTheGateway(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newClockedStub(providers.Info{KeyTTL: keyTTL, MaxRecipients: 10})
	limited := stubAccount(gw)
	limited.Rate, limited.Burst = 200, 20
	for range 2 {
		r.start(limited)
	}
	r.enqueue("c", kenyanNumbers(1000))
	if s := r.wait("c", 30*time.Second); s.Accepted != 1000 {
		t.Fatalf("got the status %+v, want 1000 accepted", s)
	}
	// A turn may be used up to 100 ms late. So in one second the gateway can get slightly more messages
	// than the rate allows. The tests of the limiter check that the turns use the whole rate and
	// do not exceed it.
	most, took := gw.busiest()
	if most > 200+20+20 {
		t.Errorf("got %d messages in one second at 200/s and a burst of 20, want at most 240", most)
	}
	t.Logf("at most %d messages in a second; took %s", most, took)
}

func TestRate_TransactionalDoesNotWaitForBulk(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{KeyTTL: keyTTL})
	limited := stubAccount(gw)
	limited.Rate, limited.Burst, limited.Concurrency = 50, 5, 2
	r.start(limited)
	r.enqueue("bulk", kenyanNumbers(5000))
	r.eventually(10*time.Second, "the first bulk call", func() bool { return gw.calls.Load() > 0 })
	began := time.Now()
	_, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "code", Via: "kobo-main", Body: "Your code is 1234", Class: producer.Transactional},
		producer.Numbers("0730000001"))
	if err != nil {
		t.Fatal(err)
	}
	if s := r.wait("code", 20*time.Second); s.Accepted != 1 {
		t.Errorf("got the status %+v, want 1 accepted", s)
	}
	if took := time.Since(began); took > 7*time.Second {
		t.Errorf("a one-time code took %s behind bulk calls of ten seconds each", took)
	}
	if _, err := r.producer.Cancel(t.Context(), "bulk"); err != nil {
		t.Fatal(err)
	}
}

func TestConcurrency_BoundsCallsInFlight(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Latency: 20 * time.Millisecond})
	r.start(r.account(func(c *kobo.Config, a *worker.Account) { c.MaxRecipients, a.Concurrency = 1, 2 }))
	to := kenyanNumbers(60)
	r.enqueue("bulk", to[:40])
	for _, id := range []string{"x", "y", "z"} {
		_, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: id, Via: "kobo-main", Body: "b", Class: producer.Transactional}, producer.Numbers(to[40:]...))
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"bulk", "x", "y", "z"} {
		r.wait(id, 20*time.Second)
	}
	if got := r.gateway.Stats(); got.PeakInFlight > 2 || got.Calls != 100 {
		t.Errorf("got the gateway counters %+v, want 100 calls, at most 2 of them in flight at once", got)
	}
}

func TestRate_OfRequestsFillsItsCalls(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	a := r.account()
	a.Rate, a.Burst, a.Unit = 1, 2, worker.UnitRequests
	r.start(a)
	r.enqueue("c", kenyanNumbers(1000))
	if s := r.wait("c", 20*time.Second); s.Calls != 2 || s.Accepted != 1000 {
		t.Errorf("got the status %+v, want 2 calls and 1000 accepted", s)
	}
}

func TestRate_CountsSegmentsIfConfigured(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newClockedStub(providers.Info{KeyTTL: keyTTL, MaxRecipients: 5})
	a := stubAccount(gw)
	a.Rate, a.Burst, a.Unit = 60, 1, worker.UnitSegments
	r.start(a)
	body := make([]byte, 300) // a body of two segments
	for i := range body {
		body[i] = 'a'
	}
	_, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: string(body)}, producer.Numbers(kenyanNumbers(60)...))
	if err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 20*time.Second); s.Segments != 120 {
		t.Errorf("got the status %+v, want 120 segments", s)
	}
	if _, took := gw.busiest(); took < 1500*time.Millisecond || took > 7*time.Second {
		t.Errorf("120 segments at 60/s took %s", took)
	}
}

func TestRoutes_SpreadACampaignOverAccounts(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	ke, ng := newStubGateway(providers.Info{}), newStubGateway(providers.Info{})
	a, b := stubAccount(ke), stubAccount(ng)
	a.Name, b.Name = "ke", "ng"
	r.startWith(worker.Config{Accounts: []worker.Account{a, b},
		Routes: []worker.Route{{Match: "254", Via: []string{"ke"}}, {Match: "234", Via: []string{"ng", "ke"}}}})
	var numbers []string
	for i, k := range kenyanNumbers(1200) {
		numbers = append(numbers, k)
		if i%3 == 0 {
			numbers = append(numbers, "+234803"+k[3:])
		}
	}
	numbers = append(numbers, "+255712000001")
	_, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Body: "b", MaxMessages: 1500}, producer.Numbers(numbers...))
	if err != nil {
		t.Fatal(err)
	}
	s := r.wait("c", 20*time.Second)
	if s.Accepted != 1500 || s.Reasons["over_cap"] != 100 || s.Reasons["no_route"] != 1 {
		t.Errorf("got the status %+v, want 1500 accepted, 100 over the cap and 1 without a route", s)
	}
	for x, err := range r.producer.Results(t.Context(), "c", "accepted") {
		if err != nil {
			t.Fatal(err)
		}
		if want := map[string]string{"254": "ke", "234": "ng"}[x.MSISDN[:3]]; x.Account != want {
			t.Fatalf("a number with %s went through %s, want %s", x.MSISDN[:3], x.Account, want)
		}
	}
	if ke.times(sms.MSISDN(254710000000)) != 1 {
		t.Error("the first number was not taken exactly once")
	}
}
