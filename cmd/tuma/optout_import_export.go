package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/producer"
)

// optOutHeader is what export writes and import knows by its first line.
var optOutHeader = []string{"msisdn", "sender", "origin", "at"}

// optOutCells are the cells of a row; "all" stands for all senders, for people.
func optOutCells(x producer.OptOut) []string {
	sender := x.Sender
	if sender == "" {
		sender = "all"
	}
	return []string{x.Number, sender, x.Origin, formatTime(x.At)}
}

func newOptOutList(a *app) *cobra.Command {
	var sender string
	var counts, asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "Print who is on the suppression list",
		Long: `List prints the numbers on all suppression lists, or on that of --sender, in no
order: one a line with its sender (all: of all senders), origin and time. It streams.`,
		Example: `  tuma optout list
  tuma optout list --sender ACME --json
  tuma optout list --count`,
		Args: takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error {
			b, err := a.connect(ctx)
			if err != nil {
				return err
			}
			defer b.Close()
			if counts {
				return a.optOutCounts(ctx, b, asJSON)
			}
			out := bufio.NewWriterSize(a.out, 64<<10)
			lines := json.NewEncoder(out)
			err = forEachOptOut(ctx, b, sender, func(x producer.OptOut) error {
				if asJSON {
					return lines.Encode(x)
				}
				_, err := fmt.Fprintln(out, strings.Join(optOutCells(x), "  "))
				return err
			})
			return errors.Join(err, out.Flush())
		}),
	}
	c.Flags().StringVar(&sender, "sender", "", "only the list of this sender ID")
	c.Flags().BoolVar(&counts, "count", false, "print how many are on each list instead")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, an object a line")
	return c
}

// eachOptOut goes through the list of a sender, or through all of them.
func forEachOptOut(ctx context.Context, b *backend, sender string, do func(producer.OptOut) error) error {
	senders := []string{sender}
	if sender == "" {
		counts, err := b.OptOutCounts(ctx)
		if err != nil {
			return err
		}
		senders = slices.Sorted(maps.Keys(counts))
	}
	for _, s := range senders {
		for x, err := range b.OptOuts(ctx, s) {
			if err == nil {
				err = do(x)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *app) optOutCounts(ctx context.Context, b *backend, asJSON bool) error {
	counts, err := b.OptOutCounts(ctx)
	if err != nil {
		return err
	}
	g := grid{header: []string{"SENDER", "NUMBERS"}, right: []int{1}}
	for _, sender := range slices.Sorted(maps.Keys(counts)) {
		name := sender
		if sender == "" {
			name = "all"
		}
		if asJSON {
			if err := writeJSON(a.out, map[string]any{"sender": sender, "numbers": counts[sender]}); err != nil {
				return err
			}
		}
		g.add(name, formatInt(counts[sender]))
	}
	if asJSON || len(g.rows) == 0 {
		return nil
	}
	return g.print(a.out)
}

func newOptOutExport(a *app) *cobra.Command {
	var sender string
	c := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write the suppression list as CSV",
		Long: `Export writes all suppression lists, or that of --sender, as CSV: msisdn, sender
(empty: of all senders), origin and at, in no order. tuma optout import reads it.
Without FILE it goes to standard output. It streams.`,
		Example: `  tuma optout export do-not-call.csv
  tuma optout export --sender ACME | gzip > acme.csv.gz`,
		Args: cobra.MaximumNArgs(1),
		RunE: a.verb(func(ctx context.Context, args []string) (err error) {
			b, err := a.connect(ctx)
			if err != nil {
				return err
			}
			defer b.Close()
			to := a.out
			if len(args) > 0 && args[0] != "-" {
				file, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // people's numbers
				if err != nil {
					return misuse("export: %w", err)
				}
				defer func() { err = errors.Join(err, file.Close()) }()
				to = file
			}
			return a.exportOptOuts(ctx, b, sender, to)
		}),
	}
	c.Flags().StringVar(&sender, "sender", "", "only the list of this sender ID")
	return c
}

func (a *app) exportOptOuts(ctx context.Context, b *backend, sender string, to io.Writer) error {
	counts, err := b.OptOutCounts(ctx)
	if err != nil {
		return err
	}
	total := 0
	for s, n := range counts {
		if sender == "" || strings.EqualFold(s, sender) {
			total += n
		}
	}
	shown := a.countBar("exported", total)
	defer shown.end()
	buffer := bufio.NewWriterSize(to, 64<<10)
	out := newCSVSheet(buffer)
	if err := out.row(optOutHeader...); err != nil {
		return err
	}
	err = forEachOptOut(ctx, b, sender, func(x producer.OptOut) error {
		shown.add()
		return out.row(x.Number, x.Sender, x.Origin, formatTime(x.At))
	})
	return errors.Join(err, out.flush(), buffer.Flush())
}

// load is tuma optout import.
func (o *optOutCommand) importFile(ctx context.Context, b *backend, _ []string, src *source) error {
	exported, err := o.detectExport(src)
	if err != nil {
		return err
	}
	if exported && o.sender != "" {
		return misuse("%s names the senders itself: leave --sender out", src.name)
	}
	shown := o.countBar("imported", 0)
	defer shown.end()
	var wrong []string
	bad := 0
	optOuts := func(yield func(producer.OptOut, error) bool) {
		for r, err := range src.all() {
			p := producer.OptOut{Number: r.Number, Sender: o.sender, Country: o.country, Origin: producer.OriginImport}
			if err == nil && exported {
				err = readExportedRow(&p, r.Fields, src.list.Where())
			}
			if err == nil {
				if why := producer.CheckOptOut(p); why != nil {
					if bad++; len(wrong) < 10 {
						wrong = append(wrong, fmt.Sprintf("%s: %v", src.list.Where(), why))
					}
					continue
				}
				shown.add()
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
	r, err := b.OptOut(ctx, optOuts)
	shown.end()
	if err != nil {
		return err
	}
	if err := o.waitAndReport(ctx, b, r); err != nil {
		return err
	}
	if bad == 0 {
		return nil
	}
	for _, line := range wrong {
		o.note("tuma: %s", line)
	}
	return fmt.Errorf("%s could not be taken; the others are on the list", plural(bad, "row"))
}

// isExport says whether a file begins as export writes it, and then reads all its columns.
func (o *optOutCommand) detectExport(src *source) (bool, error) {
	head := make([]byte, 64)
	n, err := src.file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read %s: %w", src.name, err)
	}
	first, _, _ := strings.Cut(string(head[:n]), "\n")
	if strings.TrimSpace(strings.ToLower(first)) != strings.Join(optOutHeader, ",") {
		return false, nil
	}
	info, err := src.file.Stat()
	if err != nil {
		return false, fmt.Errorf("read %s: %w", src.name, err)
	}
	with := o.list
	with.Fields = optOutHeader[1:]
	src.setFile(info, with)
	return true, nil
}

func readExportedRow(p *producer.OptOut, fields map[string]string, where string) error {
	p.Sender = strings.TrimSpace(fields["sender"])
	if origin := fields["origin"]; origin != "" {
		p.Origin = strings.Clone(origin)
	}
	if at := fields["at"]; at != "" {
		t, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return misuse("%s: %.40q is no time such as 2026-11-22T10:00:00Z", where, at)
		}
		p.At = t
	}
	return nil
}

// countBar counts things as they pass, for a person who looks; elsewhere it is silent.
type countBar struct{ bar *progressbar.ProgressBar }

// countBar makes one; total is 0 if it is not known.
func (a *app) countBar(what string, total int) *countBar {
	if !isTerminal(a.err) {
		return &countBar{}
	}
	if total == 0 {
		total = -1
	}
	return &countBar{progressbar.NewOptions(total, progressbar.OptionSetWriter(a.err), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(barWidth))}
}

func (c *countBar) add() {
	if c.bar != nil {
		_ = c.bar.Add(1) // a bar that cannot be drawn changes nothing
	}
}

func (c *countBar) end() {
	if c.bar != nil {
		_ = c.bar.Finish()
		c.bar = nil
	}
}
