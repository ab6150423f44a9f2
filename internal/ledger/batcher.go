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

// mostTogether bounds what next.lua is asked at once, so that Redis answers others in
// between.
const maxBatch = 64

// mostPipelines are under way at once: while Redis works on one, answers of another are
// read and the next is filled. A further one waits until it has enoughTogether: what a run
// of the script costs is shared by all in it.
const (
	maxInFlightPipelines = 2
	minBatch             = 8
)

// groupTimeout is for all of a pipeline.
const groupTimeout = 10 * time.Second

// nextArgs is how many arguments of next.lua are each asker's own.
const settleAndClaimArgs = 11

// together brings what many slots ask of next.lua to Redis: whoever comes while a pipeline
// is under way goes with the next, and those who share a campaign and an account share a
// run of the script. Nobody waits longer than for the one before.
type batcher struct {
	mu    sync.Mutex
	queue []*batchedRequest
	busy  int // pipelines under way
}

// asked is what somebody waits for.
type batchedRequest struct {
	common   runKey
	own      [settleAndClaimArgs]any
	answer   string
	err      error
	answered bool // done is closed
	done     chan struct{}
}

// shared is what those have in common who share a run of the script.
type runKey struct {
	id                      string
	lease                   time.Duration
	login, open, exclusions string
}

// evalTogether asks next.lua, and returns what it answers of this one. Whoever's context
// ends goes without the answer, and the script runs all the same.
func (l *Ledger) evalBatched(ctx context.Context, s runKey, own [settleAndClaimArgs]any) (string, error) {
	a := &batchedRequest{common: s, own: own, done: make(chan struct{})}
	if l.durability != (Durability{}) {
		l.evalShared(ctx, []*batchedRequest{a}) // a barrier takes long, and everybody waits for his own
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

// evalNext asks for those who are there, and sees to it that those who come meanwhile are
// next.
func (l *Ledger) runPipeline() {
	defer l.finishPipeline() // also if this panics, which its caller may survive
	runtime.Gosched()        // whoever has just had an answer from his gateway comes along: where all is idle, nobody has
	t := &l.batcher
	t.mu.Lock()
	n := min(len(t.queue), maxBatch)
	group := t.queue[:n:n]
	t.queue = t.queue[n:]
	t.mu.Unlock()
	defer failUnanswered(group)
	if n > 0 { // or else the pipeline before has taken all
		l.evalGroup(group)
	}
}

// evalMore is what comes after a pipeline.
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

// evalGroup runs the script once for all that can share a run, all in one pipeline.
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
	_, _ = pipe.Exec(ctx) // every command has its own error
	for i, run := range runs {
		if err := cmds[i].Err(); err != nil && strings.HasPrefix(err.Error(), "NOSCRIPT") {
			l.evalShared(ctx, run)
			continue
		}
		out, err := texts(cmds[i].Result())
		deliver(run, out, err)
	}
}

// evalShared runs the script for those who share a run.
func (l *Ledger) evalShared(ctx context.Context, run []*batchedRequest) {
	keys, args := batchedArgs(run)
	out, err := l.evalStrings(ctx, settleAndClaimScript, keys, args...)
	deliver(run, out, err)
}

// nextOf is how next.lua is asked.
func batchedArgs(run []*batchedRequest) (keys []string, args []any) {
	s := run[0].common
	args = append(make([]any, 0, 4+settleAndClaimArgs*len(run)), s.lease.Milliseconds(), s.login, s.open, s.exclusions)
	for _, a := range run {
		args = append(args, a.own[:]...)
	}
	return []string{ledgerKey(s.id), openKey(s.id)}, args
}

// tell gives everybody his answer, or the error that all have.
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

var errNoAnswer = errors.New("nobody said what came of it")

// tellRest ends the wait of those whom a panic has left without an answer.
func failUnanswered(group []*batchedRequest) {
	for _, a := range group {
		if !a.answered {
			deliver([]*batchedRequest{a}, nil, errNoAnswer)
		}
	}
}
