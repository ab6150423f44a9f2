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
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

// optOutHeader is the header that export writes. `tuma optout import` recognises an exported file
// by this header.
var optOutHeader = []string{"msisdn", "sender", "origin", "at"}

// optOutCells returns the cells of a table row for an entry. The sender of the list for all senders is
// shown as "all".
func optOutCells(x producer.OptOut, p console.Screen) []string {
	sender := x.Sender
	if sender == "" {
		sender = "all"
	}
	return []string{x.Number, sender, x.Origin, p.Minute(x.At)}
}

func newOptOutList(a *app) *cobra.Command {
	var sender, origin string
	var counts, asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "Print the numbers on the suppression list",
		Long: `List prints the numbers on all suppression lists. With --sender it prints only
one list, and with --origin only the entries of one origin. Each line has a
number, its sender ID ("all" for all senders), origin and time. The order is
random. Memory use does not grow with the list.`,
		Example: `  tuma optout list
  tuma optout list --sender ACME --json
  tuma optout list --count`,
		Args: takes(),
		RunE: a.verb(func(ctx context.Context, _ []string) error {
			return a.withBackend(ctx, func(b *backend) error {
				if counts && origin != "" {
					return misuse("--count counts whole lists, not the entries of one origin: leave out --origin, or count the printed lines")
				}
				if counts {
					return a.optOutCounts(ctx, b, asJSON)
				}
				p, out := a.screen(), bufio.NewWriterSize(a.out, 64<<10)
				lines := json.NewEncoder(out)
				err := forEachOptOut(ctx, b, sender, func(x producer.OptOut) error {
					if !hasOrigin(x, origin) {
						return nil
					}
					if asJSON {
						return lines.Encode(x)
					}
					_, err := fmt.Fprintln(out, p.Line(optOutCells(x, p)...))
					return err
				})
				return errors.Join(err, out.Flush())
			})
		}),
	}
	c.Flags().StringVar(&sender, "sender", "", "only the list of this sender `ID`")
	c.Flags().StringVar(&origin, "origin", "", originFlagUsage)
	c.Flags().BoolVar(&counts, "count", false, "print the size of each list instead")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, one object a line")
	return c
}

// forEachOptOut calls the function "do" for each entry of a sender's list. If the sender is empty, it calls "do" for
// each entry of all lists.
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

// optOutCounts prints the size of each suppression list.
func (a *app) optOutCounts(ctx context.Context, b *backend, asJSON bool) error {
	counts, err := b.OptOutCounts(ctx)
	if err != nil {
		return err
	}
	g := console.Table{Header: []string{"SENDER", "NUMBERS"}, Right: []int{1}}
	for _, sender := range slices.Sorted(maps.Keys(counts)) {
		name := sender
		if sender == "" {
			name = "all"
		}
		if asJSON {
			if err := console.WriteJSON(a.out, map[string]any{"sender": sender, "numbers": counts[sender]}); err != nil {
				return err
			}
		}
		g.Add(name, console.FormatInt(counts[sender]))
	}
	if asJSON || len(g.Rows) == 0 {
		return nil
	}
	return g.Print(a.out)
}

func newOptOutExport(a *app) *cobra.Command {
	var sender string
	c := &cobra.Command{
		Use:   "export [FILE]",
		Short: "Write the suppression list as CSV",
		Long: `Export writes all suppression lists as CSV, or with --sender only one list. The
columns are msisdn, sender, origin and at (the time of the entry). The column
sender is empty for entries of the list for all senders. The order is random.
Without FILE, export writes to standard output. 'tuma optout import' reads the
output. Memory use does not grow with the list.`,
		Example: `  tuma optout export do-not-call.csv
  tuma optout export --sender ACME | gzip > acme.csv.gz`,
		Args: takes("[FILE]"),
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return a.withBackend(ctx, func(b *backend) error {
				if len(args) == 0 || args[0] == "-" {
					return a.exportOptOuts(ctx, b, sender, a.out)
				}
				file, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600) // only the owner may read personal data
				if err != nil {
					return misuse("export: %w", err)
				}
				return errors.Join(a.exportOptOuts(ctx, b, sender, file), file.Close())
			})
		}),
	}
	c.Flags().StringVar(&sender, "sender", "", "only the list of this sender `ID`")
	return c
}

// exportOptOuts writes the list of a sender as CSV, or all suppression lists if sender is empty, and
// shows a progress bar.
func (a *app) exportOptOuts(ctx context.Context, b *backend, sender string, w io.Writer) error {
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
	shown := console.NewCountBar(a.err, "exported", total)
	defer shown.End()
	buffer := bufio.NewWriterSize(w, 64<<10)
	out := console.NewCSVSheet(buffer)
	if err := out.Row(optOutHeader...); err != nil {
		return err
	}
	err = forEachOptOut(ctx, b, sender, func(x producer.OptOut) error {
		shown.Add()
		return out.Row(x.Number, x.Sender, x.Origin, console.FormatTime(x.At))
	})
	return errors.Join(err, out.Flush(), buffer.Flush())
}

// importFile runs `tuma optout import`.
func (o *optOutCommand) importFile(ctx context.Context, b *backend, _ []string, src *source) error {
	exported, err := o.detectExport(src)
	if err != nil {
		return err
	}
	if exported && o.sender != "" {
		return misuse("--sender: %s already contains the sender of each number; remove --sender", src.name)
	}
	shown := console.NewCountBar(o.err, "imported", 0)
	defer shown.End()
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
						wrong = append(wrong, fmt.Sprintf("%s: %s", src.list.Where(), explainNumber(p.Number, why)))
					}
					continue
				}
				shown.Add()
			}
			if !yield(p, err) || err != nil {
				return
			}
		}
	}
	r, err := b.OptOut(ctx, optOuts)
	shown.End()
	if err != nil {
		return err
	}
	record(ctx, o.app, b, "optout.add", o.sender, strconv.Itoa(r.Added)+" numbers")
	if err := o.waitAndReport(ctx, b, r); err != nil {
		return err
	}
	if bad == 0 {
		return nil
	}
	for _, line := range wrong {
		o.note("tuma: %s", line)
	}
	return fmt.Errorf("%s not imported; all other numbers of the file are on the list", console.Plural(bad, "invalid row"))
}

// detectExport reports whether the file is the output of `tuma optout export`. If it is,
// detectExport makes the source read all columns of the file.
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
	options := o.list
	options.Fields = optOutHeader[1:]
	src.setFile(info, options)
	return true, nil
}

// readExportedRow sets sender, origin and time from a row of an exported file.
func readExportedRow(p *producer.OptOut, fields map[string]string, where string) error {
	p.Sender = strings.TrimSpace(fields["sender"])
	if origin := fields["origin"]; origin != "" {
		p.Origin = strings.Clone(origin)
	}
	if at := fields["at"]; at != "" {
		t, err := time.Parse(time.RFC3339, at)
		if err != nil {
			return misuse("%s: at: %.40q must be a time, e.g. 2026-11-22T10:00:00Z", where, at)
		}
		p.At = t
	}
	return nil
}
