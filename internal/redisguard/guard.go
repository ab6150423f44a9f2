package redisguard

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/drain"
)

// Guard detects that Redis restarted or that a replica was promoted. The last writes may then be
// missing. So the worker replays its recent settles before it makes new claims.
//
// Set the exported fields and call Watch before any other method. The methods are safe for
// concurrent use.
type Guard struct {
	Redis redis.UniversalClient
	// Unsafe accepts a Redis that may lose data; see Check.
	Unsafe bool
	// Durable is true if each claim is durable before its call is made. If it is false, the
	// Guard waits for calls in flight before it replays settles.
	Durable bool
	// LongestCall is the maximum time from the claim of a call to its settle.
	LongestCall time.Duration
	// Peers are the other workers of the same accounts. Peers is nil if no other workers exist.
	Peers Peers
	Stop  *drain.Signals
	// Readiness logs the outages of Redis. During an outage the Guard logs at debug level only.
	Readiness *Readiness
	Log       zerolog.Logger

	// The field "dials" is the number of connections made to Redis so far. confirmedDials is the
	// value of "dials" at the last confirmation. The connections up to this number certainly lead to
	// a Redis that has all of this worker's settles.
	dials, confirmedDials atomic.Int64
	// inFlight is the number of claims that this worker has requested or holds.
	inFlight atomic.Int64
	checking sync.Mutex
	runID    string // run_id of the Redis last seen; the mutex "checking" guards it
	awaited  string // run_id of the Redis to which all peers have replayed their settles; the mutex "checking" guards it
	settles  settles
}

// Watch begins to count the connections to Redis, and records the run_id of the Redis in use. If
// Redis does not report a run_id, the Guard always treats it as the same Redis.
func (g *Guard) Watch(ctx context.Context) error {
	if err := watchDials(ctx, g.Redis, dialWatch{&g.dials}); err != nil {
		return fmt.Errorf("watch redis: %w", err)
	}
	id, err := runID(ctx, g.Redis)
	g.checking.Lock()
	defer g.checking.Unlock()
	g.runID = id
	return err
}

// Confirm returns when it is certain that Redis has the settles of this worker and of its peers.
// Either Redis is the same as before, or these settles have been replayed. The result "dials" is the
// number of connections that were made to Redis before this check. A later claim may be used only if
// no connection has been made after Confirm (see Unchanged). If Confirm returns an error, the worker
// must not claim anything.
func (g *Guard) Confirm(ctx context.Context) (dials int64, err error) {
	if dials = g.dials.Load(); dials == g.confirmedDials.Load() {
		return dials, nil
	}
	g.checking.Lock()
	defer g.checking.Unlock()
	// Read g.dials before the run_id. If a connection is made after this line, the next Confirm checks again.
	if dials = g.dials.Load(); dials == g.confirmedDials.Load() {
		return dials, nil
	}
	if err := g.checkRunID(ctx); err != nil {
		return dials, err
	}
	g.confirmedDials.Store(dials)
	return dials, nil
}

// Confirmed returns the number of connections, and whether Redis is confirmed for all these
// connections. It sends no command to Redis.
func (g *Guard) Confirmed() (dials int64, ok bool) {
	dials = g.dials.Load()
	return dials, dials == g.confirmedDials.Load()
}

// Unchanged returns true if no connection was added: the number of connections is still the parameter "dials".
func (g *Guard) Unchanged(dials int64) bool { return g.dials.Load() == dials }

// Enter counts a claim that is about to be requested. The caller calls the function "leave" after
// the last call under that claim. It may call this function more than once.
func (g *Guard) Enter() (leave func()) {
	g.inFlight.Add(1)
	return sync.OnceFunc(func() { g.inFlight.Add(-1) })
}

// Remember keeps a settle for replay. The caller calls Remember before it writes the settle. The
// function "write" writes the settle once more. If Redis already has the settle, this changes
// nothing. If too many settles are kept, Remember drops the oldest.
func (g *Guard) Remember(recipients int, write func(context.Context) error) {
	keep := keptFor + g.LongestCall
	if _, confirmed := g.Confirmed(); !confirmed {
		keep = keptUnconfirmed // Redis may have lost recent settles, and they were not replayed yet
	}
	g.settles.remember(recipients, keep, write)
}

// Finish replays the recent settles if Redis restarted after the last Confirm. A worker calls
// Finish when it has drained and has no call in flight, because its peers wait for its settles.
func (g *Guard) Finish(ctx context.Context) error {
	if _, confirmed := g.Confirmed(); confirmed {
		return nil
	}
	g.checking.Lock()
	defer g.checking.Unlock()
	id, err := runID(ctx, g.Redis)
	if err != nil || id == "" || g.runID == "" || id == g.runID {
		return err
	}
	g.runID = id
	return g.replay(ctx)
}

// checkRunID reads the run_id of Redis. If it has changed, checkRunID replays the recent settles.
// For each new run_id, checkRunID also waits once until the peers have replayed their settles.
func (g *Guard) checkRunID(ctx context.Context) error {
	id, err := runID(ctx, g.Redis)
	if err != nil {
		return err
	}
	switch {
	case id == "":
		g.runID = id
		return nil
	// Compare the run_id with g.awaited and with g.runID. After a failback, g.awaited may be the run_id of this
	// Redis, although this Redis lacks the settles that were written to the other Redis.
	case id == g.awaited && id == g.runID:
		return nil
	case g.runID != "" && id != g.runID:
		if err := g.replay(ctx); err != nil {
			return err
		}
	}
	g.runID = id
	if err := g.waitForPeers(ctx, id); err != nil {
		return err
	}
	g.awaited = id
	return nil
}

// The method "replay" replays the recent settles to a Redis that has restarted.
func (g *Guard) replay(ctx context.Context) error {
	// Call checkServer instead of Check, because a full Redis refuses the test writes of Check,
	// but accepts settles.
	if _, err := checkServer(ctx, g.Redis, g.Unsafe); err != nil {
		return err
	}
	// First replay the settles of calls that have ended. Wait for calls in flight only after that,
	// because a call may hang.
	begun := time.Now()
	n, err := g.settles.replay(ctx, time.Time{})
	if err != nil {
		return fmt.Errorf("replay settles: %w", err)
	}
	if err := g.waitForInFlight(ctx); err != nil {
		return err
	}
	more, err := g.settles.replay(ctx, begun)
	if err != nil {
		return fmt.Errorf("replay settles: %w", err)
	}
	n += more
	g.Log.WithLevel(g.level()).Int("settles", n).Msg("redis restarted or failed over: recent settles were replayed")
	return nil
}

// The method "level" returns the level of log lines about a restarted Redis. If Readiness has
// logged an outage just before, the level is debug, because the log lines about the outage say that
// Redis has restarted.
func (g *Guard) level() zerolog.Level {
	if g.Readiness.Recent() {
		return zerolog.DebugLevel
	}
	return zerolog.WarnLevel
}

// waitForInFlight waits until this worker's calls are settled. Without a durability setting, a new
// Redis may lack the claims of these calls, and another slot could repeat the calls.
// waitForInFlight returns an error if the worker drains.
func (g *Guard) waitForInFlight(ctx context.Context) error {
	if g.Durable {
		return nil
	}
	// If a provider ignores its deadline, the worker must not wait for ever.
	until := time.Now().Add(g.LongestCall)
	for said := false; g.inFlight.Load() > 0 && time.Now().Before(until); said = true {
		if !said {
			g.Log.WithLevel(g.level()).Int64("calls", g.inFlight.Load()).Msg("redis restarted or failed over: waiting for calls in flight")
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !g.Stop.Sleep(10 * time.Millisecond) {
			return drain.ErrDraining
		}
	}
	return nil
}
