package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// sending is one `tuma send`.
type sending struct {
	*app
	campaign producer.Campaign
	file     string
	list     recipients.Options
	startAt  string
	expireAt string
	expireIn string
	class    string
	again    bool
	test     string
	yes      bool
	// derived: the campaign's ID is that of its content.
	derived bool
	dryRun  bool
	wait    bool
	json    bool
}

func newSend(a *app) *cobra.Command {
	s := &sending{app: a}
	c := &cobra.Command{
		Use:   "send --body TEXT [--via ACCOUNT] [--file FILE]",
		Short: "Enqueue a campaign: one text to many recipients",
		Long: `Send enqueues a campaign and prints its ID. Workers plan and send it.

Recipients are a CSV or an Excel workbook (.xlsx) with a header that names a column
of numbers (` + recipients.NumberColumns + `, in any case), JSON
objects, one a line, with such a member, or one bare number a line. What separates
the columns, and how letters are encoded, is found out. Of a workbook the first
sheet is read, numbers in full and dates as 2025-11-30.
Numbers are taken as people write them. Invalid and repeated ones are left out,
each counted and listed by tuma results.

The text may have merge fields: {{name}} stands for what the recipient has in the
column "name", {{name|there}} for "there" if that is blank; {{name:first:title|there}}
is changed by filters: upper, lower, title, first, trim, max:20. Four braces, {{{{,
are two of the text. A column that is not there, or a blank without a default, is
refused before anything is sent; see --on-missing. Recipients of the same text share a call.

An ID stands for one content, for ever: the same ID and content again changes
nothing, the same ID with other content is refused. Without --id it is derived
from the content, so that pressing Enter twice sends once; --again sends it again.

Before a large campaign: --test sends the message to one number first, waits for
what the gateway says and asks; --canary sends to the first so many recipients and
goes on by itself if not more than --max-rejected percent of them were rejected or
are unknown, and is paused otherwise; tuma resume lets it go on all the same. With
--max-rejected a campaign is paused later, too, once ` + strconv.Itoa(producer.LimitSample) + ` messages have ended.
None of these makes it another campaign: without an ID of your own, the same list
and text are sent once, with them or without.`,
		Example: `  tuma send --via kobo-main --from ACME --body 'We open at 9.' --file customers.csv
  tuma send --id sale-2025-11 --via kobo-main --body 'Half price today.' --file customers.csv --wait
  tuma send --via kobo-main --body 'Habari {{name:first|there}}, {{points}} points are yours.' --file customers.csv
  echo 254712345678 | tuma send --via kobo-main --body 'Your code is 1234' --class transactional
  tuma send --via kobo-main --body 'Hello' --file customers.csv --country KE --dry-run
  tuma send --via kobo-main --body 'Half price today.' --file customers.csv --test 0712345678 --canary 50 --max-rejected 5`,
		Args: takes(),
	}
	f := c.Flags()
	c.RunE = a.verb(func(ctx context.Context, _ []string) error {
		// What is empty by mistake must not mean that nothing is tried first, or nothing stops it.
		if f.Changed("test") && strings.TrimSpace(s.test) == "" {
			return misuse("--test: it is empty; give the number to send to first")
		}
		if f.Changed("max-rejected") && s.campaign.MaxRejected == 0 {
			return misuse("--max-rejected: it is in percent, above 0 and at most 100")
		}
		return s.run(ctx)
	})
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
	f.StringVar(&s.test, "test", "", "send to this number first, show what came of it, and ask before anything else is sent")
	f.BoolVar(&s.yes, "yes", false, "after --test do not ask: go on if the test was accepted")
	f.IntVar(&s.campaign.Canary, "canary", 0, "send to so many first, and to the others when these have ended and not too many were rejected")
	f.Float64Var(&s.campaign.MaxRejected, "max-rejected", 0,
		fmt.Sprintf("pause if more than so many percent were rejected or are unknown (default: %d with --canary, else any)", producer.DefaultMaxRejected))
	f.BoolVar(&s.campaign.RequireCredit, "require-credit", false,
		"refuse, with status 2, what the account's balance may not cover (default: warn)")
	f.BoolVar(&s.campaign.Flash, "flash", false, "show the message at once and do not store it; not every gateway can")
	f.BoolVar(&s.campaign.Transliterate, "transliterate", false,
		"write curly quotes, dashes, ₦ and such in GSM-7, where that keeps a message from being UCS-2; letters and emoji stay")
	f.BoolVar(&s.again, "again", false, "send although the same has been sent before")
	f.BoolVar(&s.dryRun, "dry-run", false, "only read and count; nothing is enqueued")
	f.BoolVar(&s.wait, "wait", false, "wait until the campaign has ended; status 3 if not all were accepted")
	f.BoolVar(&s.json, "json", false, "print JSON")
	_ = c.MarkFlagRequired("body") // the flag is there
	_ = c.MarkFlagFilename("file")
	_ = c.RegisterFlagCompletionFunc("via", a.completeAccounts)
	_ = c.RegisterFlagCompletionFunc("on-unknown",
		cobra.FixedCompletions([]string{producer.OnUnknownKeep, producer.OnUnknownResend}, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("on-missing",
		cobra.FixedCompletions([]string{producer.OnMissingFail, producer.OnMissingSkip, producer.OnMissingDefault}, cobra.ShellCompDirectiveNoFileComp))
	formats := []string{string(recipients.CSV), string(recipients.XLSX), string(recipients.JSONL), string(recipients.Plain)}
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("encoding", cobra.FixedCompletions(recipients.Encodings, cobra.ShellCompDirectiveNoFileComp))
	_ = c.RegisterFlagCompletionFunc("class", cobra.FixedCompletions([]string{"marketing", "transactional"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (s *sending) run(ctx context.Context) (err error) {
	if err := s.parse(); err != nil {
		return err
	}
	fields, err := producer.Fields(s.campaign.Body)
	if err != nil {
		return err
	}
	s.list.Fields = fields
	src, err := s.openSource(s.file, s.list)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if s.dryRun {
		return s.rehearse(ctx, src)
	}
	b, err := s.connect(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	if err := refuseUnwritable(ctx, b); err != nil {
		return err
	}
	if err := refuseEviction(ctx, b); err != nil {
		return err
	}
	return s.enqueue(ctx, b, src)
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
func (s *sending) parse() error {
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
	if s.dryRun && s.test != "" {
		mistakes = append(mistakes, misuse("--test: a --dry-run sends nothing"))
	}
	if s.yes && s.test == "" {
		mistakes = append(mistakes, misuse("--yes: nothing is asked without --test"))
	}
	if s.dryRun && s.wait {
		mistakes = append(mistakes, misuse("--wait: a --dry-run enqueues nothing to wait for"))
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

func (s *sending) enqueue(ctx context.Context, b *backend, src *source) error {
	s.derived = s.campaign.ID == ""
	countries, err := s.countries(ctx, b)
	if err != nil {
		return err
	}
	if err := s.survey(src, countries); err != nil {
		return err
	}
	if s.again {
		s.campaign.ID += "-" + strings.ReplaceAll(uuid.NewString(), "-", "")[:8]
	}
	twice, err := s.mayGoTwice(ctx, b)
	if err != nil {
		return err
	}
	night, err := s.curfew(ctx, b, countries)
	if err != nil {
		return err
	}
	if err := s.tryFirst(ctx, b, src, countries); err != nil {
		return err
	}
	receipt, err := b.Enqueue(ctx, s.campaign, night.note(src.all()))
	if missing, ok := errors.AsType[*producer.MissingError](err); ok {
		return missingField(src, missing.Field)
	}
	if err != nil {
		return err
	}
	s.announce(receipt)
	if !receipt.Again {
		s.warn(night)
		for _, line := range wording(s.campaign) {
			s.note("tuma: note: %s", line)
		}
	}
	for _, gap := range receipt.Credit {
		if gap.Problem == producer.CreditShort {
			s.note("tuma: warning: %s", gap.Warning)
		} else {
			s.note("tuma: note: %s", gap.Warning)
		}
	}
	if len(twice) > 0 && !receipt.Again {
		s.note("tuma: warning: on_unknown is resend: whoever's outcome cannot be known (account %s) is sent to once more, and may get the message twice",
			strings.Join(twice, ", "))
	}
	if s.wait {
		return s.await(ctx, b, receipt)
	}
	if s.json {
		return writeJSON(s.out, receipt)
	}
	_, err = fmt.Fprintln(s.out, receipt.ID)
	return err
}

// announce says on standard error what the enqueue came to.
func (s *sending) announce(r producer.Receipt) {
	switch {
	case r.Again && s.derived:
		s.note("tuma: already sent as %s (%s, %s); --again sends it again", r.ID, counted(r.Total, "recipient"), stamp(r.CreatedAt))
	case r.Again:
		s.note("tuma: %s is there already with the same content (%s, %s): nothing changed", r.ID, counted(r.Total, "recipient"), stamp(r.CreatedAt))
	case s.wait:
		s.note("tuma: enqueued %s as %s", counted(r.Total, "recipient"), r.ID)
	case s.campaign.StartAt.After(s.now()):
		s.note("tuma: enqueued %s, to begin at %s; watch it with: tuma status %s --watch",
			counted(r.Total, "recipient"), stamp(s.campaign.StartAt), r.ID)
	default:
		s.note("tuma: enqueued %s; watch it with: tuma status %s --watch", counted(r.Total, "recipient"), r.ID)
	}
}

// mayGoTwice names the accounts at which whose outcome is unknown is resent.
func (s *sending) mayGoTwice(ctx context.Context, b *backend) (where []string, err error) {
	accounts, err := b.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	for _, acc := range accounts {
		may := s.campaign.Via == "" || s.campaign.Via == acc.Name
		if may && acc.Info.KeyTTL == 0 && cmp.Or(s.campaign.OnUnknown, acc.OnUnknown) == producer.OnUnknownResend {
			where = append(where, acc.Name)
		}
	}
	return where, nil
}

// await waits until the campaign has ended or stands still by order.
func (s *sending) await(ctx context.Context, b *backend, r producer.Receipt) error {
	st, err := s.follow(ctx, b, r.ID, func(st producer.Status) bool { return st.Ended() || st.State == producer.Paused })
	if err != nil {
		return err
	}
	if s.json {
		err = writeJSON(s.out, struct {
			producer.Status
			Again bool `json:"again"`
		}{st, r.Again})
	} else {
		err = printStatus(s.out, st, s.now())
	}
	if err == nil && !allAccepted(st) {
		return errNotAll
	}
	return err
}

// allAccepted says whether every recipient's message has been taken by a gateway.
// A number that was in the list twice has got its message.
func allAccepted(st producer.Status) bool {
	return st.Ended() && st.Accepted+st.Delivered+st.Undelivered+st.Reasons["duplicate"] >= st.Total
}

// countries are those in whose national form a number may be meant: the one asked
// for, else those of the workers.
func (s *sending) countries(ctx context.Context, b *backend) ([]string, error) {
	if s.campaign.Country != "" {
		return []string{s.campaign.Country}, nil
	}
	accounts, err := b.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	all := []string{b.cfg.country}
	for _, acc := range accounts {
		if s.campaign.Via == "" || s.campaign.Via == acc.Name {
			all = append(all, acc.Country)
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// survey reads the recipients before anything is enqueued: to derive the campaign's
// ID if it has none, which takes the whole list, and to find out that not one
// number is good, which as a rule takes only the first.
func (s *sending) survey(src *source, countries []string) error {
	var good, rows int
	var first *sms.NumberError
	inspect := func(yield func(producer.Recipient, error) bool) {
		for r, err := range src.all() {
			if err == nil && good == 0 {
				rows++
				if bad := invalidIn(r.Number, countries); bad == nil {
					good++
				} else if first == nil {
					first = bad
				}
			}
			if !yield(r, err) {
				return
			}
		}
	}
	if err := s.deriveID(inspect, &good); err != nil {
		return err
	}
	if good == 0 && first != nil {
		return misuse("%s: none of its %s is valid; the first: %v%s", src.name, counted(rows, "number"), first, s.countryHint(countries))
	}
	return nil
}

// deriveID fills in the campaign's ID, or only reads until a number is good.
func (s *sending) deriveID(recipients iter.Seq2[producer.Recipient, error], good *int) error {
	if s.campaign.ID == "" {
		id, err := producer.ContentID(s.campaign, recipients)
		s.campaign.ID = id
		return err
	}
	for _, err := range recipients {
		if err != nil || *good > 0 {
			return err
		}
	}
	return nil
}

func (s *sending) countryHint(countries []string) string {
	if known := strings.Trim(strings.Join(countries, " "), " "); known != "" {
		return "; national numbers were read as those of " + strings.Join(strings.Fields(known), ", ")
	}
	return "; name the country of national numbers with --country"
}

// invalidIn says why a number is good in none of the countries.
func invalidIn(number string, countries []string) (why *sms.NumberError) {
	for _, country := range countries {
		_, err := sms.ParseMSISDN(number, country)
		if err == nil {
			return nil
		}
		errors.As(err, &why)
	}
	return why
}

// writeJSON writes one indented document.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
