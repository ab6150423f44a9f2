package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
)

func newGateway(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "gateway",
		Short: "Query a gateway directly",
		Long: `Gateway sends a request to the gateway of an account in the configuration. It
needs neither Redis nor a worker. Not every gateway supports every request.`,
		Example: `  tuma gateway balance kobo-main
  tuma gateway status kobo-main 24137cf8-eccc-469c-80af-109538857e53
  tuma gateway reports tc Messages --from 2026-11-01T08:00:00Z
  tuma gateway inbox at`,
		Args: noSubcommand,
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

// messageState is the state of a message at its gateway, in the output of --json.
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
		Short: "Show the state of messages at the gateway",
		Long: `Status asks the gateway for the state of messages. MESSAGE_ID is the gateway's
own ID: the column "message_id" of 'tuma results'. The answers do not change the
campaign.`,
		Example: "  tuma gateway status kobo-main 24137cf8-eccc-469c-80af-109538857e53",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return misuseOf(c, "ACCOUNT and MESSAGE_ID are required; usage: %s", c.UseLine())
			}
			return nil
		},
		ValidArgsFunction: a.completeAccounts,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			acc, err := a.account(args[0])
			if err != nil {
				return err
			}
			poller, ok := acc.Worker.Provider.(providers.StatusPoller)
			if !ok {
				return notSupported(acc, "status requests")
			}
			return a.queryStates(ctx, poller, args[1:], asJSON)
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// queryStates asks the gateway for the state of each message, one by one, and prints the states.
// After an error it continues with the next message. It returns all errors joined.
func (a *app) queryStates(ctx context.Context, poller providers.StatusPoller, ids []string, asJSON bool) error {
	var failed []error
	states := make([]messageState, len(ids))
	g := console.Table{Header: []string{"MESSAGE", "STATE", "DELIVERED", "FINAL"}}
	for i, id := range ids {
		report, err := poller.MessageStatus(ctx, id)
		states[i] = messageState{MessageID: id, State: report.State, Delivered: report.Delivered, Final: report.Final}
		if err != nil {
			failed = append(failed, fmt.Errorf("message %s: %w", id, err))
			states[i].Error = err.Error()
			continue
		}
		g.Add(id, report.State, yesNo(report.Delivered), yesNo(report.Final))
	}
	if asJSON {
		return errors.Join(console.WriteJSON(a.out, states), errors.Join(failed...))
	}
	if len(g.Rows) > 0 {
		failed = append(failed, g.Print(a.out))
	}
	return errors.Join(failed...)
}

// yesNo returns "yes" or "no".
func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}
