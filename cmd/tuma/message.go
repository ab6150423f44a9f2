package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

// messageCommand is one run of `tuma message send` or `tuma message status`, with its flags.
type messageCommand struct {
	*app
	message   producer.Message
	class     string
	expiresIn string
	keepBody  bool
	wait      bool
	json      bool
}

func newMessage(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "message",
		Short: "Send one message, or show its status",
		Long: `A message is one text to one number, such as a one-time code or a receipt. Tuma
sends it at most once, as in a campaign. 'tuma list' shows it only with --all.
When its outcome is known, Tuma deletes its text; after 24 hours Tuma deletes
the rest. The section "messages" of tuma.yaml changes these two rules.`,
		Example: "  tuma message send --via at --to 0712345678 --body \"Your code is 123456\"\n  tuma message status order-1234",
		Args:    takes(),
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newMessageSend(a), newMessageStatus(a))
	return c
}

func newMessageSend(a *app) *cobra.Command {
	m := &messageCommand{app: a}
	c := &cobra.Command{
		Use:   "send --to NUMBER --body TEXT",
		Short: "Send one text to one number",
		Long: `Send enqueues one message and prints its ID. Workers send it at any hour, before
marketing. With --id, running the same command again does not send the message
again. Without --id, each run sends a new message.

With --wait the command waits for the outcome. Its exit status is then 3 if the
message was not accepted.`,
		Example: `  tuma message send --via at --to 0712345678 --body "Code 123456" --wait
  tuma message send --to +254712345678 --body "Paid" --id order-1234 --wait`,
		Args: takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error { return m.send(ctx) }),
	}
	f := c.Flags()
	f.StringVar(&m.message.To, "to", "", "`number` of the recipient")
	f.StringVar(&m.message.Body, "body", "", "`text` of the message; braces have no meaning in it")
	f.StringVar(&m.message.Via, "via", "", "`account` to send through (default: chosen by the workers' routes)")
	f.StringVar(&m.message.From, "from", "", "`sender` ID (default: the account's)")
	f.StringVar(&m.message.ID, "id", "", "`ID` of the message (default: a new one)")
	f.StringVar(&m.message.Ref, "ref", "", "your own `reference`, up to 64 bytes; 'tuma results' and 'tuma message status' show it")
	f.StringVar(&m.message.Country, "country", "", "`country` of a number in national form, such as KE (default: the workers' default_country)")
	f.StringVar(&m.class, "class", "", "message `class`: marketing or transactional (default: transactional)")
	f.StringVar(&m.expiresIn, "expires-in", "", "`duration` after which the message is skipped if it was not submitted, e.g. 5m (default: never)")
	f.BoolVar(&m.message.Transliterate, "transliterate", false, "replace curly quotes, dashes and the like, if the message then fits GSM-7 instead of UCS-2")
	f.BoolVar(&m.message.Flash, "flash", false, "flash message: shown at once and not stored on the phone")
	f.BoolVar(&m.keepBody, "keep-body", false, "keep the text until the message is deleted (default: messages.purge_body of tuma.yaml)")
	f.BoolVar(&m.message.StatusEvents, "status-events", false, "write an event for each change of the status (tuma events)")
	f.BoolVar(&m.wait, "wait", false, "wait for the outcome; exit status 3 if the message was not accepted")
	f.BoolVar(&m.json, "json", false, "print JSON")
	_ = c.RegisterFlagCompletionFunc("via", a.completeAccounts)
	_ = c.RegisterFlagCompletionFunc("class", cobra.FixedCompletions([]string{"marketing", "transactional"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// check parses flags. The returned error joins all mistakes.
func (m *messageCommand) check() error {
	var mistakes []error
	if m.message.To == "" {
		mistakes = append(mistakes, misuse("--to is missing: it is the number to send to"))
	}
	if m.message.Body == "" {
		mistakes = append(mistakes, misuse("--body is missing: it is the text to send"))
	}
	switch m.class {
	case "", string(producer.Transactional), string(producer.Marketing):
		m.message.Class = producer.Class(m.class)
	default:
		mistakes = append(mistakes, misuse("--class: %.40q must be marketing or transactional", m.class))
	}
	if m.expiresIn != "" {
		d, err := config.ParseDuration(m.expiresIn)
		if err != nil || d <= 0 {
			mistakes = append(mistakes, misuse("--expires-in: %.40q must be a duration, such as 90s, 5m or 12h", m.expiresIn))
		}
		m.message.ExpiresIn = d
	}
	return errors.Join(mistakes...)
}

func (m *messageCommand) send(ctx context.Context) error {
	if err := m.check(); err != nil {
		return err
	}
	return m.withBackend(ctx, func(b *backend) error {
		m.message.KeepBody, m.message.CreatedBy = m.keepBody || !b.cfg.Messages.PurgeBody, createdBy()
		ctx, traced, err := traceEnqueue(ctx, m.app, b.cfg)
		if err != nil {
			return err
		}
		r, err := b.Send(ctx, m.message)
		traced(1, r.Again, err)
		if err != nil {
			return err
		}
		if len(r.NoWorker) > 0 {
			m.note("tuma: warning: no worker serves %s: the message waits until a worker runs (tuma worker)", strings.Join(r.NoWorker, ", "))
		}
		if !m.wait {
			if m.json {
				return console.WriteJSON(m.out, r)
			}
			_, err = fmt.Fprintln(m.out, r.ID)
			return err
		}
		st, err := b.WaitMessage(ctx, r.ID)
		if err != nil {
			return err
		}
		if err := m.print(st); err != nil {
			return err
		}
		if st.Status != "accepted" && st.Status != "delivered" {
			return errNotAll
		}
		return nil
	})
}

func newMessageStatus(a *app) *cobra.Command {
	m := &messageCommand{app: a}
	c := &cobra.Command{
		Use:     "status ID",
		Short:   "Show the status of a message",
		Long:    "Status shows the outcome of a message, or why the message still waits.",
		Example: "  tuma message status order-1234 --json",
		Args:    takes("ID"),
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return m.withBackend(ctx, func(b *backend) error {
				st, err := b.Message(ctx, args[0])
				if err != nil {
					return err
				}
				return m.print(st)
			})
		}),
	}
	c.Flags().BoolVar(&m.json, "json", false, "print JSON")
	return c
}

// print prints the status of a message.
func (m *messageCommand) print(st producer.MessageStatus) error {
	if m.json {
		return console.WriteJSON(m.out, st)
	}
	return printMessage(m.out, m.screen(), st, m.now())
}

func printMessage(w io.Writer, p console.Screen, st producer.MessageStatus, now time.Time) error {
	status := st.Status
	if st.Reason != "" {
		status += " (" + st.Reason + ")"
	}
	lines := []struct{ name, value string }{
		{"message", st.ID}, {"ref", st.Ref}, {"to", st.To}, {"from", st.From}, {"status", status}, {"code", st.Code}, {"account", st.Account},
		{"gateway id", st.MessageID}, {"cost", strings.TrimSpace(st.Cost + " " + st.Currency)}, {"created", p.Time(st.CreatedAt)},
	}
	if !st.UpdatedAt.IsZero() {
		lines = append(lines, struct{ name, value string }{"updated", p.Time(st.UpdatedAt)})
	}
	if !st.DeliveredAt.IsZero() {
		lines = append(lines, struct{ name, value string }{"delivered", p.Time(st.DeliveredAt)})
	}
	for _, b := range st.BlockedBy {
		lines = append(lines, struct{ name, value string }{"blocked by", describeBlock(b, p, now)})
	}
	for _, l := range lines {
		if l.value == "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "%-11s %s\n", l.name, console.WithoutControls(l.value, len(l.value))); err != nil {
			return err
		}
	}
	return nil
}
