package e2e

import (
	"context"
	"sync"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// scriptedGateway is a gateway in this process. A test sets its answers. It is safe for concurrent use.
type scriptedGateway struct {
	info providers.Info
	mu   sync.Mutex
	// The function answer() returns the result for one recipient, nil if the recipient is accepted, or an error for
	// the call. Its parameter "tries" counts the submissions of this recipient. If the field "answer" is nil, all
	// recipients are accepted.
	answer func(to sms.MSISDN, tries int) (*providers.Result, error)
	tries  map[sms.MSISDN]int
	credit float64
}

// Info implements providers.Provider.
func (g *scriptedGateway) Info() providers.Info { return g.info }

// Balance implements providers.Balancer.
func (g *scriptedGateway) Balance(context.Context) (providers.Balance, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return providers.Balance{Amount: g.credit, Currency: "KES"}, nil
}

func (g *scriptedGateway) answers(f func(to sms.MSISDN, tries int) (*providers.Result, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer, g.tries = f, map[sms.MSISDN]int{}
}

// Send implements providers.Provider.
func (g *scriptedGateway) Send(_ context.Context, b providers.Batch) ([]providers.Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]providers.Result, len(b.To))
	for i, to := range b.To {
		out[i] = providers.Result{Outcome: providers.Accepted, MessageID: "m-" + to.String(), Cost: "0.8", Currency: "KES"}
		if g.answer == nil {
			continue
		}
		g.tries[to]++
		r, err := g.answer(to, g.tries[to])
		if err != nil {
			return nil, err
		}
		if r != nil {
			out[i] = *r
		}
	}
	return out, nil
}

// polledGateway is a scriptedGateway that answers requests for the status of a message. It has delivered every message.
type polledGateway struct{ *scriptedGateway }

// MessageStatus implements providers.StatusPoller.
func (polledGateway) MessageStatus(context.Context, string) (providers.MessageStatus, error) {
	return providers.MessageStatus{Final: true, Delivered: true, State: "DELIVRD"}, nil
}
