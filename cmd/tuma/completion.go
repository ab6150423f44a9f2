package main

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

const (
	// completionTimeout is the time limit of one completion, that is, of one press of Tab.
	completionTimeout = time.Second
	// maxCompletions is the maximum number of campaigns that one completion offers.
	maxCompletions = 100
)

// completeAccounts completes account names. It offers the accounts of the configuration. If the
// configuration has no accounts, it offers those that workers have published.
func (a *app) completeAccounts(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && c.Flags().Lookup("via") == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if cfg, err := a.config(false); err == nil && len(cfg.Accounts) > 0 {
		return cfg.AccountNames(), cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	a.withCompletionBackend(c, func(ctx context.Context, b *backend) {
		if all, err := b.Accounts(ctx); err == nil {
			names = sortedNames(all)
		}
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeCampaigns completes campaign IDs, newest first.
func (a *app) completeCampaigns(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	var ids []string
	if len(args) == 0 {
		a.withCompletionBackend(c, func(ctx context.Context, b *backend) {
			for st, err := range b.List(ctx) {
				if err != nil || len(ids) == maxCompletions {
					return
				}
				ids = append(ids, cobra.CompletionWithDesc(st.ID, describeCampaign(st)))
			}
		})
	}
	return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

func describeCampaign(st producer.Status) string {
	return string(st.State) + ", " + console.Plural(st.Total, "recipient")
}

// withCompletionBackend calls the function "do" with a connection to Redis, within
// completionTimeout. It does nothing if Redis cannot be reached.
func (a *app) withCompletionBackend(c *cobra.Command, do func(context.Context, *backend)) {
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	_ = a.withBackend(ctx, func(b *backend) error { // a shell completion cannot show an error
		do(ctx, b)
		return nil
	})
}

// sortedNames returns the names of the accounts in alphabetical order, for completion.
func sortedNames(accounts []producer.Account) []string {
	slices.SortFunc(accounts, func(x, y producer.Account) int { return cmp.Compare(x.Name, y.Name) })
	names := make([]string, len(accounts))
	for i, acc := range accounts {
		names[i] = acc.Name
	}
	return names
}
