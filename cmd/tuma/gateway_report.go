package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/providers"
)

// tableFormat is the output format of a gateway's table: JSON, CSV, or aligned text if neither is
// set.
type tableFormat struct{ json, csv bool }

// flags adds --json and --csv to a command.
func (f *tableFormat) flags(c *cobra.Command) {
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	c.Flags().BoolVar(&f.csv, "csv", false, "print CSV")
	c.PreRunE = func(c *cobra.Command, _ []string) error {
		if f.json && f.csv {
			return misuseOf(c, "--json and --csv: use only one of them")
		}
		return nil
	}
}

func newGatewayReports(a *app) *cobra.Command {
	var from, to string
	var format tableFormat
	c := &cobra.Command{
		Use:   "reports ACCOUNT [REPORT]",
		Short: "Fetch reports that the gateway keeps",
		Long: `This command fetches a report that the gateway keeps, such as its list of sent
messages or the credit used. Which reports exist depends on the gateway; without
REPORT the gateway's default report is fetched. Campaigns do not change.`,
		Example: `  tuma gateway reports tc
  tuma gateway reports tc Usage --from 2026-11-01T00:00:00Z --csv > usage.csv`,
		Args:              takes("ACCOUNT", "[REPORT]"),
		ValidArgsFunction: a.completeAccounts,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			begin, end, err := period(from, to)
			if err != nil {
				return err
			}
			return a.gatewayReport(ctx, args, begin, end, format)
		}),
	}
	c.Flags().StringVar(&from, "from", "", "start of the period as RFC 3339 `time`, for reports with dates (default: a day before --to)")
	c.Flags().StringVar(&to, "to", "", "end of the period as RFC 3339 `time` (default: now)")
	format.flags(c)
	return c
}

// period parses the two ends of a period. The result for an empty text is the zero time.
func period(from, to string) (begin, end time.Time, err error) {
	begin, wrongBegin := parseMoment("--from", from)
	end, wrongEnd := parseMoment("--to", to)
	err = errors.Join(wrongBegin, wrongEnd)
	if err == nil && !begin.IsZero() && !end.IsZero() && end.Before(begin) {
		err = misuse("--to must not be before --from")
	}
	return begin, end, err
}

// gatewayReport fetches and prints a report of a gateway.
func (a *app) gatewayReport(ctx context.Context, args []string, from, to time.Time, format tableFormat) error {
	acc, err := a.account(args[0])
	if err != nil {
		return err
	}
	reporter, ok := acc.Worker.Provider.(providers.Reporter)
	if !ok {
		return notSupported(acc, "reports")
	}
	kinds := reporter.ReportKinds()
	kind := kinds[0]
	if len(args) == 2 {
		i := slices.IndexFunc(kinds, func(k string) bool { return strings.EqualFold(k, args[1]) })
		if i < 0 {
			return misuse("account %s has no report %.40q; reports: %s", acc.Name, args[1], strings.Join(kinds, ", "))
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
	return a.printTable(t, format, "report "+kind+": the gateway returned no entries for that period")
}

func newGatewayInbox(a *app) *cobra.Command {
	var after string
	var format tableFormat
	c := &cobra.Command{
		Use:   "inbox ACCOUNT",
		Short: "Fetch messages received by the account's numbers",
		Long: `Inbox fetches the messages that the account's numbers have received. If
the gateway gives IDs, --after ID fetches only the messages after the message
with this ID.`,
		Example:           "  tuma gateway inbox at\n  tuma gateway inbox at --after 15071 --json",
		Args:              takes("ACCOUNT"),
		ValidArgsFunction: a.completeAccounts,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			acc, err := a.account(args[0])
			if err != nil {
				return err
			}
			reader, ok := acc.Worker.Provider.(providers.InboxReader)
			if !ok {
				return notSupported(acc, "received messages")
			}
			messages, err := reader.Inbox(ctx, after)
			if err != nil {
				return err
			}
			if err := a.printTable(inboxTable(messages, a.tableScreen(format)), format, "no messages"); err != nil {
				return err
			}
			if n := len(messages); n > 0 && messages[n-1].ID != "" {
				a.note("for newer messages use --after %s", console.ReplaceControls(messages[n-1].ID))
			}
			return nil
		}),
	}
	c.Flags().StringVar(&after, "after", "", "fetch only messages after the message with this `ID`")
	format.flags(c)
	return c
}

// tableScreen returns the screen that formats the times of a table. For JSON and CSV, this screen shows times in UTC.
// For aligned text, it is the command's own screen.
func (a *app) tableScreen(format tableFormat) console.Screen {
	if format.json || format.csv {
		return console.Screen{}
	}
	return a.screen()
}

func inboxTable(messages []providers.Inbound, p console.Screen) providers.Table {
	t := providers.Table{Columns: []string{"id", "at", "from", "to", "link_id", "text"}}
	for _, m := range messages {
		t.Rows = append(t.Rows, []string{m.ID, cmp.Or(m.UnreadTime, p.Minute(m.At)), m.From, m.To, m.LinkID, m.Text})
	}
	return t
}

// printTable prints the answer of a gateway. If the answer has no rows, printTable prints emptyText
// instead. Strangers may have written parts of the answer. So printTable replaces control
// characters, and marks formulas in CSV as text. In JSON the values are unchanged.
func (a *app) printTable(t providers.Table, format tableFormat, emptyText string) error {
	switch {
	case format.json:
		return writeTableJSON(a.out, t)
	case format.csv:
		return writeTableCSV(a.out, t)
	case len(t.Rows) == 0:
		a.note("%s", emptyText)
		return nil
	}
	g := console.Table{Header: make([]string, len(t.Columns))}
	for i, c := range t.Columns {
		g.Header[i] = strings.ToUpper(console.ReplaceControls(c))
	}
	for _, row := range t.Rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = console.OneLine(console.ReplaceControls(c), 160)
		}
		g.Add(cells...)
	}
	return g.Print(a.out)
}

func writeTableJSON(w io.Writer, t providers.Table) error {
	rows := make([]map[string]string, len(t.Rows))
	for i, row := range t.Rows {
		rows[i] = make(map[string]string, len(row))
		for j, c := range row {
			rows[i][t.Columns[j]] = c
		}
	}
	return console.WriteJSON(w, rows)
}

func writeTableCSV(w io.Writer, t providers.Table) error {
	out := console.NewCSVSheet(w)
	for _, row := range append([][]string{t.Columns}, t.Rows...) {
		if err := out.Row(row...); err != nil {
			return err
		}
	}
	return out.Flush()
}
