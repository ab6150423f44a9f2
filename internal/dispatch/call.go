package dispatch

import (
	"context"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

// answer is what a gateway answered to a call.
type answer struct {
	results []providers.Result
	err     error
}

// call makes the request to the gateway, once. It uses its own context. The task's context ends at
// shutdown, when its lease is lost, and at a timeout of the queue. None of these may give a call in
// flight an unknown outcome.
func (s *Sender) call(b *batch, sub submission) answer {
	ctx, cancel := context.WithDeadline(context.Background(), sub.start.Add(b.acc.Timeout))
	defer cancel()
	units := b.units(sub.gen)
	b.acc.Meter.CallBegins(units)
	began := time.Now()
	results, err := callProvider(ctx, b.acc.Provider, providers.Batch{IdempotencyKey: sub.claim.IdempotencyKey.String(),
		From: b.sender(), Body: b.body(sub.gen), Flash: b.camp.Spec.Flash, To: numbersOf(sub.gen.To)})
	a := answer{results: results, err: err}
	b.acc.Meter.CallEnds(time.Since(began), resultOf(a, len(sub.gen.To)), len(sub.gen.To), units)
	return a
}

// callProvider submits a batch. It returns a panic of the provider as an error of unknown outcome.
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
