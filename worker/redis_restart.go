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

// A worker remembers its recent settles, to replay them to a Redis that has lost its last seconds
// of writes. These constants limit how many recipients and settles the worker remembers, and for
// how long.
const (
	keptRecipients = 50_000
	keptSettles    = 5_000
	keptFor        = 30 * time.Second
)

// restartGuard detects that Redis restarted or that a replica was promoted. That Redis may have
// lost the last writes, so the worker replays its recent settles before it claims anything there.
type restartGuard struct {
	// dials is the number of connections made to Redis so far. confirmedDials is how many of them
	// certainly lead to a Redis that has all of this worker's settles.
	dials, confirmedDials atomic.Int64
	// inFlight counts the claims that are requested or held.
	inFlight atomic.Int64
	checking sync.Mutex
	runID    string // run_id of the Redis last seen; guarded by checking

	mu         sync.Mutex // guards the rest
	kept       []rememberedSettle
	recipients int
}

// rememberedSettle is a settle that was written or is about to be written. Writing a settle again
// changes nothing.
type rememberedSettle struct {
	at         time.Time
	recipients int
	write      func(context.Context) error
}

// dialWatch is a hook that counts a Redis client's new connections. A command can reach another
// Redis only through a new connection.
type dialWatch struct{ dials *atomic.Int64 }

// DialHook implements redis.Hook. It counts connections.
func (h dialWatch) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := next(ctx, network, addr)
		h.dials.Add(1)
		return conn, err
	}
}

// ProcessHook implements redis.Hook.
func (h dialWatch) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

// ProcessPipelineHook implements redis.Hook.
func (h dialWatch) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// watchDials adds the hook to each client that makes connections. In a cluster those are the
// clients of the nodes, which do not run the hooks of the cluster client.
func watchDials(ctx context.Context, rdb redis.UniversalClient, h dialWatch) error {
	cluster, ok := rdb.(*redis.ClusterClient)
	if !ok {
		rdb.AddHook(h)
		return nil
	}
	cluster.OnNewNode(func(node *redis.Client) { node.AddHook(h) })
	return cluster.ForEachShard(ctx, func(_ context.Context, node *redis.Client) error {
		node.AddHook(h) // a new node may get the hook twice; its connections then count twice, which is harmless
		return nil
	})
}

// watchRedis records the run_id of the Redis in use. A Redis that does not report a run_id always
// counts as the same Redis.
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

// runID returns the run_id of a Redis, or those of a cluster's masters, sorted. It returns "" if
// Redis does not allow INFO.
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
		return "", fmt.Errorf("read run_id of redis: %w", err)
	}
	return info["Server"]["run_id"], nil
}

// confirmRedis returns once Redis is certainly the same as before, or this worker's settles have
// been replayed to it. dials is the number of connections for which that holds. A later claim may
// be used only if no connection has been made since. If confirmRedis returns an error, nothing may
// be claimed.
func (w *Worker) confirmRedis(ctx context.Context) (dials int64, err error) {
	f := &w.restartGuard
	if dials = f.dials.Load(); dials == f.confirmedDials.Load() {
		return dials, nil
	}
	f.checking.Lock()
	defer f.checking.Unlock()
	if dials = f.dials.Load(); dials == f.confirmedDials.Load() { // read before the run_id, so that a connection made meanwhile is checked again
		return dials, nil
	}
	if err := w.checkRunID(ctx); err != nil {
		return dials, err
	}
	f.confirmedDials.Store(dials)
	return dials, nil
}

// checkRunID reads the run_id of Redis. If it has changed, checkRunID replays the recent settles.
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
		return fmt.Errorf("replay settles: %w", err)
	}
	f.runID = id
	w.log.Warn().Int("settles", n).Msgf("redis restarted or failed over: replayed %d recent settles", n)
	return nil
}

// waitForInFlight waits until this worker's calls are settled. Without a durability setting, a new
// Redis may lack the claims of these calls, and another slot could then repeat the calls.
// waitForInFlight returns an error if the worker drains.
func (w *Worker) waitForInFlight(ctx context.Context) error {
	if w.cfg.Durability != (Durability{}) {
		return nil
	}
	longest := leaseMargin
	for _, a := range w.accounts {
		longest = max(longest, a.Timeout+leaseMargin)
	}
	// A provider that ignores its deadline must not stop the worker for ever.
	until := time.Now().Add(longest)
	for said := false; w.restartGuard.inFlight.Load() > 0 && time.Now().Before(until); said = true {
		if !said {
			w.log.Warn().Int64("calls", w.restartGuard.inFlight.Load()).Msg("redis restarted or failed over: waiting for calls in flight")
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

// remember stores a settle for replay. It drops the oldest settles beyond the limits.
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

// replay writes every remembered settle again. A settle that Redis already has changes nothing.
// replay returns the number of settles that it wrote.
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
