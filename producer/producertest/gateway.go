package producertest

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/sms"
)

// gateway is the scripted gateway of a Tuma. All accounts of the Tuma share it.
type gateway struct {
	cfg      Config
	price    float64
	currency string

	mu      sync.Mutex
	script  []scripted
	refused map[sms.MSISDN]string // the reasons that RejectNumber has set, by number
	credit  float64
	// The slice "sent" has the accepted messages in the order of acceptance.
	sent []*Message
	// The map "calls" has the answer to each call, by the idempotency key of the call.
	calls map[string]answered
	// blocked is a channel that Unblock closes. It is nil while the gateway is not blocked.
	blocked chan struct{}
	waiting int
	// changed is a channel that is closed when the field "waiting" changes. Then a new channel
	// replaces the closed one.
	changed chan struct{}
}

// The type "answered" is the answer to a call, and the messages that the gateway accepted from the
// call.
type answered struct {
	results []providers.Result
	sent    []*Message
}

func newGateway(cfg Config) (*gateway, error) {
	g := &gateway{cfg: cfg, credit: cfg.Credit, refused: map[sms.MSISDN]string{}, calls: map[string]answered{}, changed: make(chan struct{})}
	if cfg.Price != "" {
		amount, currency, ok := strings.Cut(cfg.Price, " ")
		if g.price, ok = parsePrice(amount, ok); !ok || currency == "" {
			return nil, fmt.Errorf("price %q: must be an amount and a currency, e.g. 0.80 KES", cfg.Price)
		}
		g.currency = currency
	}
	if !sms.ValidCountry(cfg.Country) {
		return nil, fmt.Errorf("country %q: must be an ISO code in capitals, e.g. KE", cfg.Country)
	}
	if cfg.Credit < 0 || cfg.MaxRecipients < 0 || cfg.KeyTTL < 0 || cfg.Timeout < 0 {
		return nil, fmt.Errorf("credit %v, max recipients %d, key TTL %s, timeout %s: must not be negative", cfg.Credit, cfg.MaxRecipients, cfg.KeyTTL, cfg.Timeout)
	}
	return g, nil
}

func parsePrice(amount string, ok bool) (float64, bool) {
	if !ok {
		return 0, false
	}
	price, ok := httpclient.ParseAmount(amount)
	return price, ok && price >= 0
}

// account is one account of the worker at the shared gateway.
type account struct {
	*gateway
	name string
}

var (
	_ providers.Provider = (*account)(nil)
	_ providers.Balancer = (*account)(nil)
)

// Info returns the facts of the gateway.
func (a *account) Info() providers.Info {
	return providers.Info{Name: "producertest", Fingerprint: "producertest:" + a.name, MaxRecipients: a.cfg.MaxRecipients, KeyTTL: a.cfg.KeyTTL,
		SenderOptional: true, Flash: true}
}

// Balance returns the remaining credit.
func (a *account) Balance(context.Context) (providers.Balance, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return providers.Balance{Amount: a.credit, Currency: a.currency}, nil
}

// Send answers a call as the test has scripted.
func (a *account) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	if problem := a.Info().Refusal(b); problem != "" {
		return nil, providers.NoCall(operation, problem)
	}
	if err := a.pass(ctx); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.take()
	if now.kind == fails {
		return nil, now.failure()
	}
	call, known := a.calls[b.IdempotencyKey]
	if !known {
		if now.kind == rejects {
			return a.reject(b, now.reason), nil
		}
		if err := a.afford(b); err != nil {
			return nil, err
		}
		call = a.accept(b)
		if a.cfg.KeyTTL > 0 {
			a.calls[b.IdempotencyKey] = call
		}
	}
	lost := now.kind == loses
	for _, m := range call.sent {
		m.Lost = lost
	}
	if lost {
		return nil, &providers.Error{Op: operation, Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNoAnswer,
			Code: "scripted", Err: errLost}
	}
	return call.results, nil
}

// The method "reject" refuses every recipient of the call b.
func (a *account) reject(b providers.Batch, reason string) []providers.Result {
	results := make([]providers.Result, len(b.To))
	for i := range results {
		results[i] = rejected(reason)
	}
	return results
}

func rejected(reason string) providers.Result {
	return providers.Result{Outcome: providers.Rejected, Scope: providers.Recipient, Reason: reason, Code: "scripted"}
}

// cost returns the price of one message of the call b.
func (a *account) cost(b providers.Batch) float64 {
	n, _ := sms.Segments(b.Body)
	return float64(n) * a.price
}

// The method "afford" returns an error if the credit does not cover the call b.
func (a *account) afford(b providers.Batch) error {
	if a.credit > 0 && a.credit >= a.cost(b)*float64(len(b.To)) {
		return nil
	}
	return &providers.Error{Op: operation, Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit, Code: "no_credit"}
}

// The method "accept" accepts the messages of the call b, except messages to the numbers of
// RejectNumber. The caller holds mu.
func (a *account) accept(b providers.Batch) answered {
	var call answered
	cost := a.cost(b)
	for _, to := range b.To {
		if reason, ok := a.refused[to]; ok {
			call.results = append(call.results, rejected(reason))
			continue
		}
		m := &Message{To: to.String(), From: b.From, Body: b.Body, Account: a.name, IdempotencyKey: b.IdempotencyKey, ID: "sms-" + strconv.Itoa(len(a.sent)+1)}
		r := providers.Result{Outcome: providers.Accepted, MessageID: m.ID}
		if a.currency != "" {
			r.Cost, r.Currency = strconv.FormatFloat(cost, 'f', -1, 64), a.currency
		}
		a.credit -= cost
		a.sent = append(a.sent, m)
		call.sent, call.results = append(call.sent, m), append(call.results, r)
	}
	call.results[0].Balance = &providers.Balance{Amount: a.credit, Currency: a.currency}
	return call
}
