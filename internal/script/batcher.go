package script

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// maxBatch is the maximum number of requests in one pipeline. The limit lets Redis serve other
// clients between two pipelines.
const maxBatch = 64

// maxInFlightPipelines is the maximum number of pipelines that run at once. While Redis works on
// one pipeline, the Batcher reads the answers of another pipeline and collects requests for the
// next. The second pipeline starts only when minBatch requests wait, because a run of the script has
// a fixed cost, which all requests of the run share.
const (
	maxInFlightPipelines = 2
	minBatch             = 8
)

// groupTimeout is the time limit of one whole pipeline.
const groupTimeout = 10 * time.Second

// Batcher runs one script for the requests of many callers. The script takes the arguments that all
// requests of a run share, then the arguments of each request. It answers with one text for each
// request. Requests that arrive while a pipeline runs go into the next pipeline. Requests with the
// same K share one run of the script. A request waits for at most one other pipeline. A Batcher is
// safe for concurrent use.
type Batcher[K comparable] struct {
	runner *Runner
	script *Script
	keys   func(K) []string
	args   func(K) []any

	mu    sync.Mutex
	queue []*request[K]
	busy  int // number of pipelines that run now
}

// request is one request. The fields "answer" and "err" are set before the channel "done" is
// closed.
type request[K comparable] struct {
	shared   K
	own      []any
	answer   string
	err      error
	answered bool // done is closed
	done     chan struct{}
}

// NewBatcher returns a Batcher for a script. The function "keys" returns the keys of a run. The
// function "args" returns the arguments that all requests of the run share.
func NewBatcher[K comparable](r *Runner, s *Script, keys func(K) []string, args func(K) []any) *Batcher[K] {
	return &Batcher[K]{runner: r, script: s, keys: keys, args: args}
}

// Run runs the script for one request, together with other requests, and returns the answer to this
// request. The parameter "own" has the arguments of this request only. If ctx ends first, Run
// returns the context's error. Even then, the script may run.
func (b *Batcher[K]) Run(ctx context.Context, shared K, own []any) (string, error) {
	a := &request[K]{shared: shared, own: own, done: make(chan struct{})}
	if b.runner.durability != (Durability{}) {
		b.runShared(ctx, []*request[K]{a}) // with durability, each request runs alone: the committer groups the runs that must wait
		return a.answer, a.err
	}
	b.mu.Lock()
	b.queue = append(b.queue, a)
	leads := b.busy == 0 || b.busy < maxInFlightPipelines && len(b.queue) >= minBatch
	if leads {
		b.busy++
	}
	b.mu.Unlock()
	if leads {
		b.runPipeline()
	}
	select {
	case <-a.done:
		return a.answer, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// Hold lets further requests wait, as if pipelines were running, until the caller calls the
// function "release". That function runs the waiting requests in one pipeline. The function
// "queued" returns how many requests wait. Tests use Hold to decide which requests share a
// pipeline.
func (b *Batcher[K]) Hold() (queued func() int, release func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy = maxInFlightPipelines
	queued = func() int {
		b.mu.Lock()
		defer b.mu.Unlock()
		return len(b.queue)
	}
	return queued, func() {
		b.mu.Lock()
		b.busy = 1
		b.mu.Unlock()
		b.runPipeline()
	}
}

// runPipeline runs one pipeline with the waiting requests. If more requests have arrived
// meanwhile, it starts the next pipeline.
func (b *Batcher[K]) runPipeline() {
	// finishPipeline is deferred, so that it also runs after a panic. The caller may recover from
	// the panic.
	defer b.finishPipeline()
	// Gosched lets other worker slots run. If a slot has just received a gateway's answer, it
	// can add a request to this pipeline. If no slot is ready, this costs nothing.
	runtime.Gosched()
	b.mu.Lock()
	n := min(len(b.queue), maxBatch)
	group := b.queue[:n:n]
	b.queue = b.queue[n:]
	b.mu.Unlock()
	defer failUnanswered(group)
	if n > 0 { // if n is 0, the previous pipeline has taken all requests
		b.runGroup(group)
	}
}

// finishPipeline ends a pipeline. It starts the next pipeline if enough requests wait.
func (b *Batcher[K]) finishPipeline() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.queue); n >= minBatch || n > 0 && b.busy == 1 {
		go b.runPipeline()
		return
	}
	b.busy--
}

// runGroup divides requests into sets that can share a run. It runs the script once for each
// set, with all runs in one pipeline.
func (b *Batcher[K]) runGroup(group []*request[K]) {
	var runs [][]*request[K]
	for _, a := range group {
		n := slices.IndexFunc(runs, func(run []*request[K]) bool { return run[0].shared == a.shared })
		if n < 0 {
			n, runs = len(runs), append(runs, make([]*request[K], 0, len(group)))
		}
		runs[n] = append(runs[n], a)
	}
	ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
	defer cancel()
	if len(runs) == 1 {
		b.runShared(ctx, runs[0])
		return
	}
	pipe := b.runner.rdb.Pipeline()
	cmds := make([]*redis.Cmd, len(runs))
	for i, run := range runs {
		keys, args := b.arguments(run)
		cmds[i] = b.script.plain.EvalSha(ctx, pipe, keys, args...)
	}
	_, _ = pipe.Exec(ctx) // each command holds its own error
	for i, run := range runs {
		if err := cmds[i].Err(); err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
			b.runShared(ctx, run)
			continue
		}
		out, err := texts(cmds[i].Result())
		deliver(run, out, err)
	}
}

// runShared runs the script once for all given requests.
func (b *Batcher[K]) runShared(ctx context.Context, run []*request[K]) {
	keys, args := b.arguments(run)
	out, err := b.runner.Run(ctx, b.script, keys, args...)
	deliver(run, out, err)
}

// arguments returns the keys and arguments of one run of the script.
func (b *Batcher[K]) arguments(run []*request[K]) (keys []string, args []any) {
	shared := b.args(run[0].shared)
	args = append(make([]any, 0, len(shared)+len(run[0].own)*len(run)), shared...)
	for _, a := range run {
		args = append(args, a.own...)
	}
	return b.keys(run[0].shared), args
}

// deliver gives each request its part of the answer. If err is not nil, all requests get this
// error.
func deliver[K comparable](run []*request[K], out []string, err error) {
	if err == nil && len(out) != len(run) {
		err = fmt.Errorf("%w: %d answers for %d requests", ErrAnswer, len(out), len(run))
	}
	for i, a := range run {
		if a.err = err; err == nil {
			a.answer = out[i]
		}
		a.answered = true
		close(a.done)
	}
}

var errNoAnswer = errors.New("the request was dropped without an answer")

// failUnanswered gives an error to each request that has no answer because of a panic. Otherwise the
// callers of these requests would wait for ever.
func failUnanswered[K comparable](group []*request[K]) {
	for _, a := range group {
		if !a.answered {
			deliver([]*request[K]{a}, nil, errNoAnswer)
		}
	}
}
