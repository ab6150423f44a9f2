package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// sendCommand is one run of `tuma send`, with its flags.
type sendCommand struct {
	*app
	campaign   producer.Campaign
	file       string
	list       recipients.Options
	times      sendTimes
	class      string
	again      bool
	testNumber string
	yes        bool
	noted      bool // noted is true once the notes on the list were printed.
	// maxRejected is the value of --max-rejected: a percentage, with or without a % sign.
	maxRejected string
	// idDerived is true if the campaign's ID is derived from its content.
	idDerived   bool
	dryRunOnly  bool
	skippedFile string
	// skippedColumns has the names of the columns of the list that are also written to skippedFile;
	// "all" means every column.
	skippedColumns []string
	wait           bool
	json           bool
}

func newSend(a *app) *cobra.Command {
	s := &sendCommand{app: a}
	c := &cobra.Command{
		Use:   "send --body TEXT [--via ACCOUNT] [--file FILE]",
		Short: "Enqueue a campaign: a text to many recipients",
		Long: `Send enqueues a campaign and prints its ID. Workers plan and send it.

Recipients: a CSV file or an Excel workbook (.xlsx) whose header names a column
of numbers (` + recipients.NumberColumns + `, in any
case); or JSON objects, one per line, with such a field; or one number per line.
Format, column separator and encoding are detected. In a workbook the first
visible sheet is read: phone numbers in full, other cells as the sheet shows
them. Numbers may be written in any usual form. Invalid and duplicate numbers
are skipped; 'tuma results' lists them. If one number has two different texts,
such as two invoices of one household, '--duplicates each' sends both texts.

Text: {{name}} is replaced by the recipient's value in the column "name". The
default in {{name|there}} is used if that value is blank. Filters change a
value, as in {{name:first:title|there}}: upper, lower, title, first, trim,
max:20, number and date. Write {{{{ for two literal braces. An unknown column,
or a blank value without a default, is refused before anything is sent (see
--on-missing). Recipients with the same text share calls.

Campaign ID: each ID stands for one content. Sending the same ID and content
again changes nothing; the same ID with other content is refused. Without --id
the ID is derived from the content, so running the same command twice sends
once. With --again the same content is sent again.

Dry run: --dry-run plans the campaign and sends nothing. It prints the skipped
recipients by reason, calls, segments, cost, balance, the expected end and
sample messages. A dry run needs only the configuration. Without Redis it also
lists what it could not find out.

Times: --start-at and --expires-at take a time as people write it: 'tomorrow
08:00', '2026-11-29 08:00', 'monday 8pm', 08:00 (the next time that the clock
shows it), 'in 2h', 'now', or RFC 3339. --zone sets their time zone. Without
--zone it is the zone of --country or default_country if that country has only
one zone, or else the zone of this machine. The command shows how it has
understood these times. A worker must be running when the campaign starts.

Confirmation: on a terminal the command shows recipients, segments, cost,
account, sender and start, and asks before it enqueues. --yes and --json skip
the question, and so does a program that runs the command without a terminal.

Before a large campaign: --test sends the message to one number first, prints
the gateway's answer and asks whether to continue. --canary N sends to the first
N recipients. If at most --max-rejected percent of them were rejected or are
unknown, the campaign continues; otherwise it is paused until 'tuma resume'.
--max-rejected also pauses the campaign later, once ` + strconv.Itoa(producer.ThresholdSample) + ` messages have ended.
None of these flags changes the derived ID: the same list and text are sent
once, with or without them.`,
		Example: `  tuma send --via kobo --from ACME --body 'We open at 9.' --file customers.csv
  tuma send --id sale-2025 --via kobo --body 'Half price.' --file a.csv --wait
  tuma send --via kobo --body 'Habari {{name:first|there}}!' --file a.csv
  echo 254712345678 | tuma send --via kobo --body 'Your code is 1234' \
    --class transactional
  tuma send --via kobo --body 'Hello' --file a.csv --dry-run \
    --skipped-file skipped.csv
  tuma send --via kobo --body 'Half price.' --file a.csv --test 0712345678 \
    --canary 50 --max-rejected 5`,
		Args: func(c *cobra.Command, args []string) error {
			if err := takes()(c, args); err != nil {
				return err
			}
			if !c.Flags().Changed("body") {
				return misuseOf(c, "--body is required: the text of the message")
			}
			return nil
		},
	}
	f := c.Flags()
	c.RunE = a.verb(func(ctx context.Context, _ []string) error {
		if err := s.resolveSkippedFile(f); err != nil {
			return err
		}
		if err := s.validateSafetyFlags(f); err != nil {
			return err
		}
		return s.run(ctx)
	})
	s.flags(c, f)
	return c
}

// run opens the recipients and enqueues the campaign, or makes a dry run.
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
	return s.withBackend(ctx, func(b *backend) error {
		if err := refuseUnwritable(ctx, b); err != nil {
			return err
		}
		if err := refuseEviction(ctx, b); err != nil {
			return err
		}
		return s.enqueue(ctx, b, src)
	})
}

// enqueue sends the test message if there is one, and asks for confirmation on a terminal. Then it
// enqueues the campaign and prints the receipt.
func (s *sendCommand) enqueue(ctx context.Context, b *backend, src *source) error {
	s.idDerived, s.campaign.CreatedBy = s.campaign.ID == "", createdBy()
	countries, err := s.countries(ctx, b)
	if err != nil {
		return err
	}
	if err := s.scanRecipients(src, countries); err != nil {
		return src.locateMissingField(err)
	}
	if s.idDerived && !s.again {
		if err := s.times.findMissed(ctx, b, src, &s.campaign); err != nil {
			return err
		}
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
	if err := s.confirm(ctx, b, src, countries); err != nil {
		return err
	}
	otherTexts, notes := 0, []string(nil)
	s.campaign.NotesAtEnd = func() []string {
		notes = storedNotes(listNotes(src.list, s.campaign.Body), textNotes(s.campaign))
		return notes
	}
	ctx, traced, err := traceEnqueue(ctx, s.app, b.cfg)
	if err != nil {
		return err
	}
	receipt, err := b.Enqueue(ctx, s.campaign, producer.CountOtherTexts(s.campaign, cmp.Or(countries...), hoursNotice.recordCountries(src.all()), &otherTexts))
	traced(receipt.Total, receipt.Again, err)
	if err != nil {
		return src.locateMissingField(err)
	}
	s.noteEnqueued(receipt, src, otherTexts, resending)
	if !receipt.Again {
		recordEnqueue(ctx, s.app, b, receipt)
		s.noteSendingHours(hoursNotice)
	}
	if s.wait {
		return s.waitUntilEnded(ctx, b, receipt)
	}
	if s.json {
		return console.WriteJSON(s.out, struct {
			producer.Receipt
			OtherText int      `json:"duplicates_other_text,omitempty"`
			Notes     []string `json:"notes"`
		}{receipt, otherTexts, append([]string{}, notes...)})
	}
	_, err = fmt.Fprintln(s.out, receipt.ID)
	return err
}

// locateMissingField adds the file and the lines to an error about blank merge fields. Such an
// error may be joined to errors about other mistakes of the file. locateMissingField returns other
// errors unchanged.
func (s *source) locateMissingField(err error) error {
	missing, ok := errors.AsType[*producer.MissingError](err)
	if !ok {
		return err
	}
	if list, ok := errors.AsType[*recipients.Error](err); ok {
		return misuseError{err: errors.Join(list, missingFieldError(s, missing))}
	}
	return missingFieldError(s, missing)
}

// resendingAccounts returns the accounts at which a recipient with an unknown outcome may get the
// message twice. At these accounts on_unknown is "resend", and the gateway has no idempotency keys.
func (s *sendCommand) resendingAccounts(ctx context.Context, b *backend) (where []string, err error) {
	accounts, err := b.accountsFor(ctx, s.campaign.Via)
	if err != nil {
		return nil, err
	}
	for _, acc := range accounts {
		if acc.Info.KeyTTL == 0 && cmp.Or(s.campaign.OnUnknown, acc.OnUnknown) == producer.OnUnknownResend {
			where = append(where, acc.Name)
		}
	}
	return where, nil
}

// waitUntilEnded waits until the campaign has ended or is paused, and prints its status. It returns
// errNotAll if not all recipients were accepted.
func (s *sendCommand) waitUntilEnded(ctx context.Context, b *backend, r producer.Receipt) error {
	st, err := s.follow(ctx, b.Client, r.ID, func(st producer.Status) bool { return st.Ended() || st.State == producer.Paused })
	if err != nil {
		return err
	}
	if s.json {
		err = console.WriteJSON(s.out, struct {
			producer.Status
			Again bool `json:"again"`
		}{st, r.Again})
	} else {
		err = printStatus(s.out, s.screen(), st, s.now())
	}
	if err == nil && !allAccepted(st) {
		return errNotAll
	}
	return err
}

// allAccepted reports whether a gateway has accepted every message. A skipped duplicate
// counts as accepted if an earlier recipient with the same number gets the same text.
func allAccepted(st producer.Status) bool {
	return st.Ended() && st.Accepted+st.Delivered+st.Undelivered+st.Reasons["duplicate"]-st.OtherText >= st.Total
}

// countries returns the countries whose national numbers the list may hold. With --country it
// returns only that country. Otherwise it returns the countries of the accounts that the campaign
// may use.
func (s *sendCommand) countries(ctx context.Context, b *backend) ([]string, error) {
	if s.campaign.Country != "" {
		return []string{s.campaign.Country}, nil
	}
	accounts, err := b.accountsFor(ctx, s.campaign.Via)
	if err != nil {
		return nil, err
	}
	var all []string
	for _, acc := range accounts {
		all = append(all, acc.Country)
	}
	if len(all) == 0 {
		all = append(all, b.cfg.Country)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// scanRecipients reads the recipients before anything is enqueued. If the campaign has no ID, it
// reads the whole list and derives the ID from the content. Otherwise it stops at the first valid
// number. It returns an error if no number is valid.
func (s *sendCommand) scanRecipients(src *source, countries []string) error {
	var good, rows int
	first := ""
	inspect := func(yield func(producer.Recipient, error) bool) {
		for r, err := range src.all() {
			if err == nil && good == 0 {
				rows++
				if bad := numberProblem(r.Number, countries); bad == nil {
					good++
				} else if first == "" {
					first = bad.Explain(shownInput(r.Number)) + " (" + src.list.Where() + ")"
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
	if good == 0 && first != "" {
		return misuse("%s: none of %s is valid; the first error: %s%s", src.name, console.Plural(rows, "number"), first, s.countryHint(countries))
	}
	return nil
}

// deriveID reads all recipients and sets the campaign's ID, if the campaign has no ID. If the
// campaign has an ID, deriveID reads recipients only until *good, the count of valid numbers, is
// above 0.
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

// countryHint returns the end of a message about an invalid number: it names the countries whose
// national numbers are accepted.
func (s *sendCommand) countryHint(countries []string) string {
	if known := strings.Trim(strings.Join(countries, " "), " "); known != "" {
		return "; national numbers were read as numbers of " + strings.Join(strings.Fields(known), ", ")
	}
	return "; for numbers in national form set --country"
}

// numberProblem returns why a number is invalid in all of the countries, or nil if the number is
// valid in one of them.
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
