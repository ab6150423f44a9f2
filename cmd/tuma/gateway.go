package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
)

func newGateway(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "gateway",
		Short: "Ask a gateway itself",
		Long: `Gateway asks the gateway of an account in the configuration, past Redis and the
workers. Not every gateway can be asked everything.`,
		Example: `  tuma gateway balance kobo-main
  tuma gateway status kobo-main 24137cf8-eccc-469c-80af-109538857e53
  tuma gateway reports tc Messages --from 2026-11-01T08:00:00Z
  tuma gateway inbox at`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				var known []string
				for _, sub := range c.Commands() {
					known = append(known, sub.Name())
				}
				return misuse("%s has no %q; it has %s", c.CommandPath(), args[0], strings.Join(known, ", "))
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newGatewayBalance(a), newGatewayStatus(a), newGatewayReports(a), newGatewayInbox(a))
	for _, kind := range catalog.Kinds() {
		if len(kind.Actions) > 0 {
			c.AddCommand(newGatewayActions(a, kind))
		}
	}
	return c
}

func newGatewayBalance(a *app) *cobra.Command {
	c := newBalance(a)
	c.Use = "balance ACCOUNT"
	c.Args = takes("ACCOUNT")
	c.Example = "  tuma gateway balance kobo-main"
	return c
}

// messageState is what a gateway says of a message, in the form of --json.
type messageState struct {
	MessageID string `json:"message_id"`
	State     string `json:"state"`
	Delivered bool   `json:"delivered"`
	Final     bool   `json:"final"`
	Error     string `json:"error,omitempty"`
}

func newGatewayStatus(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "status ACCOUNT MESSAGE_ID…",
		Short: "Ask what became of single messages",
		Long: `Status asks the gateway what became of messages, by its own message ids: the column
message_id of tuma results. The answers change nothing in the ledger.`,
		Example: "  tuma gateway status kobo-main 24137cf8-eccc-469c-80af-109538857e53",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return misuse("%s needs an account and a message id: %s", c.CommandPath(), c.UseLine())
			}
			return nil
		},
		ValidArgsFunction: a.completeAccounts,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			acc, err := a.account(args[0])
			if err != nil {
				return err
			}
			poller, ok := acc.worker.Provider.(providers.StatusPoller)
			if !ok {
				return notSupported(acc, "the state of single messages")
			}
			return a.queryStates(ctx, poller, args[1:], asJSON)
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// askStates asks for one message after the other: one that cannot be told does
// not keep the others from being.
func (a *app) queryStates(ctx context.Context, poller providers.StatusPoller, ids []string, asJSON bool) error {
	var failed []error
	states := make([]messageState, len(ids))
	g := grid{header: []string{"MESSAGE", "STATE", "DELIVERED", "FINAL"}}
	for i, id := range ids {
		report, err := poller.MessageStatus(ctx, id)
		states[i] = messageState{MessageID: id, State: report.State, Delivered: report.Delivered, Final: report.Final}
		if err != nil {
			failed = append(failed, fmt.Errorf("message %s: %w", id, err))
			states[i].Error = err.Error()
			continue
		}
		g.add(id, report.State, yesNo(report.Delivered), yesNo(report.Final))
	}
	if asJSON {
		return errors.Join(writeJSON(a.out, states), errors.Join(failed...))
	}
	if len(g.rows) > 0 {
		failed = append(failed, g.print(a.out))
	}
	return errors.Join(failed...)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// lacks says that a gateway cannot be asked for something.
func notSupported(acc *accountConfig, what string) error {
	return misuse("account %s: this gateway has none: provider %s cannot be asked for %s", acc.name, acc.kind.Name, what)
}

// account returns an account of the configuration, ready for use.
func (a *app) account(name string) (*accountConfig, error) {
	cfg, err := a.config(true)
	if err != nil {
		return nil, err
	}
	return cfg.account(name)
}
