// Package balance reads the credit of gateway accounts from their gateways, and stores it in
// the records of the accounts in Redis.
package balance

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/providers"
)

// Timeout is the maximum duration of a balance request.
const Timeout = 10 * time.Second

const (
	// Tick is the interval between two calls of Poll. The balance of an account is due again
	// pollEvery after it was read. While the account is held for credit, its balance is due at each
	// tick, even if no work waits.
	Tick      = 30 * time.Second
	pollEvery = 5 * time.Minute
)

// Balances reads and stores balances. Its methods are safe for concurrent use, except Poll.
type Balances struct {
	Accounts *accounts.Store
	Clock    interface {
		Now(context.Context) (time.Time, error)
	}
	Log zerolog.Logger

	polled bool // polled is true once Poll has been called.
}

// Ask requests the balance of the account with the given name from its gateway, stores the balance
// in the account's record in Redis, and returns the balance as text. If the gateway cannot report a balance, or
// the request fails, Ask returns "". It logs the error of a failed request.
func (b *Balances) Ask(ctx context.Context, account string, p providers.Provider) string {
	can, ok := p.(providers.Balancer)
	if !ok {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	got, err := Request(ctx, can)
	if err != nil {
		b.Log.Debug().Err(err).Str("account", account).Msg("could not read balance")
		return ""
	}
	b.Store(ctx, account, got)
	return Text(got.Amount)
}

// Store stores a balance in the account's record in Redis. It logs an error of Redis.
func (b *Balances) Store(ctx context.Context, account string, x providers.Balance) {
	shown := Text(x.Amount)
	if x.Currency != "" {
		shown = x.Currency + " " + shown
	}
	if err := b.Accounts.SetBalance(ctx, account, shown); err != nil {
		b.Log.WithLevel(outage.Level(err, zerolog.WarnLevel)).Err(err).Str("account", account).Msg("could not store balance")
	}
}

// Poll requests the balances of the accounts whose balance is due. The parameter "served" maps
// the name of each account to its provider. The first call of Poll requests all balances. If
// another worker has read a balance recently, that balance is not due.
func (b *Balances) Poll(ctx context.Context, served map[string]providers.Provider) error {
	now, err := b.Clock.Now(ctx)
	if err != nil {
		return err
	}
	for name, p := range served {
		known, err := b.Accounts.Account(ctx, name)
		if err != nil && !errors.Is(err, accounts.ErrNoAccount) {
			return err
		}
		every := pollEvery
		if known.Hold.Reason == string(providers.CauseCredit) {
			every = Tick
		}
		if !b.polled || now.Sub(known.BalanceAt) > every-Tick/2 {
			b.Ask(ctx, name, p)
		}
	}
	b.polled = true
	return nil
}

// Request requests the balance from a gateway. If the provider panics, Request returns an error.
func Request(ctx context.Context, b providers.Balancer) (got providers.Balance, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &providers.Error{Op: "balance", Cause: providers.CauseNoAnswer, Code: "panic", Err: fmt.Errorf("panic of type %T in the provider", r)}
		}
	}()
	return b.Balance(ctx)
}

// Text formats an amount with as many digits as it needs.
func Text(amount float64) string { return strconv.FormatFloat(amount, 'f', -1, 64) }
