package queue

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Gate spares Redis most of what idle servers of asynq ask. Each of them tries to take a
// task off its own queue, some twenty times a second; a Gate looks at all of the queues
// together with one command, and while they are empty answers those tries itself. It is
// safe for concurrent use.
type Gate struct {
	rdb  *redis.Client
	keys []string
	// fresh is for how long a look holds.
	fresh time.Duration
	mu    sync.Mutex
	at    time.Time
	empty bool
}

// NewGate returns a gate for the queues of those names, or nil where Redis cannot be asked
// for several keys at once: in a cluster. A task is found at most fresh later than it would
// be without the gate.
func NewGate(rdb redis.UniversalClient, fresh time.Duration, queues []string) *Gate {
	client, ok := rdb.(*redis.Client)
	if !ok || len(queues) < 2 {
		return nil
	}
	g := &Gate{rdb: client, fresh: fresh}
	for _, q := range queues {
		g.keys = append(g.keys, pendingKey(q))
	}
	return g
}

// Client is the Redis client for asynq's servers.
func (g *Gate) Client() redis.UniversalClient { return gated{g.rdb, g} }

// shut says whether all queues were empty just now. What cannot be told is not.
func (g *Gate) shut(ctx context.Context) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.at) < g.fresh {
		return g.empty
	}
	begun := time.Now()
	n, err := g.rdb.Exists(ctx, g.keys...).Result()
	g.at, g.empty = begun, err == nil && n == 0
	return g.empty
}

// gated is a Redis client on which asynq's tries to take a task are not made while the
// gate is shut.
type gated struct {
	redis.UniversalClient
	gate *Gate
}

// EvalSha runs a script by its digest.
func (c gated) EvalSha(ctx context.Context, digest string, keys []string, args ...any) *redis.Cmd {
	if takes(keys) && c.gate.shut(ctx) {
		cmd := redis.NewCmd(ctx)
		cmd.SetErr(redis.Nil) // as if the queue were empty
		return cmd
	}
	return c.UniversalClient.EvalSha(ctx, digest, keys, args...)
}

// takes says whether these are the keys of asynq 0.26's script that takes a task. Should
// another release use other keys, its scripts all run as if there were no gate.
func takes(keys []string) bool {
	return len(keys) == 4 && strings.HasSuffix(keys[0], ":pending") && strings.HasSuffix(keys[1], ":paused") &&
		strings.HasSuffix(keys[2], ":active") && strings.HasSuffix(keys[3], ":lease")
}

// pendingKey is where asynq 0.26 keeps the tasks of a queue that nobody has taken yet.
func pendingKey(queue string) string { return "asynq:{" + queue + "}:pending" }
