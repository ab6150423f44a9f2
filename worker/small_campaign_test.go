package worker_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
)

// The gateway answers no call until all slots of all workers have a call there. So the test fails
// if a campaign leaves a slot unused.
func TestSmallCampaign_UsesAllSlots(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ recipients, workers int }{{16, 1}, {20, 1}, {60, 1}, {500, 1}, {60, 2}, {500, 2}} {
		t.Run(fmt.Sprintf("%d recipients, %d workers", tt.recipients, tt.workers), func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			gw := newStubGateway(providers.Info{MaxRecipients: 1})
			slots := int64(8 * tt.workers)
			var measured atomic.Bool
			var waiting atomic.Int64
			all := make(chan struct{})
			gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
				if !measured.Load() {
					return gw.accept(ctx, b)
				}
				if waiting.Add(1) == slots {
					close(all)
				}
				select {
				case <-all:
				case <-ctx.Done():
					return nil, noAnswerError()
				}
				return gw.accept(ctx, b)
			}
			for range tt.workers {
				a := stubAccount(gw)
				a.Timeout = 10 * time.Second
				r.start(a)
			}
			r.eventually(10*time.Second, "the workers", func() bool {
				a, err := r.producer.Accounts(t.Context())
				return err == nil && len(a) == 1 && a[0].Slots == int(slots)
			})
			r.enqueue("first", []string{"0799000001"}) // after an accepted message the account has no slow start
			r.wait("first", 10*time.Second)
			measured.Store(true)
			r.enqueue("c", kenyanNumbers(tt.recipients))
			if s := r.wait("c", 30*time.Second); s.Accepted != tt.recipients {
				t.Errorf("got %+v, want all accepted: %d calls must be at the gateway at once", s, slots)
			}
		})
	}
}
