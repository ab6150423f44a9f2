package queue

import (
	"context"
	"errors"
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
	// every is for how long a queue that was tried by itself in vain is left alone, and
	// half of it for how long a look at all of them holds.
	every time.Duration
	mu    sync.Mutex
	at    time.Time
	empty bool
	// tried is when a queue was, by its key, while others were not empty.
	tried map[string]time.Time
}

// NewGate returns a gate for the queues of those names, or nil where Redis cannot be asked
// for several keys at once: in a cluster. Whoever tries more often than every finds a task
// sooner where all queues were empty, and costs Redis no more: it is asked twice in that
// time for all of them together, and once for each while some are not empty.
func NewGate(rdb redis.UniversalClient, every time.Duration, queues []string) *Gate {
	client, ok := rdb.(*redis.Client)
	if !ok || len(queues) < 2 {
		return nil
	}
	g := &Gate{rdb: client, every: every, tried: map[string]time.Time{}}
	for _, q := range queues {
		g.keys = append(g.keys, pendingKey(q))
	}
	return g
}

// Client is the Redis client for asynq's servers.
func (g *Gate) Client() redis.UniversalClient { return gatedClient{g.rdb, g} }

// shut says whether all queues were empty just now, or the one of that key was. What
// cannot be told is not.
func (g *Gate) skips(ctx context.Context, queue string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if time.Since(g.at) < g.every/2 {
		return g.empty || time.Since(g.tried[queue]) < g.every
	}
	begun := time.Now()
	n, err := g.rdb.Exists(ctx, g.keys...).Result()
	g.at, g.empty = begun, err == nil && n == 0
	if g.empty {
		clear(g.tried) // whatever comes now is new
	}
	return g.empty || time.Since(g.tried[queue]) < g.every
}

// inVain notes that a queue was tried and is empty.
func (g *Gate) noteEmpty(queue string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tried[queue] = time.Now()
}

// gated is a Redis client on which asynq's tries to take a task are not made while the
// gate is shut.
type gatedClient struct {
	redis.UniversalClient
	gate *Gate
}

// EvalSha runs a script by its digest.
func (c gatedClient) EvalSha(ctx context.Context, digest string, keys []string, args ...any) *redis.Cmd {
	if !isDequeueScript(keys) {
		return c.UniversalClient.EvalSha(ctx, digest, keys, args...)
	}
	if c.gate.skips(ctx, keys[0]) {
		cmd := redis.NewCmd(ctx)
		cmd.SetErr(redis.Nil) // as if the queue were empty
		return cmd
	}
	cmd := c.UniversalClient.EvalSha(ctx, digest, keys, args...)
	if errors.Is(cmd.Err(), redis.Nil) {
		c.gate.noteEmpty(keys[0])
	}
	return cmd
}

// takes says whether these are the keys of asynq 0.26's script that takes a task. Should
// another release use other keys, its scripts all run as if there were no gate.
func isDequeueScript(keys []string) bool {
	return len(keys) == 4 && strings.HasSuffix(keys[0], ":pending") && strings.HasSuffix(keys[1], ":paused") &&
		strings.HasSuffix(keys[2], ":active") && strings.HasSuffix(keys[3], ":lease")
}

// pendingKey is where asynq 0.26 keeps the tasks of a queue that nobody has taken yet.
func pendingKey(queue string) string { return "asynq:{" + queue + "}:pending" }
