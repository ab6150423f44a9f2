package producertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

// operation is the name of a call in error messages.
const operation = "test gateway send"

var errLost = errors.New("the answer was lost")

// kind is the way in which the gateway handles a call. It accepts the messages, fails without
// accepting them, accepts them but loses the answer, or rejects every recipient.
type kind uint8

const (
	accepts kind = iota
	fails
	loses
	rejects
)

// The type "scripted" is the answer to one or more consecutive calls.
type scripted struct {
	kind   kind
	calls  int // the number of calls that get the answer
	err    error
	reason string
}

// retryAfter is how long the gateway asks the worker to wait after a FailNext. It is short
// because the test must wait equally long.
const retryAfter = 10 * time.Millisecond

// failure returns the error of a call that fails.
func (s scripted) failure() error {
	if e, ok := errors.AsType[*providers.Error](s.err); ok && e != nil {
		again := *e
		if again.Op == "" {
			again.Op = operation
		}
		return &again
	}
	return &providers.Error{Op: operation, Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseThrottled,
		Code: "scripted", RetryAfter: retryAfter, Err: s.err}
}

// The method "add" appends the answer s to the script. It does nothing if s.calls is 0 or less.
func (g *gateway) add(s scripted) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.calls > 0 {
		g.script = append(g.script, s)
	}
}

// The method "take" removes the answer to the next call from the script, and returns this answer.
// The caller holds mu.
func (g *gateway) take() scripted {
	if len(g.script) == 0 {
		return scripted{}
	}
	s := g.script[0]
	if g.script[0].calls--; g.script[0].calls == 0 {
		g.script = g.script[1:]
	}
	return s
}

// FailNext makes the next n calls fail before the gateway has accepted anything. The worker repeats
// each call after about 10 ms, and the recipients end as accepted. The parameter "err" is the cause
// and may be nil. If n is 0 or less, FailNext does nothing.
//
// If err is a *providers.Error, the call returns that error, and the worker handles it like the
// answer of a real gateway. The worker then waits as long as in production. After an error with the
// cause "connection", the worker waits for up to a second. After three such errors, the worker
// holds the account for one to two seconds.
func (u *Tuma) FailNext(n int, err error) {
	u.gateway.add(scripted{kind: fails, calls: n, err: err})
}

// UnknownNext makes the gateway accept the messages of the next n calls and lose its answers.
// A real gateway does this when the connection breaks after the request. Sent returns these
// messages with Lost set.
//
// At a gateway without idempotency keys their recipients end as unknown. Tuma sends to them
// again only if the campaign has OnUnknownResend or the service calls Retry. With
// Config.KeyTTL the worker repeats the call after about a second. The gateway recognises the
// key and answers without sending again, and the recipients end as accepted.
func (u *Tuma) UnknownNext(n int) { u.gateway.add(scripted{kind: loses, calls: n}) }

// RejectNext makes the gateway refuse every recipient of the next n calls. The recipients end as
// rejected, with the given reason. The reason is one lower-case word such as "invalid_number".
// Recipients that are rejected as [providers.ReasonBlacklisted] are also added to the suppression
// list, if the gateway accepts other recipients in the same call, or before and after them.
//
// As long as the account has accepted no message, at most 50 recipients end as rejected. All
// further recipients stay pending, because the cause may be the account and not the recipients.
func (u *Tuma) RejectNext(n int, reason string) {
	u.gateway.add(scripted{kind: rejects, calls: n, reason: reason})
}

// RejectNumber makes the gateway refuse the given number in every call. The number is in national
// or international format. The parameter "reason" has the same meaning as in RejectNext. Other
// recipients of the same call are accepted.
func (u *Tuma) RejectNumber(t testing.TB, number, reason string) {
	t.Helper()
	m := u.parse(t, number)
	u.gateway.mu.Lock()
	defer u.gateway.mu.Unlock()
	u.gateway.refused[m] = reason
}

// SetCredit sets the credit that all accounts share, in the currency of Config.Price. The
// gateway refuses a call that costs more than the remaining credit. Without credit it refuses
// every call. The worker then holds the account with the reason "credit". It reads the
// balance again after one to two seconds, then at longer intervals, and continues when the
// account has credit again. The client's method Release makes the worker try at once.
//
// Tuma learns the new balance with the answer to the next accepted call, or when it next
// reads the balance, which it does every five minutes. Enqueue with RequireCredit uses the
// balance that Tuma knows. To test RequireCredit, use Config.Credit.
func (u *Tuma) SetCredit(amount float64) {
	u.gateway.mu.Lock()
	defer u.gateway.mu.Unlock()
	u.gateway.credit = amount
}

// Block makes calls wait in the gateway until Unblock, or until the end of the test. Calls
// that wait are in flight: Pause and Cancel do not stop them. A second Block changes nothing.
// A call that waits for 30 s ends as unknown.
func (u *Tuma) Block() {
	u.gateway.mu.Lock()
	defer u.gateway.mu.Unlock()
	if u.gateway.blocked == nil {
		u.gateway.blocked = make(chan struct{})
	}
}

// Unblock ends a Block: calls that wait are answered, and later calls do not wait. Without a
// Block, Unblock does nothing.
func (u *Tuma) Unblock() { u.gateway.unblock() }

func (g *gateway) unblock() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.blocked != nil {
		close(g.blocked)
		g.blocked = nil
	}
}

// AwaitBlocked waits until n calls or more wait in the gateway because of Block. If that
// takes too long, it ends the test with Fatal. A worker makes one call at a time through an
// account that has accepted nothing in the last ten minutes, and otherwise up to eight
// calls.
func (u *Tuma) AwaitBlocked(t testing.TB, n int) {
	t.Helper()
	limit := u.within(t)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for {
		waiting, changed := u.gateway.watch()
		if waiting >= n {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("producertest: AwaitBlocked: %s waiting in the gateway after %s, want %d waiting calls\n%s",
				counted(waiting, "call is", "calls are"), limit.Round(time.Millisecond), n, u.report())
		}
	}
}

// The method "pass" returns at once if the gateway is not blocked, and otherwise after Unblock.
func (g *gateway) pass(ctx context.Context) error {
	g.mu.Lock()
	blocked := g.blocked
	if blocked == nil {
		g.mu.Unlock()
		return nil
	}
	g.count(1)
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.count(-1)
	}()
	select {
	case <-blocked:
		return nil
	case <-ctx.Done():
		return &providers.Error{Op: operation, Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNoAnswer,
			Err: fmt.Errorf("blocked: %w", context.Cause(ctx))}
	}
}

// The method "count" adds the parameter "change" to the number of waiting calls. The caller holds
// mu.
func (g *gateway) count(change int) {
	g.waiting += change
	close(g.changed)
	g.changed = make(chan struct{})
}

// The method "watch" returns the number of calls that wait, and a channel that is closed when this number
// changes.
func (g *gateway) watch() (waiting int, changed <-chan struct{}) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.waiting, g.changed
}

func (g *gateway) waitingCalls() int {
	n, _ := g.watch()
	return n
}
