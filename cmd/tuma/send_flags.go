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

// flags are those of `tuma send`.
func (s *sendCommand) flags(c *cobra.Command, f *pflag.FlagSet) {
	f.StringVar(&s.campaign.ID, "id", "", "campaign ID, A-Z a-z 0-9 . _ : - (default: derived from the content)")
	f.StringVar(&s.campaign.Via, "via", "", "account to send through (default: by the workers' routes)")
	f.StringVar(&s.campaign.From, "from", "", "sender ID (default: the account's)")
	f.StringVar(&s.campaign.Body, "body", "", "the text; {{name}} or {{name|there}} is filled in from the recipient's column of that name")
	f.StringVar(&s.campaign.OnMissing, "on-missing", "",
		"fail, skip or default: refuse the file, leave the recipient out, or leave the field empty, where a {{field}} without a default is blank (default fail)")
	f.StringVarP(&s.file, "file", "f", "", "recipients; - or nothing reads standard input")
	f.StringVar((*string)(&s.list.Format), "format", "", "of the recipients: csv, xlsx, jsonl or plain (default: found out)")
	f.StringVar(&s.list.Encoding, "encoding", "", "of the recipients: utf-8, utf-16le, utf-16be or windows-1252 (default: found out)")
	f.StringVar(&s.list.Sheet, "sheet", "", "sheet of a workbook (default: the first)")
	f.StringVar(&s.list.Column, "column", "", "name of the column of numbers, if it is none of the usual ones")
	f.StringVar(&s.campaign.Country, "country", "", "country of numbers in national form, such as KE (default: the workers')")
	f.StringVar(&s.class, "class", "", "marketing or transactional (default marketing)")
	f.StringVar(&s.startAt, "start-at", "", "when to begin, RFC 3339: 2025-12-01T08:00:00+03:00")
	f.StringVar(&s.expireAt, "expires-at", "", "when to give up what has not been sent, RFC 3339")
	f.StringVar(&s.expireIn, "expires-in", "", "the same from now (or --start-at) on: 90m, 12h, 2d")
	f.StringVar(&s.campaign.OnUnknown, "on-unknown", "",
		"keep a message whose outcome is unknown, or resend it once, which may send it twice; a gateway with keys needs neither (default: the account's)")
	f.IntVar(&s.campaign.MaxMessages, "max-messages", 0, "send to no more than so many recipients; 0: all")
	f.IntVar(&s.campaign.MaxSegments, "max-segments", 0, "send no more than so many segments, all messages together; 0: all")
	s.safetyFlags(f)
	_ = c.MarkFlagRequired("body") // the flag is there
	_ = c.MarkFlagFilename("file")
	_ = c.MarkFlagFilename("skipped-file")
	_ = c.RegisterFlagCompletionFunc("via", s.completeAccounts)
	_ = c.RegisterFlagCompletionFunc("on-unknown",
		cobra.FixedCompletions([]string{producer.OnUnknownKeep, producer.OnUnknownResend}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("on-missing",
		cobra.FixedCompletions([]string{producer.OnMissingFail, producer.OnMissingSkip, producer.OnMissingDefault}, cobra.ShellCompDirectiveNoFileComp))
	formats := []string{string(recipients.CSV), string(recipients.XLSX), string(recipients.JSONL), string(recipients.Plain)}
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("encoding", cobra.FixedCompletions(recipients.Encodings, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("class", cobra.FixedCompletions([]string{"marketing", "transactional"}, cobra.ShellCompDirectiveNoFileComp))
}

// careFlags are what can be done before, or instead of, sending to all.
func (s *sendCommand) safetyFlags(f *pflag.FlagSet) {
	f.StringVar(&s.testNumber, "test", "", "send to this number first, show what came of it, and ask before anything else is sent")
	f.BoolVar(&s.yes, "yes", false, "after --test do not ask: go on if the test was accepted")
	f.IntVar(&s.campaign.Canary, "canary", 0, "send to so many first, and to the others when these have ended and not too many were rejected")
	f.StringVar(&s.maxRejected, "max-rejected", "",
		fmt.Sprintf("pause if more than so many percent were rejected or are unknown (default: %d with --canary, else any)", producer.DefaultMaxRejected))
	f.BoolVar(&s.campaign.RequireCredit, "require-credit", false,
		"refuse, with status 2, what the account's balance may not cover (default: warn)")
	f.BoolVar(&s.campaign.Flash, "flash", false, "show the message at once and do not store it; not every gateway can")
	f.BoolVar(&s.campaign.Transliterate, "transliterate", false,
		"write curly quotes, dashes, ₦ and such in GSM-7, where that keeps a message from being UCS-2; letters and emoji stay")
	f.BoolVar(&s.again, "again", false, "send although the same has been sent before")
	f.BoolVar(&s.dryRunOnly, "dry-run", false, "plan everything and enqueue nothing: counts, calls, cost, time, samples")
	f.StringVar(&s.skippedFile, "skipped-file", "", "with --dry-run: write the skipped recipients and the reasons to this new file (CSV); replaces --rejects, which is deprecated")
	f.String("rejects", "", "deprecated name of --skipped-file")
	_ = f.MarkHidden("rejects") // the flag is there
	f.BoolVar(&s.wait, "wait", false, "wait until the campaign has ended; status 3 if not all were accepted")
	f.BoolVar(&s.json, "json", false, "print JSON")
}

// parseMoment reads the value of a flag that is a time; empty is the zero time.
func parseMoment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, misuse("%s: %.40q is no time; write it like 2025-12-01T08:00:00+03:00", flag, text)
	}
	return t, nil
}

// parse reads the flags that are more than text, and reports all mistakes in them.
func (s *sendCommand) parse() error {
	var mistakes []error
	moment := func(flag, text string) time.Time {
		t, err := parseMoment(flag, text)
		if err != nil {
			mistakes = append(mistakes, err)
		}
		return t
	}
	c := &s.campaign
	c.StartAt, c.ExpiresAt = moment("--start-at", s.startAt), moment("--expires-at", s.expireAt)
	if s.expireIn != "" {
		d, err := parseDuration(s.expireIn)
		if err != nil || d <= 0 {
			mistakes = append(mistakes, misuse("--expires-in: %.40q is no span of time; write it like 90m, 12h or 2d", s.expireIn))
		}
		c.ExpiresIn = d
	}
	if s.again && c.ID != "" {
		mistakes = append(mistakes, misuse("--again: to send again under an ID of your own, give another --id"))
	}
	if s.dryRunOnly && s.testNumber != "" {
		mistakes = append(mistakes, misuse("--test: a --dry-run sends nothing"))
	}
	if s.yes && s.testNumber == "" {
		mistakes = append(mistakes, misuse("--yes: nothing is asked without --test"))
	}
	if s.dryRunOnly && s.wait {
		mistakes = append(mistakes, misuse("--wait: a --dry-run enqueues nothing to wait for"))
	}
	if s.skippedFile != "" && !s.dryRunOnly {
		mistakes = append(mistakes, misuse("--skipped-file requires --dry-run; of a campaign that was sent, tuma results ID --status skipped tells"))
	}
	c.Class = producer.Class(s.class)
	if c.Country = strings.ToUpper(c.Country); c.Country != "" && !sms.ValidCountry(c.Country) {
		mistakes = append(mistakes, misuse("--country: %.40q is no country; take an ISO code such as KE", c.Country))
	}
	if len(mistakes) > 0 {
		return misuseError{err: errors.Join(mistakes...)}
	}
	return nil
}
