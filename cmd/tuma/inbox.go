package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/producer"
)

// inboxCommand is one run of `tuma inbox`, with its flags.
type inboxCommand struct {
	*app
	options producer.InboundOptions
	json    bool
}

func newInbox(a *app) *cobra.Command {
	i := &inboxCommand{app: a}
	c := &cobra.Command{
		Use:   "inbox",
		Short: "Show the messages that subscribers have sent",
		Long: `Inbox prints the messages that 'tuma serve' has taken, each once, in the order
of arrival. A line has the time of arrival, the account, the sender, the number
or short code that received the message, and the text. A message that is an
opt-out or opt-in word is marked [stop] or [start].

With --follow it also prints each message that arrives, until you stop it. A
program that reads the inbox stores the cursor of its last message, and later
continues with --after and this cursor. Tuma removes messages that are older
than inbound.keep, and the oldest messages if there are too many. If Tuma has
removed messages after the cursor, the command fails: begin again without
--after.`,
		Example: `  tuma inbox
  tuma inbox --account at --follow
  tuma inbox --json --after 1764323173000-0 | jq -r .text`,
		Args: takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error { return i.run(ctx) }),
	}
	f := c.Flags()
	f.StringVar(&i.options.Account, "account", "", "only messages of this `account`")
	f.StringVar(&i.options.After, "after", "", "only messages after the message with this `cursor`")
	f.BoolVar(&i.options.Follow, "follow", false, "wait for further messages")
	f.BoolVar(&i.json, "json", false, "print JSON, one object a line")
	_ = c.RegisterFlagCompletionFunc("account", a.completeAccounts)
	return c
}

func (i *inboxCommand) run(ctx context.Context) error {
	return i.withBackend(ctx, func(b *backend) error {
		p := i.screen()
		for m, err := range b.Inbound(ctx, i.options) {
			switch {
			case errors.Is(err, producer.ErrInvalid):
				return misuse("--after: %.40q must be the cursor of an incoming message, such as 1764323173000-0", i.options.After)
			case err != nil:
				return ignoreCancelled(ctx, err)
			}
			if i.json {
				err = json.NewEncoder(i.out).Encode(m)
			} else {
				_, err = fmt.Fprintln(i.out, inboxLine(p.Time(m.StoredAt), m))
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// inboxLine returns a message as one line. Line breaks and control characters in the text of a subscriber
// become spaces, so that the text cannot change the terminal.
func inboxLine(at string, m producer.Inbound) string {
	line := at + "  " + m.Account + "  " + m.From
	if m.To != "" {
		line += " > " + m.To
	}
	if m.Word != "" {
		line += "  [" + m.Word + "]"
	}
	printable := strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, line+"  "+m.Text)
	return printable
}
