package worker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// What a worker keeps of its settles, to say them again to a Redis that has
// forgotten its last seconds: so many recipients, so many calls, so long.
const (
	keptRecipients = 50_000
	keptSettles    = 5_000
	keptFor        = 30 * time.Second
)

// failover notices that another Redis is where the old one was: one that was
// restarted, or a replica that was promoted. It may have forgotten what it was told
// last, so nothing is claimed there before the worker has said its settles again.
type restartGuard struct {
	// dials counts the connections that were made, met is how many of them are known to
	// lead to a Redis that has been told everything.
	dials, confirmedDials atomic.Int64
	// inFlight counts the claims that are asked for or held.
	inFlight atomic.Int64
	checking sync.Mutex
	runID    string // guarded by asking

	mu         sync.Mutex // guards the rest
	kept       []rememberedSettle
	recipients int
}

// keptSettle is a settle that was written.
type rememberedSettle struct {
	at         time.Time
	recipients int
	write      func(context.Context) error
}

// dialWatch is a hook on a Redis client that counts new connections: no command
// reaches another Redis without one.
type dialWatch struct{ dials *atomic.Int64 }

// DialHook is go-redis's.
func (h dialWatch) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		h.dials.Add(1)
		return conn, err
	}
}

// ProcessHook is go-redis's.
func (h dialWatch) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook is go-redis's.
func (h dialWatch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// watchDials puts the hook where connections are made: in a cluster those are its nodes'
// clients, which its own hooks do not reach.
func watchDials(ctx context.Context, rdb redis.UniversalClient, h dialWatch) error {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		rdb.AddHook(h)
		return nil
	}
	cluster.OnNewNode(func(node *redis.Client) { node.AddHook(h) })
	return cluster.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
		node.AddHook(h) // one that has just come counts twice, which harms nobody
		return nil
	})
}

// watchRedis remembers which Redis this is. A Redis that does not say is never
// another one.
func (w *Worker) watchRedis(ctx context.Context) error {
	if err := watchDials(ctx, w.cfg.Redis, dialWatch{&w.restartGuard.dials}); err != nil {
		return fmt.Errorf("watch redis: %w", err)
	}
	id, err := runID(ctx, w.cfg.Redis)
	w.restartGuard.checking.Lock()
	defer w.restartGuard.checking.Unlock()
	w.restartGuard.runID = id
	return err
}

// runID names the Redis behind a client, or the masters of its cluster; empty: it
// does not tell.
func runID(ctx context.Context, rdb redis.UniversalClient) (string, error) {
	if cluster, ok := rdb.(*redis.ClusterClient); ok {
		var mu sync.Mutex
		var ids []string
		err := cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error {
			id, err := runID(ctx, master)
			mu.Lock()
			defer mu.Unlock()
			ids = append(ids, id)
			return err
		})
		slices.Sort(ids)
		return strings.Join(ids, " "), err
	}
	info, err := rdb.InfoMap(ctx, "server").Result()
	if _, refused := errors.AsType[redis.Error](err); refused {
		return "", nil // INFO is forbidden
	}
	if err != nil {
		return "", fmt.Errorf("ask redis for its run_id: %w", err)
	}
	return info["Server"]["run_id"], nil
}

// sameRedis returns once it is certain that the Redis is the one it was, or that
// another one knows what this worker has settled; dials is how many connections that
// goes for. What is claimed then counts if there are as many afterwards. An error means
// that nothing may be claimed yet.
func (w *Worker) confirmRedis(ctx context.Context) (dials int64, err error) {
	f := &w.restartGuard
	if dials = f.dials.Load(); dials == f.confirmedDials.Load() {
		return dials, nil
	}
	f.checking.Lock()
	defer f.checking.Unlock()
	if dials = f.dials.Load(); dials == f.confirmedDials.Load() { // before the question: a connection made meanwhile asks again
		return dials, nil
	}
	if err := w.checkRunID(ctx); err != nil {
		return dials, err
	}
	f.confirmedDials.Store(dials)
	return dials, nil
}

// meetRedis asks which Redis this is, and tells one that is new what it may not know.
func (w *Worker) checkRunID(ctx context.Context) error {
	f := &w.restartGuard
	id, err := runID(ctx, w.cfg.Redis)
	if err != nil {
		return err
	}
	if id == f.runID || id == "" || f.runID == "" {
		f.runID = id
		return nil
	}
	if _, err := CheckRedis(ctx, w.cfg.Redis, w.cfg.UnsafeRedis); err != nil {
		return err
	}
	if err := w.waitForInFlight(ctx); err != nil {
		return err
	}
	n, err := f.replay(ctx)
	if err != nil {
		return fmt.Errorf("say settles again: %w", err)
	}
	f.runID = id
	w.log.Warn().Int("settles", n).Msg("another redis answers, or it was restarted: it was told again what this worker has settled last")
	return nil
}

// landed waits until the calls in flight are settled, where the Redis that gave leave for
// them need not have told anybody: the new one may not know of their claims, and would
// let another slot make them. It errs when the worker drains.
func (w *Worker) waitForInFlight(ctx context.Context) error {
	if w.cfg.Durability != (Durability{}) {
		return nil
	}
	longest := leaseMargin
	for _, a := range w.accounts {
		longest = max(longest, a.Timeout+leaseMargin)
	}
	// A call that does not keep its own time must not stop everybody for ever.
	until := time.Now().Add(longest)
	for said := false; w.restartGuard.inFlight.Load() > 0 && time.Now().Before(until); said = true {
		if !said {
			w.log.Warn().Int64("calls", w.restartGuard.inFlight.Load()).Msg("another redis answers, or it was restarted: calls in flight are waited for")
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !w.sleep(10 * time.Millisecond) {
			return errDraining
		}
	}
	return nil
}

var errDraining = errors.New("draining")

// keep remembers a settle that was written.
func (f *restartGuard) remember(recipients int, say func(context.Context) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept = append(f.kept, rememberedSettle{at: time.Now(), recipients: recipients, write: say})
	f.recipients += recipients
	old := time.Now().Add(-keptFor)
	first := 0
	for len(f.kept)-first > 1 && (f.recipients > keptRecipients || len(f.kept)-first > keptSettles || f.kept[first].at.Before(old)) {
		f.recipients -= f.kept[first].recipients
		f.kept[first] = rememberedSettle{}
		first++
	}
	f.kept = f.kept[first:]
}

// sayAgain writes every settle that is remembered once more, which changes nothing
// where it is known. It returns how many there were.
func (f *restartGuard) replay(ctx context.Context) (int, error) {
	f.mu.Lock()
	kept := slices.Clone(f.kept)
	f.mu.Unlock()
	for _, k := range kept {
		err := k.write(ctx)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) && !errors.Is(err, ledger.ErrNewer) && ledger.AsUnreadable(err) == nil {
			return 0, err
		}
	}
	return len(kept), nil
}
