package worker_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// A gateway refuses a whole call if one of its numbers is dead. The worker divides each refused
// call into eight parts, and sends one part at a time. So 30 dead numbers take less than 15 s at a
// latency of 0.3 s.
func TestRefusal_DeadNumbersAreFoundWithFewCalls(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ all, dead, calls int }{
		{all: 30, dead: 30, calls: 1 + 8 + 30},
		{all: 500, dead: 1, calls: 1 + 8 + 8 + 8},
		{all: 500, dead: 2, calls: 1 + 8 + 2*(8+8)},
		{all: 2, dead: 1, calls: 1 + 2},
	} {
		t.Run(fmt.Sprintf("%d of %d", tt.dead, tt.all), func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			gw := newStubGateway(providers.Info{KeyTTL: keyTTL})
			isDead := func(n sms.MSISDN) bool { return (int(n)-254_710_000_000)%(tt.all/tt.dead) == 0 }
			gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
				if slices.ContainsFunc(b.To, isDead) {
					return nil, refusedCallError()
				}
				return gw.accept(ctx, b)
			}
			r.start(stubAccount(gw))
			r.enqueue("c", kenyanNumbers(tt.all))
			if s := r.wait("c", 30*time.Second); s.Rejected != tt.dead || s.Accepted != tt.all-tt.dead {
				t.Errorf("got %+v, want %d rejected and the others accepted", s, tt.dead)
			}
			if n := int(gw.calls.Load()); n > tt.calls {
				t.Errorf("got %d calls, want at most %d", n, tt.calls)
			}
			for n, count := range gw.all() {
				if count != 1 {
					t.Errorf("%s was taken %d times, want 1", n.Masked(), count)
				}
			}
		})
	}
}
