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

// maxBatch bounds the requests in one pipeline, so that Redis can serve other clients in between.
const maxBatch = 64

// maxInFlightPipelines bounds how many pipelines run at once. While Redis works on one pipeline,
// the answers of another are read, and requests collect for the next. The second pipeline starts
// only when minBatch requests wait, because each run of the script has a fixed cost that its
// requests share.
const (
	maxInFlightPipelines = 2
	minBatch             = 8
)

// groupTimeout is the time limit of one whole pipeline.
const groupTimeout = 10 * time.Second

// Batcher runs one script for the requests of many callers. The script takes the arguments that all
// requests of a run share, then those of each request, and answers with one text for each request.
// Requests that arrive while a pipeline runs go into the next one. Requests with the same K share
// one run of the script. A request waits for at most one pipeline before its own. It is safe for
// concurrent use.
type Batcher[K comparable] struct {
	runner *Runner
	script *Script
	keys   func(K) []string
	args   func(K) []any

	mu    sync.Mutex
	queue []*request[K]
	busy  int // number of pipelines that run now
}

// request is one request. answer and err are set once done is closed.
type request[K comparable] struct {
	shared   K
	own      []any
	answer   string
	err      error
	answered bool // done is closed
	done     chan struct{}
}

// NewBatcher returns a Batcher for a script. keys and args return the keys and the shared arguments
// of a run.
func NewBatcher[K comparable](r *Runner, s *Script, keys func(K) []string, args func(K) []any) *Batcher[K] {
	return &Batcher[K]{runner: r, script: s, keys: keys, args: args}
}

// Run runs the script for one request, together with other requests, and returns the answer to this
// request. The parameter "own" has the arguments of this request alone. If ctx ends first, Run
// returns the context's error; the script may run nevertheless.
func (b *Batcher[K]) Run(ctx context.Context, shared K, own []any) (string, error) {
	a := &request[K]{shared: shared, own: own, done: make(chan struct{})}
	if b.runner.durability != (Durability{}) {
		b.runShared(ctx, []*request[K]{a}) // the durability barrier takes long, so each request waits only for its own barrier
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

// Hold lets further requests wait, as if pipelines were running, until release is called. release
// runs them in one pipeline. queued returns how many wait. Tests use Hold to decide which requests
// share a pipeline.
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

// runPipeline runs one pipeline with the requests that wait, and starts the next one if more have
// arrived.
func (b *Batcher[K]) runPipeline() {
	// Deferred, so that it runs after a panic too. The caller may recover from the panic.
	defer b.finishPipeline()
	// Gosched lets worker slots that have just received a gateway's answer add requests to this
	// pipeline. If no slot is ready, the call costs nothing.
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

// finishPipeline ends a pipeline. It starts the next one if enough requests wait.
func (b *Batcher[K]) finishPipeline() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.queue); n >= minBatch || n > 0 && b.busy == 1 {
		go b.runPipeline()
		return
	}
	b.busy--
}

// runGroup runs the script once for each set of requests that can share a run, all in one
// pipeline.
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

// runShared runs the script once, for requests that share a run.
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

// deliver gives each request its part of the answer. If err is not nil, deliver gives that error to
// all requests.
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

// failUnanswered ends the wait of requests that a panic has left without an answer.
func failUnanswered[K comparable](group []*request[K]) {
	for _, a := range group {
		if !a.answered {
			deliver([]*request[K]{a}, nil, errNoAnswer)
		}
	}
}
