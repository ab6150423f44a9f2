package redisguard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/tuma-sms/tuma/internal/drain"
)

// Peers are the workers that serve the same accounts as this worker. The parameter "run" names a run
// of Redis.
type Peers interface {
	// ConfirmRun records that this worker has replayed its settles to the Redis process with the run
	// ID "run". longestCall is the worker's Guard.LongestCall.
	ConfirmRun(ctx context.Context, run string, longestCall time.Duration) error
	// Unconfirmed returns the names of the other live workers that have not called ConfirmRun for this
	// run. longestCall is the longest value that these workers have recorded, or 0 if one of them has
	// not recorded a value.
	Unconfirmed(ctx context.Context, run string) (names []string, longestCall time.Duration, err error)
}

// A worker waits for its peers at most for the longest call of all these workers plus peerMargin.
// If a peer has not recorded its longest call, the limit is at least peerWait. A dead peer is
// ignored after accounts.WorkerLife.
const (
	peerMargin = 15 * time.Second
	peerWait   = 5 * time.Minute
)

// A waiting worker checks repeatedly whether its peers have replayed their settles. peerTick is the
// time between two checks.
const peerTick = 50 * time.Millisecond

// waitForPeers records that this worker has replayed its settles, and waits until every other live
// worker has replayed its settles too. Without a durability setting, a restarted Redis may lack
// both the claim and the settle of a call. Only the worker that made the call can restore the
// settle. Before that, this worker could claim the call a second time. peerLimit limits the wait.
// waitForPeers returns an error if the worker drains.
func (g *Guard) waitForPeers(ctx context.Context, runID string) error {
	if g.Peers == nil {
		return nil
	}
	run := shortRun(runID)
	if err := g.Peers.ConfirmRun(ctx, run, g.LongestCall); err != nil || g.Durable {
		return err
	}
	began := time.Now()
	for said := false; ; said = true {
		late, longest, err := g.Peers.Unconfirmed(ctx, run)
		if err != nil || len(late) == 0 {
			return err
		}
		if time.Since(began) > peerLimit(g.LongestCall, longest) {
			g.Log.Warn().Strs("workers", late).Msg("redis restarted or failed over: these workers have not replayed their recent settles; this worker no longer waits for them")
			return nil
		}
		if !said {
			g.Log.Info().Strs("workers", late).Msg("redis restarted or failed over: waiting until these workers have replayed their recent settles")
		}
		if !g.Stop.Sleep(peerTick) {
			return drain.ErrDraining
		}
	}
}

// peerLimit returns how long a worker waits for its peers. The parameter "own" is the duration of the
// worker's longest call. The parameter "peers" is the duration of the longest call of all peers, or 0
// if it is not known.
func peerLimit(own, peers time.Duration) time.Duration {
	limit := max(own, peers) + peerMargin
	if peers == 0 {
		limit = max(limit, peerWait)
	}
	return limit
}

// shortRun returns a short name of a run of Redis. The run_ids of a cluster's masters can be long.
func shortRun(runID string) string {
	sum := sha256.Sum256([]byte(runID))
	return hex.EncodeToString(sum[:6])
}
