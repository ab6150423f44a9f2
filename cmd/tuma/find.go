package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

// findCommand is one run of `tuma find`, with its flags.
type findCommand struct {
	*app
	options producer.FindOptions
	since   string
	json    bool
}

func newFind(a *app) *cobra.Command {
	f := &findCommand{app: a}
	c := &cobra.Command{
		Use:   "find MSISDN",
		Short: "Find every message to a number, in all campaigns",
		Long: `Find prints the messages to a number. The messages of the newest campaign come
first. A message has the campaign, status and reason, account, message ID, times
and text. Find also prints messages that were never submitted, with the reason.
The number may be written in any usual form; --country is for a number in
national form.

Find reads the recipients of all campaigns, newest first, some 20 million a
second. Tuma keeps no index by number, which would cost memory for each
recipient. Campaigns that "retention" has removed are not found. If --limit,
--max-campaigns or --max-recipients ends the search, the last line has the
command that continues the search.`,
		Example: `  tuma find +254712345678
  tuma find 0712345678 --country KE --since 7d
  tuma find 254712345678 --json | jq -r '.messages[] | .campaign'`,
		Args: takes("MSISDN"),
		RunE: a.verb(func(ctx context.Context, args []string) error { return f.run(ctx, args[0]) }),
	}
	c.Flags().StringVar(&f.options.Country, "country", "", "`country` of a number in national form, such as KE (default: default_country)")
	c.Flags().StringVar(&f.since, "since", "", "only campaigns created since this `time`: 2025-12-01, 2025-12-01T08:00:00Z, or 7d for the last 7 days")
	c.Flags().IntVar(&f.options.Limit, "limit", producer.DefaultFindLimit, "end the search after `N` messages")
	c.Flags().IntVar(&f.options.MaxCampaigns, "max-campaigns", producer.DefaultFindMaxCampaigns, "read at most `N` campaigns")
	c.Flags().IntVar(&f.options.MaxRecipients, "max-recipients", producer.DefaultFindMaxRecipients, "end the search after `N` recipients; the search reads its last campaign to the end")
	c.Flags().StringVar(&f.options.After, "after", "", "continue a search that ended early, with the `cursor` that the search printed")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON: an object with the fields \"messages\" and \"next\"; \"next\" is the cursor for --after")
	return c
}

func (f *findCommand) run(ctx context.Context, number string) error {
	since, err := parseSince(f.since, f.now())
	if err != nil {
		return err
	}
	f.options.Since = since
	return f.withBackend(ctx, func(b *backend) error {
		f.options.Country = strings.ToUpper(cmp.Or(f.options.Country, b.cfg.Country))
		r, err := b.Find(ctx, number, f.options)
		if _, wrong := errors.AsType[*producer.NumberError](err); wrong {
			return misuse("%s", explainNumber(number, err))
		}
		if err != nil {
			return err
		}
		if f.json {
			return console.WriteJSON(f.out, r)
		}
		if err := f.print(r); err != nil {
			return err
		}
		f.noteBounds(r)
		return nil
	})
}

// print prints each message as a heading and a table.
func (f *findCommand) print(r producer.FindResult) error {
	p := f.screen()
	read := fmt.Sprintf("%s: %s in %s", r.MSISDN, console.Plural(len(r.Messages), "message"), console.Plural(r.Campaigns, "campaign"))
	if r.Oldest != nil {
		read += " since " + p.Time(*r.Oldest)
	}
	errs := []error{p.Paragraph(f.out, fmt.Sprintf("%s (%s read)", read, console.Plural(r.Recipients, "recipient")))}
	for _, m := range r.Messages {
		end := fmt.Sprintf(", row %d: %s", m.Row, m.Status)
		_, err := fmt.Fprintln(f.out, "\n"+p.CutMiddle(m.Campaign, len(end))+end)
		errs = append(errs, err, p.Table(f.out, messageTable(m, p)))
	}
	return errors.Join(errs...)
}

// messageTable returns the facts about a message. It leaves out unknown facts.
func messageTable(m producer.FoundMessage, p console.Screen) console.Table {
	g := console.Table{}
	line := func(name, text string) {
		if text != "" {
			g.Add("  "+name, text)
		}
	}
	reason := m.Reason
	if m.Code != "" {
		reason += " (" + m.Code + ")"
	}
	line("reason", strings.TrimSpace(reason))
	line("ref", m.Ref)
	line("text", strings.Join(strings.Fields(m.Text), " "))
	line("sender", m.From)
	line("account", m.Account)
	line("message ID", m.MessageID)
	line("sent twice", strings.Join(m.Resent, " "))
	line("created", strings.TrimSuffix(p.Time(m.CreatedAt)+" by "+m.CreatedBy, " by "))
	line("updated", p.Time(m.UpdatedAt))
	line("input", m.Input)
	return g
}

// noteBounds prints which campaigns the search has not read, and the command that continues
// the search.
func (f *findCommand) noteBounds(r producer.FindResult) {
	if r.Next != "" {
		why := map[string]string{"limit": "--limit", "campaigns": "--max-campaigns", "recipients": "--max-recipients"}[r.Bound]
		f.note("tuma: the search ended at %s; there are older campaigns. To continue: tuma find %s --after %s", why, r.MSISDN, r.Next)
	}
	if len(r.Cut) > 0 {
		f.note("tuma: these campaigns have more than 1,000 rows with the number, and only the first 1,000 are shown: %s; 'tuma results' shows all rows", strings.Join(r.Cut, ", "))
	}
	if len(r.Unreadable) > 0 {
		f.note("tuma: warning: campaigns with unreadable records were not searched completely: %s", strings.Join(r.Unreadable, ", "))
	}
}
