package script

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"weak"

	"github.com/redis/go-redis/v9"
)

// committer runs binding scripts on one Redis client, and waits until their changes are durable. A
// barrier can take two seconds, and holds its connection for that time. So the barriers of all
// Runners of a client take at most half of its connections, and at least one. While these wait,
// further runs queue, and share the next pipeline and its barrier.
type committer struct {
	limit int // the maximum number of pipelines at once

	mu    sync.Mutex
	queue []*commit
	busy  int // number of pipelines that run now
}

// commit is one run of a script, whose changes must be durable. The fields "answer" and "err" are
// set before the channel "done" is closed. If err is ErrNotDurable, answer is set too.
type commit struct {
	runner *Runner
	node   *redis.Client
	script *redis.Script
	keys   []string
	args   []any
	answer any
	err    error
	ended  bool // the channel "done" is closed
	done   chan struct{}
}

// end gives the caller of a run its answer.
func (x *commit) end(answer any, err error) {
	x.answer, x.err, x.ended = answer, err, true
	close(x.done)
}

// maxCommits is the maximum number of runs in one pipeline. go-redis limits the time to read all
// answers of a pipeline, and the barrier needs most of that time.
const maxCommits = 16

// commitKey identifies a committer. It does not keep the client in memory.
type commitKey struct {
	node       weak.Pointer[redis.Client]
	durability Durability
}

// committers has the *committer of each commitKey.
var committers sync.Map

// committerOf returns the committer for a client and the Runner's durability.
func (r *Runner) committerOf(node *redis.Client) *committer {
	key := commitKey{weak.Make(node), r.durability}
	if c, ok := committers.Load(key); ok {
		return c.(*committer)
	}
	o := node.Options()
	size := o.PoolSize
	if o.MaxActiveConns > 0 {
		size = min(size, o.MaxActiveConns)
	}
	c, known := committers.LoadOrStore(key, &committer{limit: max(size/2, 1)})
	if !known {
		runtime.AddCleanup(node, func(key commitKey) { committers.Delete(key) }, key)
	}
	return c.(*committer)
}

// commit runs a script on the client "node" and waits until its changes are durable. If ctx ends
// before the script begins, the script does not run, and commit returns the context's error.
func (r *Runner) commit(ctx context.Context, node *redis.Client, s *redis.Script, keys []string, args []any) (any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	c := r.committerOf(node)
	x := &commit{runner: r, node: node, script: s, keys: keys, args: args, done: make(chan struct{})}
	c.mu.Lock()
	c.queue = append(c.queue, x)
	if c.busy < c.limit {
		c.busy++
		go c.runPipelines()
	}
	c.mu.Unlock()
	select {
	case <-x.done:
	case <-ctx.Done():
		if c.withdraw(x) {
			return nil, ctx.Err()
		}
		<-x.done // the script has begun, so its answer is known soon
	}
	return x.answer, x.err
}

// withdraw removes a run from the queue. It returns false if the run has begun.
func (c *committer) withdraw(x *commit) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.queue, x)
	if i < 0 {
		return false
	}
	c.queue = slices.Delete(slices.Clone(c.queue), i, i+1) // a clone, because a group shares the array of the queue
	return true
}

// runPipelines runs one pipeline after the other until no run waits.
func (c *committer) runPipelines() {
	for {
		c.mu.Lock()
		n := min(len(c.queue), maxCommits)
		if n == 0 {
			c.queue = nil
			c.busy--
			c.mu.Unlock()
			return
		}
		group := c.queue[:n:n]
		c.queue = c.queue[n:]
		c.mu.Unlock()
		runGuarded(group)
	}
}

// runGuarded runs a group. If a hook of the client panics, the runs of the group get an error. Without that, the panic
// would end the process.
func runGuarded(group []*commit) {
	defer func() {
		p := recover()
		for _, x := range group {
			if p != nil && !x.ended {
				x.end(nil, fmt.Errorf("%w: panic of type %T", errNoAnswer, p)) // the panic's text could contain a secret
			}
		}
	}()
	runGroup(group)
}

// commitTries is how often a script runs if Redis does not have it.
const commitTries = 3

// runGroup runs the scripts of a group in one pipeline, with one barrier for all of them.
func runGroup(group []*commit) {
	ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
	defer cancel()
	r, node := group[0].runner, group[0].node
	for try := 1; len(group) > 0; try++ {
		pipe := node.Pipeline()
		answers := make([]*redis.Cmd, len(group))
		for i, x := range group {
			answers[i] = x.script.EvalSha(ctx, pipe, x.keys, x.args...)
		}
		var held *redis.Cmd
		if barrier := r.barrier(); barrier != nil {
			held = pipe.Do(ctx, barrier...)
		}
		_, _ = pipe.Exec(ctx) // each command holds its own error
		notDurable := r.barrierError(held)
		var again []*commit
		for i, x := range group {
			err := answers[i].Err()
			if err != nil && redis.HasErrorPrefix(err, "NOSCRIPT") && try < commitTries {
				if err = x.script.Load(ctx, node).Err(); err == nil {
					again = append(again, x)
					continue
				}
			}
			if err != nil {
				x.end(nil, err)
				continue
			}
			x.end(answers[i].Val(), notDurable)
		}
		group = again
	}
}

// barrierError returns an error that wraps ErrNotDurable if a barrier has not confirmed the changes
// before it. The parameter "held" is the barrier's command, or nil if no barrier is needed.
func (r *Runner) barrierError(held *redis.Cmd) error {
	if held == nil {
		return nil
	}
	if err := held.Err(); err != nil {
		if r.durability.Replicas == 0 && strings.Contains(err.Error(), "unknown command") {
			// Redis before 7.2 has no WAITAOF. For such a Redis, redisguard.CheckDurability requires the
			// setting "appendfsync always". With this setting, a change is on disk before Redis answers.
			r.noWaitAOF.Store(true)
			return nil
		}
		return fmt.Errorf("%w: %w", ErrNotDurable, err)
	}
	if n, want := acknowledged(held.Val()), max(r.durability.Replicas, 1); n < want {
		return fmt.Errorf("%w: the change is confirmed by %d of %d servers after %s (redis.durability: %s)", ErrNotDurable, n, want, r.durability.timeout(), r.durability)
	}
	return nil
}
