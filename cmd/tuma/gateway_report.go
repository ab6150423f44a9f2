package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/providers"
)

// tableFormat is how a gateway's table is printed: for people, or for programs.
type tableFormat struct{ json, csv bool }

func (f *tableFormat) flags(c *cobra.Command) {
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.Flags().BoolVar(&f.csv, "csv", false, "print CSV")
	c.MarkFlagsMutuallyExclusive("json", "csv")
}

func newGatewayReports(a *app) *cobra.Command {
	var from, to string
	var format tableFormat
	c := &cobra.Command{
		Use:   "reports ACCOUNT [REPORT]",
		Short: "Fetch a gateway's own lists of messages",
		Long: `Reports fetches a list that the gateway keeps: what became of messages, what was
used. Which lists there are is the gateway's matter; without REPORT it is the usual
one. The list changes nothing in the ledger.`,
		Example: `  tuma gateway reports tc
  tuma gateway reports tc Usage --from 2026-11-01T00:00:00Z --csv > usage.csv`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) == 0 || len(args) > 2 {
				return misuse("%s needs an account and at most one report: %s", c.CommandPath(), c.UseLine())
			}
			return nil
		},
		ValidArgsFunction: a.completeAccounts,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			begin, end, err := period(from, to)
			if err != nil {
				return err
			}
			return a.gatewayReport(ctx, args, begin, end, format)
		}),
	}
	c.Flags().StringVar(&from, "from", "", "only what is not older, RFC 3339, where the gateway knows dates (default: a day before --to)")
	c.Flags().StringVar(&to, "to", "", "only what is not newer, RFC 3339 (default: now)")
	format.flags(c)
	return c
}

// period reads two moments. Those that are not given are the zero time.
func period(from, to string) (begin, end time.Time, err error) {
	begin, wrongBegin := parseMoment("--from", from)
	end, wrongEnd := parseMoment("--to", to)
	err = errors.Join(wrongBegin, wrongEnd)
	if err == nil && !begin.IsZero() && !end.IsZero() && end.Before(begin) {
		err = misuse("--to is before --from")
	}
	return begin, end, err
}

func (a *app) gatewayReport(ctx context.Context, args []string, from, to time.Time, format tableFormat) error {
	acc, err := a.account(args[0])
	if err != nil {
		return err
	}
	reporter, ok := acc.worker.Provider.(providers.Reporter)
	if !ok {
		return notSupported(acc, "reports")
	}
	kinds := reporter.ReportKinds()
	kind := kinds[0]
	if len(args) == 2 {
		i := slices.IndexFunc(kinds, func(k string) bool { return strings.EqualFold(k, args[1]) })
		if i < 0 {
			return misuse("account %s: there is no report %.40q; there is %s", acc.name, args[1], strings.Join(kinds, ", "))
		}
		kind = kinds[i]
	}
	if to.IsZero() {
		to = a.now()
	}
	if from.IsZero() {
		from = to.Add(-24 * time.Hour)
	}
	t, err := reporter.Report(ctx, kind, from, to)
	if err != nil {
		return err
	}
	return a.printTable(t, format, "nothing in "+kind+" for that time")
}

func newGatewayInbox(a *app) *cobra.Command {
	var after string
	var format tableFormat
	c := &cobra.Command{
		Use:   "inbox ACCOUNT",
		Short: "Fetch the messages that people have sent in",
		Long: `Inbox fetches messages that people have sent to the account's numbers. Where they
have ids, --after leaves out those up to one that is known already.`,
		Example:           "  tuma gateway inbox at\n  tuma gateway inbox at --after 15071 --json",
		Args:              takes("ACCOUNT"),
		ValidArgsFunction: a.completeAccounts,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			acc, err := a.account(args[0])
			if err != nil {
				return err
			}
			reader, ok := acc.worker.Provider.(providers.InboxReader)
			if !ok {
				return notSupported(acc, "messages that people have sent in")
			}
			messages, err := reader.Inbox(ctx, after)
			if err != nil {
				return err
			}
			if err := a.printTable(inboxTable(messages), format, "the inbox is empty"); err != nil {
				return err
			}
			if n := len(messages); n > 0 && messages[n-1].ID != "" {
				a.note("more with --after %s", replaceControls(messages[n-1].ID))
			}
			return nil
		}),
	}
	c.Flags().StringVar(&after, "after", "", "the id of the last message that is known already")
	format.flags(c)
	return c
}

func inboxTable(messages []providers.Inbound) providers.Table {
	t := providers.Table{Columns: []string{"id", "at", "from", "to", "link_id", "text"}}
	for _, m := range messages {
		t.Rows = append(t.Rows, []string{m.ID, formatTime(m.At), m.From, m.To, m.LinkID, m.Text})
	}
	return t
}

// printTable prints what a gateway has told. For people and spreadsheets it is made
// harmless: other people have written parts of it.
func (a *app) printTable(t providers.Table, format tableFormat, nothing string) error {
	switch {
	case format.json:
		return writeTableJSON(a.out, t)
	case format.csv:
		return writeTableCSV(a.out, t)
	case len(t.Rows) == 0:
		a.note("%s", nothing)
		return nil
	}
	g := grid{header: make([]string, len(t.Columns))}
	for i, c := range t.Columns {
		g.header[i] = strings.ToUpper(replaceControls(c))
	}
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = oneLine(replaceControls(c), 160)
		}
		g.add(cells...)
	}
	return g.print(a.out)
}

// harmless replaces what a terminal would take for a command.
func replaceControls(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return ' '
		}
		return r
	}, s)
}

func writeTableJSON(w io.Writer, t providers.Table) error {
	rows := make([]map[string]string, len(t.Rows))
	for i, row := range t.Rows {
		rows[i] = make(map[string]string, len(row))
		for j, c := range row {
			rows[i][t.Columns[j]] = c
		}
	}
	return writeJSON(w, rows)
}

func writeTableCSV(w io.Writer, t providers.Table) error {
	out := newCSVSheet(w)
	for _, row := range append([][]string{t.Columns}, t.Rows...) {
		if err := out.row(row...); err != nil {
			return err
		}
	}
	return out.flush()
}
