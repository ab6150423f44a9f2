package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/providers"
)

// answer is the answer of a gateway to a call.
type answer struct {
	results []providers.Result
	err     error
}

// The method "call" makes the request to the gateway once. It does not use the task's context,
// which ends at shutdown, when the task's lease is lost, and at a timeout of the queue. None of
// these events may give a call in flight an unknown outcome. The method also returns the trace of
// the call. The trace also covers the settle that follows.
func (s *Sender) call(b *batch, sub submission) (answer, tracing.Call) {
	ctx, cancel := context.WithDeadline(context.Background(), sub.start.Add(b.acc.Timeout))
	defer cancel()
	units := b.units(sub.gen)
	b.acc.Meter.CallBegins(units)
	traced := b.trace.Call(len(sub.gen.To), sub.claim.Tries, sub.claim.Doubt)
	began := time.Now()
	results, err := callProvider(ctx, b.acc.Gateway().Provider, providers.Batch{IdempotencyKey: sub.claim.IdempotencyKey.String(),
		From: b.sender(), Body: b.body(sub.gen), Flash: b.camp.Spec.Flash, To: numbersOf(sub.gen.To), CallbackURL: b.acc.Gateway().callbackURL(sub.claim)})
	a := answer{results: results, err: err}
	took, result := time.Since(began), resultOf(a, len(sub.gen.To))
	traced.End(result, result == ResultOK)
	b.acc.Meter.CallEnds(took, result, len(sub.gen.To), units, b.trace.TraceID())
	return a, traced
}

// callProvider submits a batch. If the provider panics, callProvider returns an error with unknown
// outcome.
func callProvider(ctx context.Context, p providers.Provider, b providers.Batch) (results []providers.Result, err error) {
	defer func() {
		if r := recover(); r != nil {
			// The panic's text could contain a message body or a secret.
			results, err = nil, &providers.Error{Op: "send", Outcome: providers.Unknown, Scope: providers.Call,
				Cause: providers.CauseNoAnswer, Code: "panic", Err: fmt.Errorf("panic of type %T in the provider", r)}
		}
	}()
	return p.Send(ctx, b)
}
