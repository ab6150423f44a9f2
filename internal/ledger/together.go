package ledger

import (
	"context"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// mostTogether bounds a pipeline, so that Redis answers others in between.
const mostTogether = 64

// mostPipelines are under way at once: while Redis runs the scripts of one, answers of
// another are read and the next is filled.
const mostPipelines = 2

// groupTimeout is for all of a pipeline.
const groupTimeout = 10 * time.Second

// together gives Redis the scripts of many slots in one pipeline: whoever comes while one
// is under way goes with the next. Nobody waits longer than for the one before, and what
// reading and writing cost is shared by all.
type together struct {
	mu    sync.Mutex
	queue []*asked
	busy  int // pipelines under way
}

// asked is a script that somebody waits for.
type asked struct {
	keys   []string
	args   []any
	answer any
	err    error
	done   chan struct{}
}

// evalTogether is eval for a script of this one name that many call at once. Whoever's
// context ends goes without the answer, and the script runs all the same.
func (l *Ledger) evalTogether(ctx context.Context, s *script, keys []string, args ...any) (any, error) {
	if s.binding && l.durability != (Durability{}) {
		return l.eval(ctx, s, keys, args...)
	}
	t := &l.together
	a := &asked{keys: keys, args: args, done: make(chan struct{})}
	t.mu.Lock()
	t.queue = append(t.queue, a)
	leads := t.busy < mostPipelines
	if leads {
		t.busy++
	}
	t.mu.Unlock()
	if leads {
		l.evalNext(s)
	}
	select {
	case <-a.done:
		return a.answer, a.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// evalNext runs the scripts of those who are there, and sees to it that those who come
// meanwhile are next.
func (l *Ledger) evalNext(s *script) {
	runtime.Gosched() // whoever has just had an answer from his gateway comes along: where all is idle, nobody has
	t := &l.together
	t.mu.Lock()
	n := min(len(t.queue), mostTogether)
	group := t.queue[:n:n]
	t.queue = t.queue[n:]
	t.mu.Unlock()
	if n > 0 { // or else the pipeline before has taken all
		l.evalGroup(s, group)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.queue) > 0 {
		go l.evalNext(s)
		return
	}
	t.busy--
}

// evalGroup runs scripts in one pipeline, each for itself.
func (l *Ledger) evalGroup(s *script, group []*asked) {
	ctx, cancel := context.WithTimeout(context.Background(), groupTimeout)
	defer cancel()
	if len(group) == 1 {
		a := group[0]
		a.answer, a.err = l.eval(ctx, s, a.keys, a.args...)
		close(a.done)
		return
	}
	pipe := l.rdb.Pipeline()
	cmds := make([]*redis.Cmd, len(group))
	for i, a := range group {
		cmds[i] = s.plain.EvalSha(ctx, pipe, a.keys, a.args...)
	}
	_, _ = pipe.Exec(ctx) // every command has its own error
	for i, a := range group {
		a.answer, a.err = cmds[i].Result()
		if a.err != nil && strings.HasPrefix(a.err.Error(), "NOSCRIPT") {
			a.answer, a.err = l.eval(ctx, s, a.keys, a.args...)
		}
		close(a.done)
	}
}
