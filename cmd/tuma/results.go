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

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/producer"
)

// resultHeader is fixed: scripts rely on it.
var resultHeader = []string{"row", "msisdn", "status", "reason", "account", "message_id", "message_uuid", "code",
	"segments", "cost", "currency", "updated_at", "input"}

// listing is one `tuma results`.
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
		Short: "Print what became of every recipient",
		Long: `Results prints one row for every uploaded recipient, also for those left out, in
the order of the upload. It streams: a million rows need no memory.

What was interrupted goes on with --after and the number of the last row that is
there: it prints the rows behind that one, without the header, to be appended.

In CSV a field that a spreadsheet would take for a formula begins with a quote (').`,
		Example: `  tuma results sale-2025-11 > results.csv
  tuma results sale-2025-11 --after 412000 >> results.csv
  tuma results sale-2025-11 --status rejected,unknown
  tuma results sale-2025-11 --format jsonl | jq -r 'select(.reason == "invalid_number") | .input'`,
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			if l.format != "csv" && l.format != "jsonl" {
				return misuse("--format: %.40q must be csv or jsonl", l.format)
			}
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error { return l.print(ctx, b, id) })
		}),
	}
	c.Flags().StringSliceVar(&l.statuses, "status", nil, "only these: pending, accepted, delivered, undelivered, rejected, unknown, skipped")
	c.Flags().StringVar(&l.format, "format", "csv", "csv or jsonl")
	c.Flags().IntVar(&l.after, "after", 0, "only the rows behind this one, without a header")
	words := []string{"pending", "accepted", "delivered", "undelivered", "rejected", "unknown", "skipped"}
	_ = c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"csv", "jsonl"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

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
		err = fmt.Errorf("%w: row %d is the last one printed; for the rest: %s", err, out.flushedRow, l.continueCommand(id, out.flushedRow))
	}
	return err
}

// again is the command that goes on behind a row.
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

// wholeRows hands rows on in large pieces, each of which ends with a row: so does
// what was interrupted.
type rowBuffer struct {
	to  io.Writer
	buf bytes.Buffer
	// held is the last row in buf, last the last one that was handed on.
	bufferedRow, flushedRow int
}

// pieceSize is what a system call is worth.
const flushSize = 64 << 10

// row says that a row is complete.
func (w *rowBuffer) row(n int) error {
	w.bufferedRow = n
	if w.buf.Len() < flushSize {
		return nil
	}
	return w.flush()
}

func (w *rowBuffer) flush() error {
	if _, err := w.buf.WriteTo(w.to); err != nil {
		return fmt.Errorf("print results: %w", err)
	}
	w.flushedRow = w.bufferedRow
	return nil
}

// writeResultsCSV writes the header, if wanted, and the rows; the last of them are
// left to be flushed.
func writeResultsCSV(w *rowBuffer, results iter.Seq2[producer.Result, error], headed bool) error {
	out := newCSVSheet(&w.buf)
	// Not before the campaign is known to be there.
	head := func() error {
		if !headed {
			return nil
		}
		headed = false
		return out.row(resultHeader...)
	}
	for r, err := range results {
		if err == nil {
			err = head()
		}
		if err != nil {
			return err
		}
		err := out.row(strconv.Itoa(r.Row), r.MSISDN, r.Status, r.Reason, r.Account, r.MessageID, r.MessageUUID,
			r.Code, strconv.Itoa(r.Segments), r.Cost, r.Currency, formatTime(r.UpdatedAt), r.Input)
		if err != nil {
			return err
		}
		if err := out.flush(); err != nil {
			return err
		}
		if err := w.row(r.Row); err != nil {
			return err
		}
	}
	if err := head(); err != nil {
		return err
	}
	return out.flush()
}

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
