package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/providers"
)

// balanceView is the balance of one account in the output of `tuma balance --json`.
type balanceView struct {
	Account  string   `json:"account"`
	Balance  *float64 `json:"balance"`
	Currency string   `json:"currency,omitempty"`
	Error    string   `json:"error,omitempty"`
}

func newBalance(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "balance [ACCOUNT]",
		Short: "Show the credit left at the gateways",
		Long: `Balance asks the gateway of an account how much credit is left. Without ACCOUNT
it asks the gateways of all accounts in the configuration. Each gateway answers
in its own unit.`,
		Example: `  tuma balance
  tuma balance kobo-main --json`,
		Args:              takes("[ACCOUNT]"),
		ValidArgsFunction: a.completeAccounts,
		RunE:              a.verb(func(ctx context.Context, args []string) error { return a.balance(ctx, args, asJSON) }),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func (a *app) balance(ctx context.Context, args []string, asJSON bool) error {
	accounts, err := a.accountsToQuery(args)
	if err != nil {
		return err
	}
	views := make([]balanceView, len(accounts))
	failed := make([]error, len(accounts))
	var asking sync.WaitGroup
	for i, acc := range accounts {
		asking.Go(func() {
			views[i] = balanceView{Account: acc.Name}
			got, err := queryBalance(ctx, acc)
			if err != nil {
				failed[i] = fmt.Errorf("account %s: %w", acc.Name, err)
				views[i].Error = err.Error()
				return
			}
			views[i].Balance, views[i].Currency = &got.Amount, got.Currency
		})
	}
	asking.Wait()
	if asJSON {
		return errors.Join(console.WriteJSON(a.out, views), errors.Join(failed...))
	}
	g := console.Table{Right: []int{1}}
	for _, v := range views {
		if v.Balance != nil {
			g.Add(v.Account, strconv.FormatFloat(*v.Balance, 'f', -1, 64), v.Currency)
		}
	}
	return errors.Join(g.Print(a.out), errors.Join(failed...))
}

// accountsToQuery returns the account named in args, or all accounts of the configuration if args
// is empty.
func (a *app) accountsToQuery(args []string) ([]*config.Account, error) {
	if len(args) > 0 {
		acc, err := a.account(args[0])
		return []*config.Account{acc}, err
	}
	cfg, err := a.config(true)
	if err != nil {
		return nil, err
	}
	if len(cfg.Accounts) == 0 {
		return nil, misuse("%s has no accounts: add an account to the section \"accounts\"", cfg.File)
	}
	return cfg.Accounts, nil
}

// queryBalance asks an account's gateway for its balance. It returns a misuseError if the
// gateway has no balance request, and a *config.Error if the account lacks a setting.
func queryBalance(ctx context.Context, acc *config.Account) (providers.Balance, error) {
	if err := acc.Ready(); err != nil {
		return providers.Balance{}, err
	}
	balancer, ok := acc.Worker.Provider.(providers.Balancer)
	if !ok {
		return providers.Balance{}, notSupported(acc, "balance requests")
	}
	return balancer.Balance(ctx)
}
