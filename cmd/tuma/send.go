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

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// sending is one `tuma send`.
type sendCommand struct {
	*app
	campaign   producer.Campaign
	file       string
	list       recipients.Options
	startAt    string
	expireAt   string
	expireIn   string
	class      string
	again      bool
	testNumber string
	yes        bool
	// maxRejected is a share in percent, as written.
	maxRejected string
	// derived: the campaign's ID is that of its content.
	idDerived   bool
	dryRunOnly  bool
	skippedFile string
	wait        bool
	json        bool
}

func newSend(a *app) *cobra.Command {
	s := &sendCommand{app: a}
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

With --dry-run everything is planned and nothing is sent: it prints who is left out
and why, calls, segments, cost and balance, when it would finish, and samples. The
configuration is enough for it; what it cannot know without Redis, it says.

Before a large campaign: --test sends the message to one number first, waits for
what the gateway says and asks; --canary sends to the first so many recipients and
goes on by itself if not more than --max-rejected percent of them were rejected or
are unknown, and is paused otherwise; tuma resume lets it go on all the same. With
--max-rejected a campaign is paused later, too, once ` + strconv.Itoa(producer.ThresholdSample) + ` messages have ended.
None of these makes it another campaign: without an ID of your own, the same list
and text are sent once, with them or without.`,
		Example: `  tuma send --via kobo-main --from ACME --body 'We open at 9.' --file customers.csv
  tuma send --id sale-2025-11 --via kobo-main --body 'Half price today.' --file customers.csv --wait
  tuma send --via kobo-main --body 'Habari {{name:first|there}}, {{points}} points are yours.' --file customers.csv
  echo 254712345678 | tuma send --via kobo-main --body 'Your code is 1234' --class transactional
  tuma send --via kobo-main --body 'Hello' --file customers.csv --country KE --dry-run --skipped-file skipped.csv
  tuma send --via kobo-main --body 'Half price today.' --file customers.csv --test 0712345678 --canary 50 --max-rejected 5`,
		Args: takes(),
	}
	f := c.Flags()
	c.RunE = a.verb(func(ctx context.Context, _ []string) error {
		if err := s.resolveSkippedFile(f); err != nil {
			return err
		}
		if err := s.validateSafetyFlags(c); err != nil {
			return err
		}
		return s.run(ctx)
	})
	s.flags(c, f)
	return c
}

func (s *sendCommand) run(ctx context.Context) (err error) {
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
	if s.dryRunOnly {
		return s.dryRun(ctx, src)
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

func (s *sendCommand) enqueue(ctx context.Context, b *backend, src *source) error {
	s.idDerived = s.campaign.ID == ""
	countries, err := s.countries(ctx, b)
	if err != nil {
		return err
	}
	if err := s.scanRecipients(src, countries); err != nil {
		return err
	}
	if s.again {
		s.campaign.ID += "-" + strings.ReplaceAll(uuid.NewString(), "-", "")[:8]
	}
	resending, err := s.resendingAccounts(ctx, b)
	if err != nil {
		return err
	}
	hoursNotice, err := s.newSendingHoursNotice(ctx, b, countries)
	if err != nil {
		return err
	}
	if err := s.sendTestFirst(ctx, b, src, countries); err != nil {
		return err
	}
	receipt, err := b.Enqueue(ctx, s.campaign, hoursNotice.recordCountries(src.all()))
	if err != nil {
		return src.locateMissingField(err)
	}
	s.noteReceipt(receipt)
	if !receipt.Again {
		if s.testNumber == "" { // else it was said before it asked
			s.noteHiddenRows(src)
		}
		s.noteSendingHours(hoursNotice)
		for _, line := range textNotes(s.campaign) {
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
	if len(resending) > 0 && !receipt.Again {
		s.note("tuma: warning: on_unknown is resend: whoever's outcome cannot be known (account %s) is sent to once more, and may get the message twice",
			strings.Join(resending, ", "))
	}
	if s.wait {
		return s.waitUntilEnded(ctx, b, receipt)
	}
	if s.json {
		return writeJSON(s.out, receipt)
	}
	_, err = fmt.Fprintln(s.out, receipt.ID)
	return err
}

// noteHidden says how many of the recipients that were read are hidden in their sheet.
func (s *sendCommand) noteHiddenRows(src *source) {
	if n := src.list.Hidden(); n > 0 {
		s.note("tuma: note: hidden in the sheet, and taken all the same: %s", plural(n, "row"))
	}
}

// blank says in which line a merge field has no value, if that is the error.
func (s *source) locateMissingField(err error) error {
	if missing, ok := errors.AsType[*producer.MissingError](err); ok {
		return missingFieldError(s, missing.Field)
	}
	return err
}

// announce says on standard error what the enqueue came to.
func (s *sendCommand) noteReceipt(r producer.Receipt) {
	switch {
	case r.Again && s.idDerived:
		s.note("tuma: already sent as %s (%s, %s); --again sends it again", r.ID, plural(r.Total, "recipient"), formatTime(r.CreatedAt))
	case r.Again:
		s.note("tuma: %s is there already with the same content (%s, %s): nothing changed", r.ID, plural(r.Total, "recipient"), formatTime(r.CreatedAt))
	case s.wait:
		s.note("tuma: enqueued %s as %s", plural(r.Total, "recipient"), r.ID)
	case s.campaign.StartAt.After(s.now()):
		s.note("tuma: enqueued %s, to begin at %s; watch it with: tuma status %s --watch",
			plural(r.Total, "recipient"), formatTime(s.campaign.StartAt), r.ID)
	default:
		s.note("tuma: enqueued %s; watch it with: tuma status %s --watch", plural(r.Total, "recipient"), r.ID)
	}
}

// mayGoTwice names the accounts at which whose outcome is unknown is resent.
func (s *sendCommand) resendingAccounts(ctx context.Context, b *backend) (where []string, err error) {
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
func (s *sendCommand) waitUntilEnded(ctx context.Context, b *backend, r producer.Receipt) error {
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
func (s *sendCommand) countries(ctx context.Context, b *backend) ([]string, error) {
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
func (s *sendCommand) scanRecipients(src *source, countries []string) error {
	var good, rows int
	var first *sms.NumberError
	inspect := func(yield func(producer.Recipient, error) bool) {
		for r, err := range src.all() {
			if err == nil && good == 0 {
				rows++
				if bad := numberProblem(r.Number, countries); bad == nil {
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
		return misuse("%s: none of its %s is valid; the first: %v%s", src.name, plural(rows, "number"), first, s.countryHint(countries))
	}
	return nil
}

// deriveID fills in the campaign's ID, or only reads until a number is good.
func (s *sendCommand) deriveID(recipients iter.Seq2[producer.Recipient, error], good *int) error {
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

func (s *sendCommand) countryHint(countries []string) string {
	if known := strings.Trim(strings.Join(countries, " "), " "); known != "" {
		return "; national numbers were read as those of " + strings.Join(strings.Fields(known), ", ")
	}
	return "; name the country of national numbers with --country"
}

// invalidIn says why a number is good in none of the countries.
func numberProblem(number string, countries []string) (why *sms.NumberError) {
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
