package polling

import (
	"errors"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// A process whose lease has ended sends no further request, and does not disturb the work of the next process on
// the call.
func TestPoller_LostLeaseAsksNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	now, err := r.ledger.Now(ctx)
	r.ok(err)
	for _, span := range []bool{false, true} {
		q := NewQueue(r.ledger.Runner(), map[bool]string{true: "spans", false: "calls"}[span], 5)
		q.schedule = []time.Duration{0, time.Hour}
		sent := ledger.SentCall{BatchRef: ledger.BatchRef{Campaign: "c", Upload: "u", Name: "0.0"}, At: now.Add(-time.Hour)}
		add := q.Add
		if span {
			add = q.AddToSpan
		}
		r.ok(add(ctx, sent, time.Hour))
		take := func(lease time.Duration) (c Call) {
			t.Helper()
			r.until(func() bool {
				var ok bool
				c, _, ok, err = q.Take(ctx, lease)
				r.ok(err)
				return ok
			})
			return c
		}
		first := take(time.Millisecond)
		second := take(time.Minute)
		if _, err := q.Ask(ctx, first, "first", time.Minute); !errors.Is(err, ErrLost) {
			t.Errorf("span %t: the first process may ask: %v, want ErrLost", span, err)
		}
		if n, err := r.rdb.ZCard(ctx, budgetKey(q.login)).Result(); err != nil || n != 0 {
			t.Errorf("span %t: %d parts of the budget are used, error %v", span, n, err)
		}
		first.Due = now
		r.ok(q.Put(ctx, first))
		if c, _, ok, err := q.Take(ctx, time.Minute); ok || err != nil {
			t.Errorf("span %t: the call was put back by the first process: took %+v, error %v", span, c, err)
		}
		if wait, err := q.Ask(ctx, second, "second", time.Minute); wait != 0 || err != nil {
			t.Errorf("span %t: the second process must wait %v, error %v", span, wait, err)
		}
		second.Due, second.Step, second.Position = now, 1, 7
		r.ok(q.Put(ctx, second))
		if c := take(time.Minute); c.Step != 1 || c.Position != 7 {
			t.Errorf("span %t: got the step %d and the position %d, want 1 and 7", span, c.Step, c.Position)
		}
	}
}
