package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/forget"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// forgetCommand is one run of `tuma forget`, with its flags.
type forgetCommand struct {
	*app
	options      forget.Options
	country, ref string
	after        string
	yes, json    bool
}

func newForget(a *app) *cobra.Command {
	f := &forgetCommand{app: a}
	c := &cobra.Command{
		Use:   "forget MSISDN",
		Short: "Remove a person's number, on a request for erasure",
		Long: `Forget removes a number from all campaigns and messages that have ended, with
the person's merge fields, reference and texts. It also removes the number from
the inbox, the events and the parked delivery reports. Rows of 'tuma results'
for this person stay, without the number.

These stay: the status, the cost and the gateway's message ID of each row; the
counts; the entry on a suppression list, because it prevents messages to the
number; and other people's texts and campaign notes, even if they mention the
person. Campaigns that have not ended keep the number: run the command again
after their end. Backups, log files of earlier releases and the gateway have
their own copies.

If the number was rejected in a campaign, or its outcome there is unknown, that
campaign cannot be retried afterwards.

Forget reads the recipients of all campaigns, as 'tuma find' does. --dry-run
shows what it would remove. On a terminal the command asks first; --yes skips
the question. The audit log gets the counts and --ref, not the number.`,
		Example: `  tuma forget +254712345678 --dry-run
  tuma forget 0712345678 --country KE --ref request-17 --yes`,
		Args: takes("MSISDN"),
		RunE: a.verb(func(ctx context.Context, args []string) error { return f.run(ctx, args[0]) }),
	}
	c.Flags().StringVar(&f.country, "country", "", "`country` of a number in national form, such as KE (default: default_country)")
	c.Flags().BoolVar(&f.options.DryRun, "dry-run", false, "show what would be removed, and change nothing")
	c.Flags().StringVar(&f.ref, "ref", "", "your `reference` of the request, for the audit log")
	c.Flags().IntVar(&f.options.MaxCampaigns, "max-campaigns", producer.DefaultFindMaxCampaigns, "read at most `N` campaigns")
	c.Flags().IntVar(&f.options.MaxRecipients, "max-recipients", producer.DefaultFindMaxRecipients, "stop after `N` recipients; the command reads its last campaign to the end")
	c.Flags().StringVar(&f.after, "after", "", "continue a run that ended early, with the `cursor` that the run printed")
	c.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask for confirmation")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

// maxForgetRef is the maximum length of --ref in bytes.
const maxForgetRef = 64

func (f *forgetCommand) run(ctx context.Context, text string) error {
	if f.options.MaxCampaigns < 1 || f.options.MaxRecipients < 1 {
		return misuse("--max-campaigns and --max-recipients must be at least 1")
	}
	if len(f.ref) > maxForgetRef || f.ref != console.WithoutControls(f.ref, maxForgetRef) {
		return misuse("--ref must have at most %d bytes, without control characters", maxForgetRef)
	}
	var err error
	if f.options.After, err = ledger.ParsePosition(f.after); err != nil {
		return misuse("--after: %.60q must be the cursor that the last run has printed", f.after)
	}
	return f.withBackend(ctx, func(b *backend) error {
		number, err := sms.ParseMSISDN(text, strings.ToUpper(cmp.Or(f.country, b.cfg.Country)))
		if err != nil {
			return misuse("%s", explainNumber(text, err))
		}
		if !f.yes && !f.options.DryRun && asksUser(f.app) {
			sure, err := f.ask(ctx, "number "+number.String()+": remove this number from all campaigns that have ended? the removal cannot be undone")
			if err != nil || !sure {
				return errors.Join(errors.New("nothing was changed"), err)
			}
		}
		r, err := forget.Number(ctx, ledger.NewDurable(b.rdb, b.cfg.Redis.Durability), number, f.options)
		if !f.options.DryRun {
			record(ctx, f.app, b, "number.forget", f.ref, fmt.Sprintf("%d rows in %d campaigns, %d incoming messages, %d events", r.Rows, len(r.Changed), r.Inbound, r.Events))
		}
		if err != nil {
			return err
		}
		return f.print(r)
	})
}

// print prints what was removed and what stays.
func (f *forgetCommand) print(r forget.Result) error {
	next := ""
	if r.Next != nil {
		next = r.Next.String()
	}
	if f.json {
		return console.WriteJSON(f.out, struct {
			forget.Result
			Next string `json:"next"`
		}{r, next})
	}
	removed := "removed"
	if r.DryRun {
		removed = "to remove"
	}
	lines := []string{fmt.Sprintf("%s: %s in %s, %s, %s, %s (%s read)", removed, console.Plural(r.Rows, "row"), console.Plural(len(r.Changed), "campaign"),
		console.Plural(r.Inbound, "incoming message"), console.Plural(r.Events, "event"), console.Plural(r.Parked, "parked report"), console.Plural(r.Campaigns, "campaign"))}
	for _, x := range []struct {
		list []string
		text string
	}{
		{r.Lists, "the number stays on suppression lists (* is the list for all senders)"},
		{r.Open, "the number stays in campaigns that have not ended; run the command again after their end"},
		{r.NoRetry, "these campaigns cannot be retried after the removal"},
		{r.Unreadable, "these campaigns may still hold the number, because some of their records cannot be read; tuma purge removes a whole campaign"},
	} {
		if len(x.list) > 0 {
			lines = append(lines, x.text+": "+strings.Join(x.list, ", "))
		}
	}
	if next != "" {
		lines = append(lines, "not all campaigns were read; to continue: tuma forget MSISDN --after "+next)
	}
	for _, line := range lines {
		if err := f.screen().Paragraph(f.out, line); err != nil {
			return err
		}
	}
	return nil
}
