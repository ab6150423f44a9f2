package worker_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
)

func TestSlowStart_FailingGatewayGetsFewCalls(t *testing.T) {
	t.Parallel()
	elsewhere := &providers.Error{Op: "stub send", Outcome: providers.Unknown, Scope: providers.Account, Cause: providers.CauseConfiguration, Code: "http 404"}
	for name, tt := range map[string]struct {
		answer error
		reason string
		calls  int64
	}{
		"the gateway closes every connection": {noAnswerError(), "no_answer", 3},
		"the address is wrong":                {elsewhere, "configuration", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			gw := newStubGateway(providers.Info{MaxRecipients: 100})
			gw.send = func(ctx context.Context, _ providers.Batch) ([]providers.Result, error) {
				select {
				case <-time.After(30 * time.Millisecond): // without the slow start, other slots would make calls in this time
				case <-ctx.Done():
				}
				return nil, tt.answer
			}
			r.start(stubAccount(gw))
			r.enqueue("c", kenyanNumbers(3000))
			r.eventually(20*time.Second, "the hold", func() bool { return len(r.status("c").BlockedBy) > 0 })
			r.eventually(10*time.Second, "the calls in flight", func() bool { return r.status("c").InFlight.Calls == 0 })
			s, calls := r.status("c"), gw.calls.Load()
			if s.BlockedBy[0].Reason != tt.reason || calls != tt.calls || s.Unknown != int(100*calls) || s.Unknown+s.Pending != 3000 {
				t.Errorf("got %d calls; status %+v, want %d calls, their recipients unknown, the others pending, and the block %s", calls, s, tt.calls, tt.reason)
			}
		})
	}
}

func TestSlowStart_ProvenAccountUsesAllSlots(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 100})
	var waiting atomic.Int64
	all := make(chan struct{})
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if n := waiting.Add(1); n == 9 { // call 1 is alone (slow start); calls 2 to 9 overlap
			close(all)
		} else if n > 1 && n < 9 {
			select {
			case <-all:
			case <-ctx.Done():
				return nil, noAnswerError()
			}
		}
		return gw.accept(ctx, b)
	}
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(8000))
	if s := r.wait("c", 30*time.Second); s.Accepted != 8000 {
		t.Errorf("got status %+v, want 8000 accepted: all eight slots must be in use at once", s)
	}
}

func TestBreaker_ProbeWithoutKeysHasOneRecipient(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 100})
	var mu sync.Mutex
	var sizes []int
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		mu.Lock()
		sizes = append(sizes, len(b.To))
		mended := len(sizes) > 5
		mu.Unlock()
		if mended {
			return gw.accept(ctx, b)
		}
		return nil, noAnswerError()
	}
	r.start(stubAccount(gw))
	r.enqueue("c", kenyanNumbers(1000))
	s := r.wait("c", 60*time.Second)
	mu.Lock()
	defer mu.Unlock()
	if !slices.Equal(sizes[:5], []int{100, 100, 100, 1, 1}) || s.Unknown != 302 || s.Accepted+s.Unknown != 1000 {
		t.Errorf("got call sizes %v; status %+v, want the sizes 100, 100, 100, 1, 1 first, and 302 unknown of 1000", sizes, s)
	}
	for n, count := range gw.all() {
		if count != 1 {
			t.Errorf("%s was taken %d times, want 1", n.Masked(), count)
		}
	}
}
