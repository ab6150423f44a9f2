package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// flags adds the flags of `tuma send`.
func (s *sendCommand) flags(c *cobra.Command, f *pflag.FlagSet) {
	f.StringVar(&s.campaign.ID, "id", "", "campaign `ID`, up to 128 of A-Z a-z 0-9 . _ : - (default: derived from the content)")
	f.StringVar(&s.campaign.Via, "via", "", "`account` to send through (default: chosen by the workers' routes)")
	f.StringVar(&s.campaign.From, "from", "", "`sender` ID (default: the account's)")
	f.StringVar(&s.campaign.Body, "body", "", "`text` of the message; {{name}} or {{name|there}} is replaced by the recipient's value in the column \"name\"")
	f.StringVar(&s.campaign.OnMissing, "on-missing", "",
		"`action` for a blank {{field}} without a default: fail (refuse the file), skip (skip the recipient) or default (leave the field empty) (default: fail)")
	f.StringVar(&s.campaign.Duplicates, "duplicates", "",
		"`action` for a number that occurs again with another text: skip (skip the recipient) or each (send each different text); the same text is never sent twice to a number (default: skip)")
	f.StringVarP(&s.file, "file", "f", "", "`file` of recipients; - is standard input (default: standard input)")
	f.StringVar((*string)(&s.list.Format), "format", "", "`format` of the recipients: csv, xlsx, jsonl or plain (default: detected)")
	f.StringVar(&s.list.Encoding, "encoding", "", "`encoding` of the recipients: "+strings.Join(recipients.Encodings[:len(recipients.Encodings)-1], ", ")+" or "+recipients.Encodings[len(recipients.Encodings)-1]+" (default: detected)")
	f.StringVar(&s.list.Sheet, "sheet", "", "`name` of the sheet of a workbook (default: the first sheet)")
	f.StringVar(&s.list.Column, "column", "", "`name` of the column with the numbers, if it is not one of the usual names")
	f.StringVar(&s.list.RefColumn, "ref-column", "", "`name` of the column with your own references, up to 64 bytes each; 'tuma results', 'tuma events' and 'tuma find' show them")
	f.StringVar(&s.campaign.Country, "country", "", "`country` of numbers in national form, such as KE (default: the workers' default_country)")
	f.StringVar(&s.class, "class", "", "message `class`: marketing or transactional; sending hours apply only to marketing (default: marketing)")
	f.StringVar(&s.times.startAt, "start-at", "", "`time` to start sending, "+timeForms+" (default: now)")
	f.StringVar(&s.times.expireAt, "expires-at", "", "`time` after which recipients that have not got the message yet are skipped, written like --start-at (default: never)")
	f.StringVar(&s.times.zoneName, "zone", "", "time `zone` of --start-at and --expires-at, such as Africa/Nairobi (default: the zone of the country if the country has only one zone, else the zone of this machine)")
	f.StringVar(&s.times.expireIn, "expires-in", "", "like --expires-at, but as a `duration` after --start-at, or after now if --start-at is not set, e.g. 90m, 12h or 2d")
	f.StringVar(&s.campaign.OnUnknown, "on-unknown", "",
		"`action` for recipients with an unknown outcome: keep (do nothing) or resend (once; they may get the message twice); ignored at gateways with idempotency keys (default: on_unknown of the account)")
	f.IntVar(&s.campaign.MaxMessages, "max-messages", 0, "send to at most `N` recipients; 0: all")
	f.IntVar(&s.campaign.MaxSegments, "max-segments", 0, "send at most `N` segments, all messages together; 0: no limit")
	s.safetyFlags(f)
	_ = c.MarkFlagRequired("body") // This makes shell completion offer --body. The function Args reports a missing --body.
	_ = c.MarkFlagFilename("file")
	_ = c.MarkFlagFilename("skipped-file")
	_ = c.RegisterFlagCompletionFunc("via", s.completeAccounts)
	_ = c.RegisterFlagCompletionFunc("on-unknown",
		cobra.FixedCompletions([]string{producer.OnUnknownKeep, producer.OnUnknownResend}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("duplicates",
		cobra.FixedCompletions([]string{producer.DuplicatesSkip, producer.DuplicatesEach}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("on-missing",
		cobra.FixedCompletions([]string{producer.OnMissingFail, producer.OnMissingSkip, producer.OnMissingDefault}, cobra.ShellCompDirectiveNoFileComp))
	formats := []string{string(recipients.CSV), string(recipients.XLSX), string(recipients.JSONL), string(recipients.Plain)}
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("encoding", cobra.FixedCompletions(recipients.Encodings, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("class", cobra.FixedCompletions([]string{"marketing", "transactional"}, cobra.ShellCompDirectiveNoFileComp))
}

// safetyFlags adds the flags for tests, limits, dry runs and the output.
func (s *sendCommand) safetyFlags(f *pflag.FlagSet) {
	f.StringVar(&s.testNumber, "test", "", "send to this `number` first, print the outcome, and ask before sending to the recipients")
	f.BoolVarP(&s.yes, "yes", "y", false, "do not ask for confirmation; with --test: continue if the test was accepted")
	f.IntVar(&s.campaign.Canary, "canary", 0, "send to `N` recipients first, and to the others only if at most --max-rejected percent of the first N were rejected or are unknown")
	f.StringVar(&s.maxRejected, "max-rejected", "",
		fmt.Sprintf("pause if more than this `percent` of messages were rejected or are unknown (default: %d with --canary, else no limit)", producer.DefaultMaxRejected))
	f.BoolVar(&s.campaign.RequireCredit, "require-credit", false,
		"refuse the campaign, with exit status 2, if the account's balance might not cover it (default: warn)")
	f.BoolVar(&s.campaign.Flash, "flash", false, "flash message: shown at once and not stored on the phone; not every gateway supports it")
	f.BoolVar(&s.campaign.Transliterate, "transliterate", false,
		"replace curly quotes, dashes, ₦ and the like, if the message then fits GSM-7 instead of UCS-2; letters and emoji stay")
	f.BoolVar(&s.again, "again", false, "send although the same content has been sent before")
	f.BoolVar(&s.dryRunOnly, "dry-run", false, "plan the campaign and print counts, calls, cost, schedule and samples; enqueue nothing")
	f.StringVar(&s.skippedFile, "skipped-file", "", "with --dry-run: write the skipped recipients and the reasons to this new `file` (CSV, or a workbook if its name ends with .xlsx); replaces --rejects, which is deprecated")
	f.StringSliceVar(&s.skippedColumns, "columns", nil, "with --skipped-file: also write these `columns` of the list, separated by commas, or all")
	f.String("rejects", "", "deprecated name of --skipped-file")
	_ = f.MarkHidden("rejects") // This cannot fail, because the flag was added above.
	f.BoolVar(&s.campaign.StatusEvents, "status-events", false, "write events for changes of the recipients' statuses (tuma events)")
	f.BoolVar(&s.wait, "wait", false, "wait until the campaign has ended; exit status 3 if not all recipients were accepted")
	f.BoolVar(&s.json, "json", false, "print JSON")
}

// parseMoment parses the value of a flag as a time. For an empty text, it returns the zero time.
func parseMoment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, misuse("%s: %.40q must be a time, e.g. 2025-12-01T08:00:00+03:00", flag, text)
	}
	return t, nil
}

// parse parses flags and checks combinations of them. The returned error joins all mistakes.
func (s *sendCommand) parse() error {
	var mistakes []error
	c := &s.campaign
	if err := s.times.parse(s.app, c); err != nil {
		mistakes = append(mistakes, err)
	}
	if s.again && c.ID != "" {
		mistakes = append(mistakes, misuse("--again works only without --id: to send again, use another --id"))
	}
	if s.dryRunOnly && s.testNumber != "" {
		mistakes = append(mistakes, misuse("--test cannot be used with --dry-run, which sends nothing"))
	}
	if s.dryRunOnly && s.wait {
		mistakes = append(mistakes, misuse("--wait cannot be used with --dry-run, which enqueues nothing"))
	}
	if s.skippedFile != "" && !s.dryRunOnly {
		mistakes = append(mistakes, misuse("--skipped-file requires --dry-run; for a campaign that was sent, use tuma results ID --status skipped"))
	}
	if len(s.skippedColumns) > 0 && s.skippedFile == "" {
		mistakes = append(mistakes, misuse("--columns requires --skipped-file; for a campaign that was sent, use tuma results ID --columns"))
	}
	c.Class = producer.Class(s.class)
	if c.Country = strings.ToUpper(c.Country); c.Country != "" && !sms.ValidCountry(c.Country) {
		mistakes = append(mistakes, misuse("--country: unknown country %.40q: use a two-letter ISO code, such as KE", c.Country))
	}
	if len(mistakes) > 0 {
		return misuseError{err: errors.Join(mistakes...)}
	}
	return nil
}
