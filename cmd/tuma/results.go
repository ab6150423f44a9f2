package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"strconv"

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
	out := newSheet(w)
	headed := false
	// Not before the campaign is known to be there.
	head := func() error {
		if headed {
			return nil
		}
		headed = true
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
			r.Code, strconv.Itoa(r.Segments), r.Cost, r.Currency, stamp(r.UpdatedAt), r.Input)
		if err != nil {
			return err
		}
	}
	if err := head(); err != nil {
		return err
	}
	return out.flush()
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
