package queue

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Gate reduces the number of commands that idle asynq servers send to Redis. Each server tries to
// take a task from its queue about twenty times a second. While all queues are empty, the Gate
// answers these tries without Redis. It checks all queues together with one command. It is safe for
// concurrent use.
type Gate struct {
	rdb  *redis.Client
	keys []string
	// The field "every" is how long the gate skips a queue after a server found this queue empty. A
	// check of all queues stays valid for half of that time.
	every time.Duration
	mu    sync.Mutex
	// The field "taken" is the time at which a server last took a task. For the duration busyFor
	// after that, the gate checks more often, because further tasks are likely. One example is the
	// batch of a message that was just planned.
	taken time.Time
	at    time.Time
	empty bool
	// The map "tried" holds, for each queue, the last time at which a server found this queue empty
	// while another queue was not empty.
	tried map[string]time.Time
}

// NewGate returns a gate for the named queues. It returns nil if there are fewer than two queues.
// It also returns nil for a cluster client, because one command cannot check keys in several hash
// slots.
//
// The gate checks all queues at most twice within the period "every". After a task was taken, it
// checks more often (see busyFor). Between two checks, the gate answers the tries of asynq servers
// without Redis. So a server may try its queue several times within the period at no cost to Redis,
// and it notices a new task sooner. While some queues are not empty, the gate also lets each server
// try its queue in Redis once in the period.
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

// The method "skips" reports whether the gate itself answers a try of this queue. Then the try does
// not go to Redis. The result is true if a server, or the last check, has just found this queue empty.
// A check that fails counts as a check that has found a task.
func (g *Gate) skips(ctx context.Context, queue string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	every := g.period()
	if time.Since(g.at) < every/2 {
		return g.empty || time.Since(g.tried[queue]) < every
	}
	begun := time.Now()
	n, err := g.rdb.Exists(ctx, g.keys...).Result()
	g.at, g.empty = begun, err == nil && n == 0
	if g.empty {
		clear(g.tried) // so that the gate does not skip a queue that gets a task after this check
	}
	return g.empty || time.Since(g.tried[queue]) < every
}

const (
	// After a server has taken a task, the gate checks up to busyRatio times as often as usual, for the
	// time busyFor. Each check may make every server try its queue. So with many queues, the period
	// between checks is at least busyEach times the number of queues.
	busyFor   = 5 * time.Second
	busyRatio = 5
	busyEach  = 2 * time.Millisecond
)

// period returns how long the gate skips a queue that was found empty at the present time. The caller
// holds g.mu.
func (g *Gate) period() time.Duration {
	if time.Since(g.taken) > busyFor {
		return g.every
	}
	return min(max(g.every/busyRatio, time.Duration(len(g.keys))*busyEach), g.every)
}

// noteTask records that a server took a task just now.
func (g *Gate) noteTask() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.taken = time.Now()
}

// noteEmpty records that a server tried the queue just now and found it empty.
func (g *Gate) noteEmpty(queue string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tried[queue] = time.Now()
}

// gatedClient is the Redis client for asynq's servers. While the gate skips a queue, gatedClient
// does not send commands that take a task from this queue. It answers such a command without
// Redis.
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
		cmd.SetErr(redis.Nil) // answer as if the queue were empty
		return cmd
	}
	cmd := c.UniversalClient.EvalSha(ctx, digest, keys, args...)
	if errors.Is(cmd.Err(), redis.Nil) {
		c.gate.noteEmpty(keys[0])
	} else if cmd.Err() == nil {
		c.gate.noteTask()
	}
	return cmd
}

// isDequeueScript reports whether keys are the keys of the script that takes a task in asynq 0.26.
// If another release of asynq uses other keys, all its scripts go to Redis as if the gate did not
// exist.
func isDequeueScript(keys []string) bool {
	return len(keys) == 4 && strings.HasSuffix(keys[0], ":pending") && strings.HasSuffix(keys[1], ":paused") &&
		strings.HasSuffix(keys[2], ":active") && strings.HasSuffix(keys[3], ":lease")
}

// pendingKey returns the key under which asynq 0.26 keeps the list of waiting tasks of a queue.
func pendingKey(queue string) string { return "asynq:{" + queue + "}:pending" }

// pausedKey returns the key under which asynq 0.26 keeps the time at which a queue was paused.
func pausedKey(queue string) string { return "asynq:{" + queue + "}:paused" }
