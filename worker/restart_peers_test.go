package worker_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// twoWorkers are two workers that reach Redis through separate proxies, and send through one gateway without
// idempotency keys.
type twoWorkers struct {
	*testTuma
	gateway *stubGateway
	first   *startedWorker
	proxies [2]*redistest.Proxy
}

func startTwoWorkers(t *testing.T) *twoWorkers {
	t.Helper()
	x := &twoWorkers{testTuma: newTestTumaOn(t, simulator.Options{}, withConfig()), gateway: newStubGateway(providers.Info{MaxRecipients: 10})}
	x.gateway.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) < 500*time.Millisecond {
			t.Errorf("a call has only %s left when it begins", time.Until(deadline))
		}
		waitFor(t, 100*time.Millisecond)
		return x.gateway.accept(ctx, b)
	}
	for i := range x.proxies {
		x.proxies[i] = redistest.NewProxy(t, x.redis.Addr())
		x.rdb = x.redis.Client(func(o *redis.Options) { o.Addr = x.proxies[i].Addr() })
		w := x.startWith(worker.Config{Accounts: []worker.Account{stubAccount(x.gateway)}})
		if i == 0 {
			x.first = w
		}
	}
	return x
}

// The constant "campaigns" is the number of campaigns that loseLastWrites enqueues. Each campaign has one call.
const campaigns = 300

// loseLastWrites sends some of the campaigns, and restarts Redis without the last claims and settles of both workers.
// The first worker cannot reach Redis until the test calls the result "rejoin".
func (x *twoWorkers) loseLastWrites() (rejoin func()) {
	x.t.Helper()
	numbers := kenyanNumbers(10 * campaigns)
	for i := range campaigns {
		x.enqueue(fmt.Sprint("c", i), numbers[10*i:10*i+10])
	}
	more := func(n int64) {
		x.t.Helper()
		until := x.gateway.calls.Load() + n
		x.eventually(20*time.Second, "calls", func() bool { return x.gateway.calls.Load() > until })
	}
	more(1)
	restart := x.redis.Remember()
	more(60)
	x.redis.Kill()
	x.proxies[0].Retarget("127.0.0.1:1")
	x.proxies[0].Cut()
	restart()
	return func() { x.proxies[0].Retarget(x.redis.Addr()) }
}

// The method "wait" waits for the end of all campaigns. It returns how many recipients got the message twice.
func (x *twoWorkers) wait() (twice int) {
	x.t.Helper()
	for i := range campaigns {
		if s := x.testTuma.wait(fmt.Sprint("c", i), 60*time.Second); s.Accepted+s.Unknown != 10 {
			x.t.Errorf("got the status %+v, want 10 accepted or unknown", s)
		}
	}
	for _, n := range x.gateway.all() {
		if n > 1 {
			twice++
		}
	}
	return twice
}

// The second worker reaches the restarted Redis two seconds before the first worker. It must not claim the calls that
// the first worker has settled.
func TestRedisRestart_WaitsForTheSettlesOfOtherWorkers(t *testing.T) {
	t.Parallel()
	x := startTwoWorkers(t)
	rejoin := x.loseLastWrites()
	waitFor(t, 2*time.Second)
	rejoin()
	if twice := x.wait(); twice > 0 {
		t.Errorf("%d recipients were sent to twice, want none", twice)
	}
}

// The first worker is stopped while it cannot reach Redis. The worker must repeat its settles before it ends.
func TestRedisRestart_DrainingWorkerRepeatsItsSettles(t *testing.T) {
	t.Parallel()
	x := startTwoWorkers(t)
	rejoin := x.loseLastWrites()
	x.first.stop()
	waitFor(t, time.Second)
	rejoin()
	x.first.drain(t)
	if twice := x.wait(); twice > 0 {
		t.Errorf("%d recipients were sent to twice, want none", twice)
	}
}

// Other workers wait for the settles of a dead worker only while Redis still lists the dead worker as alive.
func TestRedisRestart_DeadWorkerIsNotAwaitedForLong(t *testing.T) {
	t.Parallel()
	x := startTwoWorkers(t)
	x.loseLastWrites()
	x.first.worker.Kill()
	x.first.stop()
	began := time.Now()
	x.wait() // the calls of the dead worker are sent again
	if took := time.Since(began); took > 40*time.Second {
		t.Errorf("the other worker continued after %s", took)
	}
}
