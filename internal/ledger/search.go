package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// Search finds the messages to one number. It reads the uploaded pages of the campaigns, newest
// first, because an index by number would cost memory for every recipient. It is safe for
// concurrent use.
type Search struct {
	ledger *Ledger
	number sms.MSISDN
	// countries are the countries whose national numbers a campaign may hold, if the campaign names
	// no country and its planning has not started.
	countries []string
}

// NewSearch returns a search for a number. countries are the countries that workers may use as the
// default for numbers in national format.
func NewSearch(l *Ledger, number sms.MSISDN, countries []string) *Search {
	return &Search{ledger: l, number: number, countries: append([]string{}, countries...)}
}

// Searched is a campaign that a search has read.
type Searched struct {
	// Position is the campaign's place in the list of all campaigns.
	Position Position
	// Recipients is the number of recipients that were read.
	Recipients int
	CreatedAt  time.Time
	// Spec is the spec of a campaign in which recipients were found. For other campaigns it may be
	// empty.
	Spec campaign.Spec
	// Found are the recipients with the number, in the order of the upload. If there are more than
	// MaxFound, More is true, and the rest of the campaign is not read.
	Found []FoundRow
	More  bool
	// Unreadable is set if the search could not read the campaign. Found is then empty.
	Unreadable error
}

// FoundRow is a recipient with the number of the search.
type FoundRow struct {
	Row
	// Text is the recipient's message. If the recipient was not planned, Text is the message that
	// planning would render.
	Text string
	// page is the recipient's page, but without its list of recipients. values are the recipient's
	// values of the merge fields.
	page   campaign.Page
	values []string
}

// MaxFound is the maximum number of recipients of one campaign that a search returns. Each row of
// a campaign may have the same MSISDN. Without this limit, a search could return a whole campaign.
const MaxFound = 1000

// searchStep is how many campaigns a search reads in one round trip.
const searchStep = 50

// After yields every campaign after a position, newest first, with what the search has found in it.
// A campaign that is being uploaded is not read.
func (s *Search) After(ctx context.Context, from Position) iter.Seq2[Searched, error] {
	return func(yield func(Searched, error) bool) {
		var entries []IndexEntry
		flush := func() bool {
			next, err := s.heads(ctx, entries)
			if err != nil {
				yield(Searched{}, err)
				return false
			}
			for _, h := range next {
				found, err := s.read(ctx, h)
				if !yield(found, err) || err != nil {
					return false
				}
			}
			entries = entries[:0]
			return true
		}
		for e, err := range s.ledger.Index().NewestOfBoth(ctx, from) {
			if err != nil {
				yield(Searched{}, err)
				return
			}
			if entries = append(entries, e); len(entries) == searchStep && !flush() {
				return
			}
		}
		flush()
	}
}

// campaignHead is the part of a campaign that a search reads first, for many campaigns at once. For
// a campaign with one page, it is everything that the search needs.
type campaignHead struct {
	position Position
	fields   []any // format, pages, creation time, snapshot, sending hours, first page
	spec     string
}

// heads reads the beginnings of campaigns in one round trip. It omits campaigns that do not exist.
func (s *Search) heads(ctx context.Context, entries []IndexEntry) (heads []campaignHead, err error) {
	got := make([]someOf, len(entries))
	for i, e := range entries {
		got[i] = someOf{id: e.ID, names: []string{fieldFormat, fieldPages, fieldCreated, fieldSnapshot, fieldSendingHours, pageField(0)}}
	}
	if err := s.ledger.records.many(ctx, got, true); err != nil {
		return nil, fmt.Errorf("search campaigns: %w", err)
	}
	for i, e := range entries {
		if got[i].isRead() {
			heads = append(heads, campaignHead{position: Position{At: e.Since, ID: e.ID}, fields: got[i].values, spec: got[i].spec})
		}
	}
	return heads, nil
}

// read searches one campaign. If a record of the campaign cannot be read, the error is in
// Searched.Unreadable.
func (s *Search) read(ctx context.Context, h campaignHead) (Searched, error) {
	out := Searched{Position: h.position, CreatedAt: script.Milli(script.Text(h.fields[2]))}
	err := s.search(ctx, h, &out)
	if AsUnreadable(err) != nil || errors.Is(err, ErrNewer) || errors.Is(err, campaign.ErrRecord) {
		// A record of the campaign cannot be read, so the status of a found recipient may be wrong.
		out.Found, out.Unreadable, err = nil, err, nil
	}
	if errors.Is(err, ErrNotFound) {
		out.Found, err = nil, nil // the campaign was removed meanwhile
	}
	return out, err
}

func (s *Search) search(ctx context.Context, h campaignHead, out *Searched) error {
	id := h.position.ID
	if script.Int(h.fields[0]) > 1 {
		return fmt.Errorf("search %s: %w", id, ErrNewer)
	}
	// Decoding the spec and the snapshot takes longer than reading a campaign of one message. So both
	// are decoded only for a campaign that may have the number.
	var countries []string
	for page, err := range s.pages(ctx, h) {
		if err != nil {
			return err
		}
		if len(out.Found) == MaxFound {
			out.More = true
			break
		}
		out.Recipients += len(page.Inputs)
		for i, input := range page.Inputs {
			if !mayBe(input, s.number) {
				continue
			}
			if countries == nil {
				if countries, err = s.decode(h, out); err != nil {
					return err
				}
			}
			if isNumber(input, s.number, countries) {
				if len(out.Found) == MaxFound {
					out.More = true
					break
				}
				row := FoundRow{Row: Row{Row: page.First + i, Input: input, MSISDN: s.number}, page: campaign.Page{Number: page.Number, First: page.First}}
				if page.Values != nil {
					row.values = page.Values[i]
				}
				out.Found = append(out.Found, row)
			}
		}
	}
	if len(out.Found) == 0 {
		return nil
	}
	return s.results(ctx, out)
}

// decode decodes the spec of a campaign. It returns the countries to which the campaign's numbers in
// national format may belong. The list has at least one element.
func (s *Search) decode(h campaignHead, out *Searched) (countries []string, err error) {
	id := h.position.ID
	if out.Spec, err = decodeSpec([]byte(h.spec)); err != nil {
		return nil, unreadable(id, specRecord, h.spec, err)
	}
	if h.fields[3] != nil {
		snapshot, err := decodeSnapshot(script.Text(h.fields[3]), script.Text(h.fields[4]))
		return []string{snapshot.Country}, unreadable(id, fieldSnapshot, script.Text(h.fields[3]), err)
	}
	if out.Spec.Country != "" || len(s.countries) == 0 {
		return []string{out.Spec.Country}, nil
	}
	return s.countries, nil
}

// pages yields the pages of a campaign. The first page is already read.
func (s *Search) pages(ctx context.Context, h campaignHead) iter.Seq2[campaign.Page, error] {
	return func(yield func(campaign.Page, error) bool) {
		id, first := h.position.ID, script.Text(h.fields[5])
		inputs, values, err := decodeRows([]byte(first))
		if err != nil {
			yield(campaign.Page{}, unreadable(id, pageField(0), first, err))
			return
		}
		if !yield(campaign.Page{First: 1, Inputs: inputs, Values: values}, nil) {
			return
		}
		for page, err := range s.ledger.ReadPages(ctx, id, 1, script.Int(h.fields[1]), 1+len(inputs)) {
			if !yield(page, err) {
				return
			}
		}
	}
}

// isNumber reports whether "input", a number as uploaded, is the given number. The input may be in
// international format, or in the national format of one of the countries.
func isNumber(input string, number sms.MSISDN, countries []string) bool {
	return slices.ContainsFunc(append(countries[:len(countries):len(countries)], ""), func(country string) bool {
		m, err := sms.ParseMSISDN(input, country)
		return err == nil && m == number
	})
}

// checkedDigits is the number of digits, at the end of a number, that the function mayBe compares.
const checkedDigits = 4

// mayBe returns false only if "input", a number as uploaded, is certainly not "number". It is
// many times faster than sms.ParseMSISDN. It compares only the last digits of input and number.
// Extra digits at the end of input can only be a fraction such as .0 or .00, because ParseMSISDN
// reads all other digits in their order.
func mayBe(input string, number sms.MSISDN) bool {
	var last [checkedDigits + 2]byte // the last digits of the input, the last one first
	n := 0
	for i := len(input) - 1; i >= 0 && n < len(last); i-- {
		c := input[i]
		if c >= 0x80 {
			return true // c may be part of a digit of another writing system, which ParseMSISDN may read
		}
		if c >= '0' && c <= '9' {
			last[n] = c
			n++
		}
	}
	for zeros := 0; zeros <= 2 && zeros+checkedDigits <= n; zeros++ {
		same := true
		for i, rest := 0, uint64(number); i < checkedDigits; i, rest = i+1, rest/10 {
			same = same && last[zeros+i] == byte('0'+rest%10)
		}
		if same {
			return true
		}
		if last[zeros] != '0' {
			return false
		}
	}
	return false
}

// The method "results" reads the results and the texts of the found recipients.
func (s *Search) results(ctx context.Context, out *Searched) error {
	id := out.Position.ID
	sum, err := s.ledger.Summary(ctx, id)
	if err != nil {
		return err
	}
	snapshot, _, err := s.ledger.Snapshot(ctx, id)
	if err != nil {
		return err
	}
	segments := out.Spec.Segments()
	reading := &rowReading{snapshot: snapshot, segments: segments, stopped: sum.StoppedBy, personalized: out.Spec.Personalized(), reported: sum.reported()}
	missing, err := s.skipped(ctx, out)
	if err != nil {
		return err
	}
	if err := s.inBatches(ctx, out, missing, reading); err != nil {
		return err
	}
	for i := range out.Found {
		found := &out.Found[i]
		if _, ok := missing[found.Row.Row]; ok {
			found.Row = skipIfStopped(found.Row, sum.StoppedBy)
		}
		if found.Text == "" {
			found.Text = renderText(out.Spec, found.values)
		}
	}
	return s.setRefs(ctx, out)
}

// The method "skipped" sets the results of the found recipients that planning skipped. It returns the
// remaining recipients: for each row, the index in out.Found.
func (s *Search) skipped(ctx context.Context, out *Searched) (missing map[int]int, err error) {
	missing = map[int]int{}
	var left []campaign.SkippedRecipient
	page := -1
	for i := range out.Found {
		found := &out.Found[i]
		if found.page.Number != page {
			page = found.page.Number
			if left, err = s.ledger.records.skipped(ctx, out.Position.ID, found.page); err != nil {
				return nil, err
			}
		}
		at, ok := slices.BinarySearchFunc(left, found.Row.Row, func(x campaign.SkippedRecipient, row int) int { return x.Row - row })
		if !ok {
			missing[found.Row.Row] = i
			continue
		}
		found.Status, found.Reason, found.Code = campaign.Skipped, left[at].Reason, left[at].Code
	}
	return missing, nil
}

// inBatches sets the results and the texts of the found recipients that are in a batch, and removes
// their rows from the map "missing".
func (s *Search) inBatches(ctx context.Context, out *Searched, missing map[int]int, reading *rowReading) error {
	id, records := out.Position.ID, s.ledger.records
	wanted := func(p campaign.Planned) bool {
		_, ok := missing[p.Row]
		return ok
	}
	for stream := range reading.snapshot.Streams() {
		for b, err := range records.batches(ctx, id, stream, false) {
			if len(missing) == 0 {
				return nil
			}
			if err != nil {
				return err
			}
			if !slices.ContainsFunc(b.To, wanted) {
				continue
			}
			if b, err = records.batch(ctx, id, b.Name); err != nil { // read once more, because the first reading left out the bodies of the calls
				return err
			}
			rows, err := records.rowsAt(ctx, id, b, reading)
			if err != nil {
				return err
			}
			for at, row := range rows {
				if i, ok := missing[row.Row]; ok {
					row.Input = out.Found[i].Input
					out.Found[i].Row, out.Found[i].Text = row, b.bodyOf(at)
					delete(missing, row.Row)
				}
			}
		}
	}
	return nil
}

// bodyOf returns the body of the recipient b.To[at]. It is empty in a plain campaign.
func (b *Batch) bodyOf(at int) string {
	for k, n := range b.Calls {
		if at < n {
			return b.body(k)
		}
		at -= n
	}
	return ""
}

// renderText returns the message of a recipient with the given values. A missing value is blank.
func renderText(spec campaign.Spec, values []string) string {
	if !spec.Personalized() {
		return spec.Body
	}
	t, err := sms.ParseTemplate(spec.Body)
	if err != nil {
		return spec.Body
	}
	body, _ := t.Render(nil, func(field string) string {
		if i := slices.Index(spec.Fields, field); i >= 0 && i < len(values) {
			return values[i]
		}
		return ""
	})
	text := string(body)
	if spec.Transliterate {
		text, _ = sms.Transliterate(text)
	}
	return text
}
