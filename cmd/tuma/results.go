package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/producer"
)

// resultHeader is the CSV header. It must not change: scripts rely on it.
var resultHeader = []string{"row", "msisdn", "status", "reason", "account", "message_id", "message_uuid", "code",
	"segments", "cost", "currency", "updated_at", "input"}

// resultsCommand is one run of `tuma results`, with its flags.
type resultsCommand struct {
	*app
	statuses []string
	format   string
	after    int
}

func newResults(a *app) *cobra.Command {
	l := &resultsCommand{app: a}
	c := &cobra.Command{
		Use:   "results ID",
		Short: "Print the outcome of every recipient",
		Long: `Results prints one row for every uploaded recipient, skipped ones included, in
the order of the upload. Memory use does not grow with the number of rows.

To continue an interrupted output, use --after with the number of its last row.
Then results prints only the rows after that row, without the header, so that
you can append them to the output.

In CSV output a field that a spreadsheet would run as a formula starts with a
quote (').`,
		Example: `  tuma results sale-2025-11 > results.csv
  tuma results sale-2025-11 --after 412000 >> results.csv
  tuma results sale-2025-11 --status rejected,unknown
  tuma results sale-2025-11 --format jsonl | jq -r .msisdn`,
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			if l.format != "csv" && l.format != "jsonl" {
				return misuse("--format: %.40q must be csv or jsonl", l.format)
			}
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error { return l.print(ctx, b, id) })
		}),
	}
	c.Flags().StringSliceVar(&l.statuses, "status", nil, "only recipients with one of these `statuses`, separated by commas: pending, accepted, delivered, undelivered, rejected, unknown, skipped")
	c.Flags().StringVar(&l.format, "format", "csv", "output `format`: csv or jsonl")
	c.Flags().IntVar(&l.after, "after", 0, "only rows after this `row`, without the header")
	words := []string{"pending", "accepted", "delivered", "undelivered", "rejected", "unknown", "skipped"}
	_ = c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"csv", "jsonl"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// print prints the results. After an interruption its error names the command that continues.
func (l *resultsCommand) print(ctx context.Context, b *backend, id string) error {
	out := &rowBuffer{to: l.out}
	results := b.ResultsAfter(ctx, id, l.after, l.statuses...)
	var err error
	if l.format == "csv" {
		err = writeResultsCSV(out, results, l.after == 0)
	} else {
		err = writeResultsJSON(out, results)
	}
	ended := out.flush()
	var broken *ledger.Unreadable
	if err == nil || ended != nil || errors.As(err, &broken) {
		return errors.Join(err, ended)
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if out.flushedRow > 0 {
		err = fmt.Errorf("%w: row %d is the last row printed; to continue: %s", err, out.flushedRow, l.continueCommand(id, out.flushedRow))
	}
	return err
}

// continueCommand returns the command that prints the rows after the given row.
func (l *resultsCommand) continueCommand(id string, row int) string {
	text := fmt.Sprintf("tuma results %s --after %d", id, row)
	if len(l.statuses) > 0 {
		text += " --status " + strings.Join(l.statuses, ",")
	}
	if l.format != "csv" {
		text += " --format " + l.format
	}
	return text
}

// rowBuffer writes rows in large pieces. Each piece ends with a complete row, so that an
// interrupted output also ends with a complete row.
type rowBuffer struct {
	to  io.Writer
	buf bytes.Buffer
	// bufferedRow is the number of the last row in buf, flushedRow that of the last row written.
	bufferedRow, flushedRow int
}

// flushSize is the minimum size of a piece in bytes, so that few system calls are made.
const flushSize = 64 << 10

// row records that buf ends with the complete row n, and writes buf if it is large enough.
func (w *rowBuffer) row(n int) error {
	w.bufferedRow = n
	if w.buf.Len() < flushSize {
		return nil
	}
	return w.flush()
}

// flush writes the buffered rows.
func (w *rowBuffer) flush() error {
	if _, err := w.buf.WriteTo(w.to); err != nil {
		return fmt.Errorf("print results: %w", err)
	}
	w.flushedRow = w.bufferedRow
	return nil
}

// writeResultsCSV writes the rows to w, below the header if withHeader is true. The caller flushes w.
func writeResultsCSV(w *rowBuffer, results iter.Seq2[producer.Result, error], withHeader bool) error {
	out := console.NewCSVSheet(&w.buf)
	// The header is written with the first row: if the campaign does not exist, no header is
	// printed.
	head := func() error {
		if !withHeader {
			return nil
		}
		withHeader = false
		return out.Row(resultHeader...)
	}
	for r, err := range results {
		if err == nil {
			err = head()
		}
		if err != nil {
			return err
		}
		err := out.Row(strconv.Itoa(r.Row), r.MSISDN, r.Status, r.Reason, r.Account, r.MessageID, r.MessageUUID,
			r.Code, strconv.Itoa(r.Segments), r.Cost, r.Currency, console.FormatTime(r.UpdatedAt), r.Input)
		if err != nil {
			return err
		}
		if err := out.Flush(); err != nil {
			return err
		}
		if err := w.row(r.Row); err != nil {
			return err
		}
	}
	if err := head(); err != nil {
		return err
	}
	return out.Flush()
}

// writeResultsJSON writes one JSON object a line to w. The caller flushes w.
func writeResultsJSON(w *rowBuffer, results iter.Seq2[producer.Result, error]) error {
	e := json.NewEncoder(&w.buf)
	e.SetEscapeHTML(false)
	for r, err := range results {
		if err != nil {
			return err
		}
		if err := e.Encode(r); err != nil {
			return err
		}
		if err := w.row(r.Row); err != nil {
			return err
		}
	}
	return nil
}
