package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/internal/xlsx"
	"github.com/tuma-sms/tuma/producer"
)

// resultHeader is the CSV header. It must not change: scripts rely on it. The column "ref" is empty
// unless the recipient has a reference.
var resultHeader = []string{"row", "msisdn", "status", "reason", "account", "message_id", "message_uuid", "code",
	"segments", "cost", "currency", "updated_at", "input", "ref", "delivered_at"}

// resultsCommand is one run of `tuma results`, with its flags.
type resultsCommand struct {
	*app
	statuses []string
	format   string
	after    int
	// columns has the names of the columns of the uploaded list that the results also show; "all"
	// means every column. The field "file" is the path of the list, or empty.
	columns []string
	file    string
	list    recipients.Options
	output  string
}

// resultFormats are the values of --format.
var resultFormats = []string{"csv", "jsonl", formatXLSX}

func newResults(a *app) *cobra.Command {
	l := &resultsCommand{app: a}
	var c *cobra.Command
	c = &cobra.Command{
		Use:   "results ID",
		Short: "Print the outcome of every recipient",
		Long: `Results prints one row for every uploaded recipient, skipped ones included, in
the order of the upload. Memory use does not grow with the number of rows.

To continue an interrupted output, use --after with the number of its last row.
Then results prints only the rows after that row, without the header, so that
you can append them to the output.

--columns adds columns of the list to each row. Tuma keeps only the columns that
the text uses. To get other columns, use --file to pass the file that was sent.
Results then checks that the file has the same numbers as the campaign, and also
adds the line number in the file.

The column "row" counts recipients from 1. It is the line of the file only if
the file has neither a header nor blank lines.

--output results.xlsx writes a workbook, with numbers as text. A sheet has at
most 1,048,576 rows.

In CSV output a field that a spreadsheet would run as a formula starts with a
quote (').`,
		Example: `  tuma results sale-2025-11 > results.csv
  tuma results sale-2025-11 --after 412000 >> results.csv
  tuma results sale-2025-11 --status rejected,unknown
  tuma results sale-2025-11 --columns all --file customers.csv -o results.xlsx
  tuma results sale-2025-11 --format jsonl | jq -r .msisdn`,
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			if err := l.checkFlags(c); err != nil {
				return err
			}
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error { return l.print(ctx, b, id) })
		}),
	}
	c.Flags().StringSliceVar(&l.statuses, "status", nil, "only recipients with one of these `statuses`, separated by commas: pending, accepted, delivered, undelivered, rejected, unknown, skipped")
	c.Flags().StringVar(&l.format, "format", "csv", "output `format`: csv, jsonl or xlsx")
	c.Flags().IntVar(&l.after, "after", 0, "only rows after this `row`, without the header")
	l.columnFlags(c)
	words := []string{"pending", "accepted", "delivered", "undelivered", "rejected", "unknown", "skipped"}
	_ = c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(resultFormats, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// print writes the results to standard output or to the file of --output.
func (l *resultsCommand) print(ctx context.Context, b *backend, id string) (err error) {
	u, err := l.openColumns(ctx, b, id)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, u.close()) }()
	file, err := newOutputFile("--output", l.output)
	if err != nil {
		return err
	}
	to := l.out
	if file != nil {
		to = file
	}
	results := b.ResultsAfter(ctx, id, l.after, l.statuses...)
	if l.format == formatXLSX {
		err = l.printWorkbook(ctx, b, id, to, u, results)
	} else {
		err = l.printText(ctx, id, to, u, results)
	}
	return errors.Join(err, file.close(err == nil))
}

// printWorkbook writes the results as a workbook, which is complete or not written at all.
func (l *resultsCommand) printWorkbook(ctx context.Context, b *backend, id string, to io.Writer, u *uploaded, results iter.Seq2[producer.Result, error]) error {
	if len(l.statuses) == 0 {
		st, err := b.Status(ctx, id)
		if err != nil {
			return err
		}
		if st.Total-l.after >= xlsx.MaxRows {
			return misuse("--format xlsx: a sheet has at most %s rows with its header, but there are %s recipients: use --format csv, or select some with --status or --after",
				console.FormatInt(xlsx.MaxRows), console.FormatInt(st.Total-l.after))
		}
	}
	book, err := xlsx.NewWriter(to)
	if err != nil {
		return err
	}
	err = writeWorkbook(book, u, results)
	return errors.Join(err, book.Close(err == nil))
}

// printText writes the results as CSV or JSON lines. If the output is interrupted, its error names
// the command that prints the remaining rows.
func (l *resultsCommand) printText(ctx context.Context, id string, to io.Writer, u *uploaded, results iter.Seq2[producer.Result, error]) error {
	out := &rowBuffer{to: to}
	var err error
	if l.format == "csv" {
		err = writeResultsCSV(out, u, results, l.after == 0)
	} else {
		err = writeResultsJSON(out, u, results)
	}
	ended := out.flush()
	var broken *ledger.Unreadable
	if err == nil || ended != nil || errors.As(err, &broken) {
		return errors.Join(err, ended)
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if out.flushedRow > 0 && l.output == "" { // with --output the command cannot be continued, because the incomplete file is removed
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
	for _, x := range []struct{ flag, value string }{{"columns", strings.Join(l.columns, ",")}, {"file", l.file}, {"column", l.list.Column},
		{"sheet", l.list.Sheet}, {"encoding", l.list.Encoding}} {
		if x.value != "" {
			text += " --" + x.flag + " " + shellWord(x.value)
		}
	}
	return text
}

// shellWord quotes a text for a shell, if that is needed.
func shellWord(text string) string {
	plain := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("-_./,:@+", r)
	}
	if strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// rowBuffer writes rows in large pieces. Each piece ends with a complete row, so that an
// interrupted output also ends with a complete row.
type rowBuffer struct {
	to  io.Writer
	buf bytes.Buffer
	// bufferedRow is the number of the last row in buf. flushedRow is the number of the last row
	// that was written.
	bufferedRow, flushedRow int
}

// flushSize is the minimum size of a piece in bytes, so that few system calls are made.
const flushSize = 64 << 10

// The method "row" records that buf ends with the complete row n, and writes buf if it is large enough.
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

// writeResultsCSV writes the rows to w. If withHeader is true, it first writes the header. The
// caller flushes w.
func writeResultsCSV(w *rowBuffer, u *uploaded, results iter.Seq2[producer.Result, error], withHeader bool) error {
	out := console.NewCSVSheet(&w.buf)
	// The header is written with the first row: if the campaign does not exist, no header is
	// printed.
	head := func() error {
		if !withHeader {
			return nil
		}
		withHeader = false
		return out.Row(u.header()...)
	}
	for r, err := range results {
		if err == nil {
			err = head()
		}
		if err != nil {
			return err
		}
		cells, err := u.row(r)
		if err == nil {
			err = out.Row(cells...)
		}
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

// writeResultsJSON writes one JSON object on each line to w. The caller flushes w.
func writeResultsJSON(w *rowBuffer, u *uploaded, results iter.Seq2[producer.Result, error]) error {
	e := json.NewEncoder(&w.buf)
	e.SetEscapeHTML(false)
	for r, err := range results {
		if err != nil {
			return err
		}
		object, err := u.object(r)
		if err == nil {
			err = e.Encode(object)
		}
		if err != nil {
			return err
		}
		if err := w.row(r.Row); err != nil {
			return err
		}
	}
	return nil
}
