package main

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

// listCommand is one run of `tuma list`, with its flags.
type listCommand struct {
	*app
	states []string
	since  string
	limit  int
	all    bool
	json   bool
	// hidden is the number of campaigns that the list leaves out because they have one recipient.
	hidden int
}

func newList(a *app) *cobra.Command {
	l := &listCommand{app: a}
	c := &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List campaigns, newest first",
		Long: `List shows the campaigns. A campaign that has ended stays listed for the time
"retention" of the configuration (30 days by default). Campaigns of one
recipient, such as tests and single messages, are shown only with --all.

SENT are the accepted messages, delivered or not. FAILED are the rejected ones
and those with an unknown outcome. Times are local on a terminal, and UTC in
JSON or if the output is not a terminal. A narrow terminal shows only the two
ends of a long ID. With --json or in a pipe the ID is complete.`,
		Example: `  tuma list
  tuma list --state sending,paused --limit 20
  tuma list --since 7d --all
  tuma list --json | jq -r '.[] | select(.state == "paused") | .id'`,
		Args: takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error { return l.run(ctx) }),
	}
	c.Flags().StringSliceVar(&l.states, "state", nil, "show only campaigns in these `states`: uploading, scheduled, planning, sending, paused, cancelled, done")
	c.Flags().StringVar(&l.since, "since", "", "show only campaigns created since this `time`: 2025-12-01, 2025-12-01T08:00:00Z, or 7d for the last 7 days")
	c.Flags().IntVar(&l.limit, "limit", 0, "show at most the newest `N` campaigns; 0: all")
	c.Flags().BoolVar(&l.all, "all", false, "also show campaigns of one recipient: tests and single messages")
	c.Flags().BoolVar(&l.json, "json", false, "print JSON: an array with an object for each campaign, as in tuma status --json; the field blocked_by is always empty")
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(
		[]string{"uploading", "scheduled", "planning", "sending", "paused", "cancelled", "done"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (l *listCommand) run(ctx context.Context) error {
	since, err := parseSince(l.since, l.now())
	if err != nil {
		return err
	}
	o := producer.ListOptions{Since: since, Limit: l.limit, SkipSingle: !l.all, Messages: l.all, Skipped: func(string) { l.hidden++ }}
	for _, s := range l.states {
		o.States = append(o.States, producer.State(strings.TrimSpace(s)))
	}
	return l.withBackend(ctx, func(b *backend) error {
		campaigns := b.ListCampaigns(ctx, o)
		if l.json {
			err = l.printJSON(campaigns)
		} else {
			err = l.print(campaigns)
		}
		if err == nil && l.hidden > 0 {
			l.note("tuma: not shown: %s of one recipient (tests and single messages); to show them: --all", console.Plural(l.hidden, "campaign"))
		}
		return err
	})
}

// print prints the campaigns as a table.
func (l *listCommand) print(campaigns iter.Seq2[producer.Status, error]) error {
	p := l.screen()
	g := listTable()
	for st, err := range campaigns {
		if err != nil {
			return err
		}
		addToList(&g, st, p)
	}
	if len(g.Rows) == 0 {
		switch {
		case len(l.states) > 0 || l.since != "":
			l.note("tuma: no campaigns match --state and --since")
		case l.hidden == 0:
			l.note("tuma: no campaigns; tuma send enqueues one")
		}
		return nil
	}
	return p.Table(l.out, g)
}

// listTable returns the table of `tuma list` without rows. On a narrow terminal, the columns of
// counts are left out.
func listTable() console.Table {
	return console.Table{
		Header: []string{"ID", "STATE", "TOTAL", "PENDING", "SENT", "FAILED", "SKIPPED", "CREATED"},
		Right:  []int{2, 3, 4, 5, 6}, Drop: []int{6, 3, 2},
	}
}

func addToList(g *console.Table, st producer.Status, p console.Screen) {
	g.Add(st.ID, string(st.State), console.FormatInt(st.Total), console.FormatInt(st.Pending), console.FormatInt(st.Accepted+st.Delivered+st.Undelivered),
		console.FormatInt(st.Rejected+st.Unknown), console.FormatInt(st.Skipped), p.Minute(st.CreatedAt))
}

// printJSON prints the campaigns as a JSON array, without holding all of them in memory.
func (l *listCommand) printJSON(campaigns iter.Seq2[producer.Status, error]) error {
	separator := "[\n"
	for st, err := range campaigns {
		if err != nil {
			return err
		}
		line, err := json.Marshal(st)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(l.out, "%s%s", separator, line); err != nil {
			return err
		}
		separator = ",\n"
	}
	end := "\n]\n"
	if separator == "[\n" {
		end = "[]\n"
	}
	_, err := fmt.Fprint(l.out, end)
	return err
}

// parseSince parses the value of --since: a time, a day, or a duration before now. A day begins at midnight
// local time. For an empty text, parseSince returns the zero time.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if d, err := config.ParseDuration(text); err == nil && d > 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	for _, layout := range []string{"2006-01-02", "2006-01-02 15:04", "2006-01-02 15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil { //nolint:gosmopolitan // people write local times
			return t, nil
		}
	}
	return time.Time{}, misuse("--since: %.40q must be a time, e.g. 2025-12-01, 2025-12-01T08:00:00Z, 24h or 7d", text)
}
