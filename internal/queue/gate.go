package queue

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Gate reduces the commands that idle asynq servers send to Redis. Each server tries to take a task
// off its queue some twenty times a second. While all queues are empty, a Gate answers these tries
// itself, and checks the queues with one command for all of them. It is safe for concurrent use.
type Gate struct {
	rdb  *redis.Client
	keys []string
	// every is how long the gate skips a queue after a server found the queue empty. A check of all
	// queues stays valid for half of that time.
	every time.Duration
	mu    sync.Mutex
	at    time.Time
	empty bool
	// tried holds, for each queue, when it was last found empty while another queue was not.
	tried map[string]time.Time
}

// NewGate returns a gate for the named queues. It returns nil if there are fewer than two queues.
// It also returns nil for a cluster client, because one command cannot check keys in several hash
// slots.
//
// An asynq server may try its queue several times within the period every. Each try more lets it
// notice a new task sooner. That costs Redis nothing, because the gate checks all queues only twice
// in that period. While some queues are not empty, the gate also lets each server try its queue
// once in that period.
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

// Client returns the Redis client to give to asynq's servers.
func (g *Gate) Client() redis.UniversalClient { return gatedClient{g.rdb, g} }

// skips reports whether the gate answers a try of this queue itself, because this queue or all
// queues were empty just now. If the gate cannot check the queues, the try goes to Redis.
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
		clear(g.tried) // so that the gate does not skip a queue that gets a task after this check
	}
	return g.empty || time.Since(g.tried[queue]) < g.every
}

// noteEmpty records that a server tried the queue just now and found it empty.
func (g *Gate) noteEmpty(queue string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tried[queue] = time.Now()
}

// gatedClient is the Redis client for asynq's servers. While the gate skips a queue, it answers a
// try to take a task from that queue without Redis.
type gatedClient struct {
	redis.UniversalClient
	gate *Gate
}

// EvalSha runs the script with the given digest. If this is asynq's script that takes a task, and
// the gate skips the queue, EvalSha answers as if the queue were empty.
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

// isDequeueScript reports whether these are the keys of the script that takes a task in asynq 0.26.
// If another release of asynq uses other keys, all its scripts go to Redis as if there were no
// gate.
func isDequeueScript(keys []string) bool {
	return len(keys) == 4 && strings.HasSuffix(keys[0], ":pending") && strings.HasSuffix(keys[1], ":paused") &&
		strings.HasSuffix(keys[2], ":active") && strings.HasSuffix(keys[3], ":lease")
}

// pendingKey returns the key under which asynq 0.26 keeps the list of waiting tasks of a queue.
func pendingKey(queue string) string { return "asynq:{" + queue + "}:pending" }

// pausedKey returns the key under which asynq 0.26 keeps the time at which a queue was paused.
func pausedKey(queue string) string { return "asynq:{" + queue + "}:paused" }
