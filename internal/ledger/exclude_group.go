package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tuma-sms/tuma/sms"
)

// exclusionQueues join the callers of ExcludeOpen. While one run passes numbers to the open campaigns,
// the numbers of further callers wait for the next run, which they share. So a thousand simultaneous
// opt-outs cost about as much as two opt-outs. Safe for concurrent use.
type exclusionQueues struct {
	mu    sync.Mutex
	lists map[string]*exclusionQueue // by suppression list
}

// exclusionQueue has the runs for one suppression list.
type exclusionQueue struct {
	turn chan struct{} // has an element while a run is in progress
	next *exclusionRun // the run that collects callers; nil: a run begins with the next caller
}

// exclusionRun is one pass over the open campaigns, which several callers may share. The fields
// "inFlight" and "err" are set once the channel "done" is closed.
type exclusionRun struct {
	numbers  []sms.MSISDN
	whole    bool               // the run is for every number on the list
	callers  int                // how many callers still wait
	cancel   context.CancelFunc // nil before the run has begun
	done     chan struct{}
	inFlight []InFlightCall
	err      error
}

// join adds numbers to the next run for the list. nil numbers mean every number on the list.
func (x *exclusionQueues) join(list string, numbers []sms.MSISDN) (*exclusionQueue, *exclusionRun) {
	x.mu.Lock()
	defer x.mu.Unlock()
	q := x.lists[list]
	if q == nil {
		q = &exclusionQueue{turn: make(chan struct{}, 1)}
		x.lists[list] = q
	}
	if q.next == nil {
		q.next = &exclusionRun{done: make(chan struct{})}
	}
	r := q.next
	r.callers++
	r.whole = r.whole || numbers == nil
	for _, m := range numbers {
		if !slices.Contains(r.numbers, m) {
			r.numbers = append(r.numbers, m)
		}
	}
	return q, r
}

// The method "begin" closes the run r to further callers. It returns the context of the run, which ends
// when all callers of the run have left. It returns false if the run has begun already. Before the call
// of "begin", its caller must put an element into q.turn.
func (x *exclusionQueues) begin(ctx context.Context, q *exclusionQueue, r *exclusionRun) (context.Context, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if q.next != r {
		return nil, false
	}
	q.next = nil
	ctx, r.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return ctx, true
}

// The method "leave" removes a caller from the run r.
func (x *exclusionQueues) leave(r *exclusionRun) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r.callers--; r.callers == 0 && r.cancel != nil {
		r.cancel()
	}
}

// ExcludeOpen passes numbers that were added to a suppression list to every open campaign that the
// list and the numbers concern. It returns the calls to these numbers that are in flight. nil numbers
// mean every number on the list. If a campaign fails, ExcludeOpen continues with the others, and its
// error names one of the campaigns that failed. Callers that wait at the same time share one run.
func (l *Ledger) ExcludeOpen(ctx context.Context, list string, numbers []sms.MSISDN) ([]InFlightCall, error) {
	q, r := l.exclusions.join(list, numbers)
	defer l.exclusions.leave(r)
	select {
	case <-r.done:
	case <-ctx.Done():
	case q.turn <- struct{}{}:
		shared, ok := l.exclusions.begin(ctx, q, r)
		if !ok {
			<-q.turn
			break
		}
		go func() {
			defer func() { <-q.turn }()
			defer close(r.done)
			all := r.numbers
			if r.whole {
				all = nil
			}
			r.inFlight, r.err = newExclusion(l, list, all).run(shared)
		}()
	}
	select {
	case <-r.done:
		return r.callsTo(numbers), r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("exclude opt-outs from open campaigns: %w", context.Cause(ctx))
	}
}

// callsTo returns the calls in flight that have one of the numbers as a recipient; nil numbers mean all.
func (r *exclusionRun) callsTo(numbers []sms.MSISDN) (out []InFlightCall) {
	for _, c := range r.inFlight {
		if numbers != nil {
			c.to = slices.DeleteFunc(slices.Clone(c.to), func(m sms.MSISDN) bool { return !slices.Contains(numbers, m) })
			c.Recipients = len(c.to)
		}
		if c.Recipients > 0 {
			out = append(out, c)
		}
	}
	return out
}
