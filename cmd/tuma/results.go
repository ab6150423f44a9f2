package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/producer"
)

// resultHeader is fixed: scripts rely on it.
var resultHeader = []string{"row", "msisdn", "status", "reason", "account", "message_id", "message_uuid", "code",
	"segments", "cost", "currency", "updated_at", "input"}

func newResults(a *app) *cobra.Command {
	var statuses []string
	var format string
	c := &cobra.Command{
		Use:   "results ID",
		Short: "Print what became of every recipient",
		Long: `Results prints one row for every uploaded recipient, also for those left out, in
the order of the upload. It streams: a million rows need no memory.

In CSV a field that a spreadsheet would take for a formula begins with a quote (').`,
		Example: `  tuma results sale-2025-11 > results.csv
  tuma results sale-2025-11 --status rejected,unknown
  tuma results sale-2025-11 --format jsonl | jq -r 'select(.reason == "invalid_number") | .input'`,
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			write := writeResultsCSV
			switch format {
			case "csv":
			case "jsonl":
				write = writeResultsJSON
			default:
				return misuse("--format: %.40q must be csv or jsonl", format)
			}
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error {
				out := bufio.NewWriterSize(a.out, 64<<10)
				return errors.Join(write(out, b.Results(ctx, id, statuses...)), out.Flush())
			})
		}),
	}
	c.Flags().StringSliceVar(&statuses, "status", nil, "only these: pending, accepted, delivered, undelivered, rejected, unknown, skipped")
	c.Flags().StringVar(&format, "format", "csv", "csv or jsonl")
	words := []string{"pending", "accepted", "delivered", "undelivered", "rejected", "unknown", "skipped"}
	_ = c.RegisterFlagCompletionFunc("status", cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"csv", "jsonl"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func writeResultsCSV(w io.Writer, results iter.Seq2[producer.Result, error]) error {
	out := csv.NewWriter(w)
	headed := false
	// Not before the campaign is known to be there.
	head := func() error {
		if headed {
			return nil
		}
		headed = true
		return out.Write(resultHeader)
	}
	row := make([]string, len(resultHeader))
	for r, err := range results {
		if err == nil {
			err = head()
		}
		if err != nil {
			return err
		}
		row = append(row[:0], strconv.Itoa(r.Row), r.MSISDN, r.Status, r.Reason, r.Account, noFormula(r.MessageID), r.MessageUUID,
			noFormula(r.Code), strconv.Itoa(r.Segments), noFormula(r.Cost), noFormula(r.Currency), stamp(r.UpdatedAt), noFormula(r.Input))
		if err := out.Write(row); err != nil {
			return err
		}
	}
	if err := head(); err != nil {
		return err
	}
	out.Flush()
	return out.Error()
}

func writeResultsJSON(w io.Writer, results iter.Seq2[producer.Result, error]) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for r, err := range results {
		if err != nil {
			return err
		}
		if err := e.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// noFormula puts a quote before what a spreadsheet would run: what came from the
// list or from a gateway must not become =HYPERLINK(…) on somebody's desk. A
// number with its plus sign stays as it is, since without a letter there is
// nothing to call, and scripts compare it with their own.
func noFormula(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	switch first {
	case '=', '@', '\t', '\r', '\n', '\uFF1D', '\uFF20':
		return "'" + s
	case '+', '-', '\uFF0B', '\uFF0D':
		if strings.Trim(s[size:], "0123456789 ().-") != "" {
			return "'" + s
		}
	}
	return s
}
