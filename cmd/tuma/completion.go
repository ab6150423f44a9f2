package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/producer"
)

const (
	// completeWithin bounds what a Tab may take.
	completionTimeout = time.Second
	maxCompletions    = 100
)

// completeAccounts offers the accounts of the configuration, else those that
// workers have published.
func (a *app) completeAccounts(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 && c.Flags().Lookup("via") == nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if cfg, err := a.config(false); err == nil && len(cfg.accounts) > 0 {
		return cfg.accountNames(), cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	a.withCompletionBackend(c, func(ctx context.Context, b *backend) {
		if all, err := b.Accounts(ctx); err == nil {
			names = sortedNames(all)
		}
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeCampaigns offers the newest campaigns.
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
	return string(st.State) + ", " + plural(st.Total, "recipient")
}

func (a *app) withCompletionBackend(c *cobra.Command, do func(context.Context, *backend)) {
	ctx := c.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	b, err := a.connect(ctx)
	if err != nil {
		return // there is nothing to offer, and nobody to tell
	}
	defer b.Close()
	do(ctx, b)
}
