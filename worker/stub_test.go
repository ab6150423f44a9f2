package worker_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// stubGateway is a gateway inside the test process. It gives answers that the sandbox does not give, and
// counts how often it has taken each number.
type stubGateway struct {
	info  providers.Info
	send  func(ctx context.Context, b providers.Batch) ([]providers.Result, error)
	calls atomic.Int64

	mu   sync.Mutex
	took map[sms.MSISDN]int
}

func newStubGateway(info providers.Info) *stubGateway {
	info.Name, info.Fingerprint, info.SenderOptional = "stub", "stub-login", true
	if info.MaxRecipients == 0 {
		info.MaxRecipients = 500
	}
	s := &stubGateway{info: info, took: map[sms.MSISDN]int{}}
	s.send = s.accept
	return s
}

// Info implements providers.Provider.
func (s *stubGateway) Info() providers.Info { return s.info }

// Send implements providers.Provider.
func (s *stubGateway) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	s.calls.Add(1)
	return s.send(ctx, b)
}

// The method "accept" takes the whole batch.
func (s *stubGateway) accept(_ context.Context, b providers.Batch) ([]providers.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]providers.Result, len(b.To))
	for i, n := range b.To {
		s.took[n]++
		out[i] = providers.Result{Outcome: providers.Accepted, MessageID: "m-" + n.String()}
	}
	return out, nil
}

// The method "times" returns how often the gateway took a message to a number.
func (s *stubGateway) times(n sms.MSISDN) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.took[n]
}

// The method "all" returns how often the gateway took a message, for each number.
func (s *stubGateway) all() map[sms.MSISDN]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.took)
}

// refusedCallError returns an error that refuses a call as a whole.
func refusedCallError() error {
	return &providers.Error{Op: "stub send", Outcome: providers.Rejected, Scope: providers.Call, Cause: providers.CauseRefused, Code: "http 400",
		Err: errors.New("no")}
}

// noAnswerError returns the error of a call that the gateway may have taken.
func noAnswerError() error {
	return &providers.Error{Op: "stub send", Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNoAnswer}
}

// balanceStub is a stub that also reports a balance.
type balanceStub struct {
	*stubGateway
	balance func(context.Context) (providers.Balance, error)
}

// Balance implements providers.Balancer.
func (b *balanceStub) Balance(ctx context.Context) (providers.Balance, error) { return b.balance(ctx) }

// keyTTL is the KeyTTL of a gateway that remembers idempotency keys for a month.
const keyTTL = 30 * 24 * time.Hour
