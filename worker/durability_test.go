package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// replicatedTuma is a testTuma whose Redis has a replica. Clients use one address, which leads to the
// current master.
type replicatedTuma struct {
	*testTuma
	master, replica *redistest.Server
	proxy           *redistest.Proxy
	link            *redistest.Proxy // carries the replication traffic
}

// replicaConfig makes replication start at once. By default a master waits 5 s for more replicas to
// connect.
var replicaConfig = redistest.WithConfig("repl-diskless-sync-delay", "0")

func (p *replicatedTuma) startReplica() {
	p.t.Helper()
	p.link = redistest.NewProxy(p.t, p.master.Addr())
	host, port, _ := strings.Cut(p.link.Addr(), ":")
	p.replica = redistest.Start(p.t, replicaConfig, redistest.WithConfig("replicaof", host+" "+port))
}

func newReplicatedTuma(t *testing.T) *replicatedTuma {
	t.Helper()
	p := &replicatedTuma{testTuma: newTestTuma(t, simulator.Options{}), master: redistest.Start(t, replicaConfig)}
	p.startReplica()
	p.proxy = redistest.NewProxy(t, p.master.Addr())
	p.rdb = p.master.Client(func(o *redis.Options) { o.Addr = p.proxy.Addr() })
	p.waitForReplica()
	return p
}

func (p *replicatedTuma) waitForReplica() {
	p.t.Helper()
	p.eventually(20*time.Second, "the replica to follow", func() bool { return p.rdb.Wait(p.t.Context(), 1, 100*time.Millisecond).Val() == 1 })
}

// The method "promote" kills the master, makes the replica the master, and starts a new replica.
func (p *replicatedTuma) promote() {
	p.t.Helper()
	p.master.Kill()
	if err := p.replica.Client().ReplicaOf(p.t.Context(), "NO", "ONE").Err(); err != nil {
		p.t.Fatal(err)
	}
	p.master = p.replica
	p.startReplica()
	p.proxy.Retarget(p.master.Addr())
	p.proxy.Cut()
	p.waitForReplica()
}

// sendThroughFailover sends 8,000 messages through a gateway without keys. Meanwhile the replica
// lags behind and is then promoted. If the parameter "anew" is true, the worker is killed together
// with the master, and a new worker continues. The result "twice" is the number of recipients that
// got more than one message. The result s is the sum of the campaigns' statuses.
func sendThroughFailover(t *testing.T, d worker.Durability, anew bool, campaigns ...string) (twice int, s producer.Status) {
	p := newReplicatedTuma(t)
	gw := newStubGateway(providers.Info{MaxRecipients: 10})
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		select {
		case <-ctx.Done():
			return nil, noAnswerError()
		case <-time.After(20 * time.Millisecond):
		}
		return gw.accept(ctx, b)
	}
	var err error
	if p.producer, err = producer.New(p.rdb, producer.WithDurability(producer.Durability(d)), producer.WithPollInterval(20*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	cfg := worker.Config{Accounts: []worker.Account{stubAccount(gw)}, Durability: d, Country: "KE", SweepEvery: 100 * time.Millisecond}
	first := p.startWith(cfg)
	each := 8000 / len(campaigns)
	for i, id := range campaigns {
		p.enqueue(id, kenyanNumbers(8000)[i*each:(i+1)*each])
	}
	p.eventually(20*time.Second, "more than 100 calls", func() bool { return gw.calls.Load() > 100 })
	p.waitForReplica() // the replica now has the campaigns
	p.link.Pause()     // the replica gets none of the later writes
	before := gw.calls.Load()
	lagged := time.After(700 * time.Millisecond)
	for lagging := true; lagging; {
		select {
		case <-lagged:
			lagging = false
		case <-time.After(50 * time.Millisecond):
			if gw.calls.Load() > before+100 {
				lagging = false
			}
		}
	}
	p.master.Kill()
	if anew {
		first.worker.Kill()
		first.drain(t)
	}
	p.link.Cut()
	p.promote()
	if anew {
		p.startWith(cfg)
	}
	for _, id := range campaigns {
		one := p.wait(id, 90*time.Second)
		s.Accepted, s.Unknown = s.Accepted+one.Accepted, s.Unknown+one.Unknown
	}
	for n, count := range gw.all() {
		if count > 1 {
			twice++
			if testing.Verbose() && twice < 4 {
				t.Logf("%s was taken %d times", n.Masked(), count)
			}
		}
	}
	return twice, s
}

func TestDurability_PromotedReplicaSendsNothingTwice(t *testing.T) {
	t.Parallel()
	for _, anew := range []bool{false, true} {
		t.Run(fmt.Sprintf("new worker %t", anew), func(t *testing.T) {
			t.Parallel()
			twice, s := sendThroughFailover(t, worker.Durability{Replicas: 1}, anew, "c")
			if twice != 0 {
				t.Errorf("%d recipients were sent to twice, want 0; status %+v", twice, s)
			}
			// The calls in flight when the master died may end unknown. Each of the eight slots has
			// at most one such call, with ten recipients.
			if s.Accepted+s.Unknown != 8000 || s.Unknown > 80 {
				t.Errorf("got the status %+v, want 8000 accepted or unknown, at most 80 of them unknown", s)
			}
		})
	}
}

func TestRedisRestart_SettlesAreReplayed(t *testing.T) {
	t.Parallel()
	for _, campaigns := range [][]string{{"c"}, {"c", "d", "e", "f"}} { // one campaign alone, and four campaigns that share the slots
		t.Run(fmt.Sprint(len(campaigns)), func(t *testing.T) {
			t.Parallel()
			twice, s := sendThroughFailover(t, worker.Durability{}, false, campaigns...)
			if twice != 0 || s.Accepted+s.Unknown != 8000 || s.Unknown > 80 {
				t.Errorf("%d recipients were sent to twice, want 0; status %+v", twice, s)
			}
		})
	}
}

// The promoted replica lacks the claims of all calls in flight. A slot that becomes free must not
// repeat the calls of the other slots.
func TestRedisRestart_CallsInFlightAreNotRepeated(t *testing.T) {
	t.Parallel()
	p := newReplicatedTuma(t)
	gw := newStubGateway(providers.Info{MaxRecipients: 1}) // one recipient a call, so that the campaign has a batch for every slot
	var slow, begun atomic.Int64
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		out, err := gw.accept(ctx, b)
		if slow.Load() > 0 {
			// Half of the calls return soon. The other half return long after the end of the
			// failover.
			takes := 3500 * time.Millisecond
			if begun.Add(1)%2 == 0 {
				takes = 1500 * time.Millisecond
			}
			<-time.After(takes)
		}
		return out, err
	}
	var err error
	if p.producer, err = producer.New(p.rdb, producer.WithPollInterval(20*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	account := stubAccount(gw)
	account.Timeout = 10 * time.Second
	p.startWith(worker.Config{Accounts: []worker.Account{account}, Country: "KE", SweepEvery: 100 * time.Millisecond})
	p.enqueue("before", kenyanNumbers(100))
	p.wait("before", 20*time.Second)
	release := func() {
		t.Helper()
		if _, err := p.producer.Release(t.Context(), "kobo-main"); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.producer.Hold(t.Context(), "kobo-main", "test"); err != nil {
		t.Fatal(err)
	}
	p.enqueue("c", kenyanNumbers(400))
	p.eventually(10*time.Second, "the plan", func() bool { return p.status("c").State == producer.Sending })
	p.waitForReplica()
	p.link.Pause()
	slow.Store(1)
	release()
	p.eventually(10*time.Second, "calls to be in flight", func() bool { return begun.Load() >= 8 })
	p.link.Cut()
	p.promote()
	release() // the new master has lost the first release, so the account is held again
	slow.Store(0)
	if s := p.wait("c", 60*time.Second); s.Accepted != 400 {
		t.Errorf("got the status %+v, want 400 accepted", s)
	}
	for n, count := range gw.all() {
		if most := map[bool]int{true: 2, false: 1}[uint64(n) < 254_710_000_100]; count > most {
			t.Errorf("%s went out %d times, want %d", n.Masked(), count, most)
		}
	}
}

func TestDurability_NoneMaySendTwiceAfterAPromotion(t *testing.T) {
	t.Parallel()
	// In this failover no worker is left to replay the settles. So without the durability setting,
	// some messages are sent twice. This shows that the failover can test the durability setting.
	if twice, s := sendThroughFailover(t, worker.Durability{}, true, "c"); twice == 0 {
		t.Errorf("no message was sent twice, so this failover cannot test durability: %+v", s)
	}
}

func TestCheckDurability_UnsupportedSettingIsRefused(t *testing.T) {
	t.Parallel()
	for policy, fit := range map[string]bool{"everysec": false, "always": true} {
		rdb := redistest.Start(t, redistest.WithAOF(policy)).Client()
		version, err := rdb.InfoMap(t.Context(), "server").Result()
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(version["Server"]["redis_version"], "7.0.") {
			if _, err := worker.CheckDurability(t.Context(), rdb, worker.Durability{Fsync: true}); (err == nil) != fit || !fit && !errors.Is(err, worker.ErrRedisUnfit) {
				t.Errorf("appendfsync %s: unexpected error %v", policy, err)
			}
		}
		warnings, err := worker.CheckDurability(t.Context(), rdb, worker.Durability{Replicas: 1})
		if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "has 0 replicas") {
			t.Errorf("replicas: unexpected warnings %q, error %v", warnings, err)
		}
		if warnings, err := worker.CheckDurability(t.Context(), rdb, worker.Durability{}); err != nil || len(warnings) != 0 {
			t.Errorf("none: unexpected warnings %q, error %v", warnings, err)
		}
	}
}
