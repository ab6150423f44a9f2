package ledger

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

// groupTimeout bounds one pipeline as a whole.
const groupTimeout = 10 * time.Second

// settleAndClaimArgs is how many arguments of settle_and_claim.lua belong to a single request.
const settleAndClaimArgs = 11

// batcher collects the settle-and-claim requests of many worker slots. Requests that arrive while a
// pipeline runs go into the next one. Requests of the same campaign and account share one run of
// the script. A request waits for at most one pipeline before its own.
type batcher struct {
	mu    sync.Mutex
	queue []*batchedRequest
	busy  int // pipelines that run now
}

// batchedRequest is one request and, once done is closed, its answer.
type batchedRequest struct {
	common   runKey
	own      [settleAndClaimArgs]any
	answer   string
	err      error
	answered bool // done is closed
	done     chan struct{}
}

// runKey holds the arguments that all requests of one run of the script have in common.
type runKey struct {
	id                      string
	lease                   time.Duration
	login, open, exclusions string
}

// evalBatched runs settle_and_claim.lua for one request, together with others, and returns its
// answer. If ctx ends first it returns the context's error; the script may run nevertheless.
func (l *Ledger) evalBatched(ctx context.Context, s runKey, own [settleAndClaimArgs]any) (string, error) {
	a := &batchedRequest{common: s, own: own, done: make(chan struct{})}
	if l.durability != (Durability{}) {
		l.evalShared(ctx, []*batchedRequest{a}) // the durability barrier takes long, so each request waits only for its own barrier
		return a.answer, a.err
	}
	t := &l.batcher
	t.mu.Lock()
	t.queue = append(t.queue, a)
	leads := t.busy == 0 || t.busy < maxInFlightPipelines && len(t.queue) >= minBatch
	if leads {
		t.busy++
	}
	t.mu.Unlock()
	if leads {
		l.runPipeline()
	}
	select {
	case <-a.done:
		return a.answer, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// runPipeline runs one pipeline with the requests that wait, and starts the next one if more have
// arrived.
func (l *Ledger) runPipeline() {
	// Deferred, so that it runs after a panic too. The caller may recover from the panic.
	defer l.finishPipeline()
	// Gosched lets worker slots that have just received a gateway's answer add requests to this
	// pipeline. If no slot is ready, the call costs nothing.
	runtime.Gosched()
	t := &l.batcher
	t.mu.Lock()
	n := min(len(t.queue), maxBatch)
	group := t.queue[:n:n]
	t.queue = t.queue[n:]
	t.mu.Unlock()
	defer failUnanswered(group)
	if n > 0 { // if n is 0, the previous pipeline has taken all requests
		l.evalGroup(group)
	}
}

// finishPipeline ends a pipeline. It starts the next one if enough requests wait.
func (l *Ledger) finishPipeline() {
	t := &l.batcher
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.queue); n >= minBatch || n > 0 && t.busy == 1 {
		go l.runPipeline()
		return
	}
	t.busy--
}

// evalGroup runs the script once for each set of requests that can share a run, all in one
// pipeline.
func (l *Ledger) evalGroup(group []*batchedRequest) {
	var runs [][]*batchedRequest
	for _, a := range group {
		n := slices.IndexFunc(runs, func(run []*batchedRequest) bool { return run[0].common == a.common })
		if n < 0 {
			n, runs = len(runs), append(runs, make([]*batchedRequest, 0, len(group)))
		}
		runs[n] = append(runs[n], a)
	}
	ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
	defer cancel()
	if len(runs) == 1 {
		l.evalShared(ctx, runs[0])
		return
	}
	pipe := l.rdb.Pipeline()
	cmds := make([]*redis.Cmd, len(runs))
	for i, run := range runs {
		keys, args := batchedArgs(run)
		cmds[i] = settleAndClaimScript.plain.EvalSha(ctx, pipe, keys, args...)
	}
	_, _ = pipe.Exec(ctx) // each command holds its own error
	for i, run := range runs {
		if err := cmds[i].Err(); err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
			l.evalShared(ctx, run)
			continue
		}
		out, err := texts(cmds[i].Result())
		deliver(run, out, err)
	}
}

// evalShared runs the script once, for requests that share a run.
func (l *Ledger) evalShared(ctx context.Context, run []*batchedRequest) {
	keys, args := batchedArgs(run)
	out, err := l.evalStrings(ctx, settleAndClaimScript, keys, args...)
	deliver(run, out, err)
}

// batchedArgs returns the keys and arguments of one run of settle_and_claim.lua.
func batchedArgs(run []*batchedRequest) (keys []string, args []any) {
	s := run[0].common
	args = append(make([]any, 0, 4+settleAndClaimArgs*len(run)), s.lease.Milliseconds(), s.login, s.open, s.exclusions)
	for _, a := range run {
		args = append(args, a.own[:]...)
	}
	return []string{ledgerKey(s.id), openKey(s.id)}, args
}

// deliver gives each request its answer, or all of them the same error.
func deliver(run []*batchedRequest, out []string, err error) {
	if err == nil && len(out) != len(run) {
		err = fmt.Errorf("%w: %d for %d", errAnswer, len(out), len(run))
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
func failUnanswered(group []*batchedRequest) {
	for _, a := range group {
		if !a.answered {
			deliver([]*batchedRequest{a}, nil, errNoAnswer)
		}
	}
}
