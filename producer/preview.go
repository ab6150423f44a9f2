package producer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/planning"
	"github.com/tuma-sms/tuma/sms"
)

// Route sends the numbers that begin with Match through accounts, in order of preference.
type Route = ledger.Route

// Outlook is what Preview is told of the world. The zero value knows nothing of it: then
// only what the campaign itself says is counted.
type PreviewOptions struct {
	// Accounts are those that campaigns may go through.
	Accounts []Account
	// Routes are for a campaign that names no account.
	Routes []Route
	// Country is the workers' default for numbers in national format, where no account
	// tells of another.
	Country string
	// Now is when the campaign is enqueued. Zero: the moment of the call.
	Now time.Time
	// FailoverAfter is how long an account must have been held for routes to pass it over;
	// 0: they never do.
	FailoverAfter time.Duration
	// LeftOut, if not nil, is called with every recipient that is left out, in the order of
	// their rows. An error of it ends the preview.
	Skipped func(SkippedRecipient) error

	// ledger, if not nil, knows who has opted out.
	ledger *ledger.Ledger
}

// LeftOut is a recipient that would not be sent to.
type SkippedRecipient struct {
	// Row counts the recipients from 1, Input is the number as it was given.
	Row   int    `json:"row"`
	Input string `json:"input"`
	// Reason is one word, as in Result; Code says it more exactly, or is empty.
	Reason string `json:"reason"`
	Code   string `json:"code"`
}

// Preview plans a campaign as a worker would, and enqueues nothing. It needs no Redis:
// what it is not told it names as not known. Memory grows by about three bytes a
// recipient. A campaign that Enqueue would refuse for what it is is ErrInvalid here too;
// its ID may be empty.
func Preview(ctx context.Context, campaign Campaign, recipients iter.Seq2[Recipient, error], o PreviewOptions) (Forecast, error) {
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	spec, err := o.check(campaign)
	if err != nil {
		return Forecast{}, err
	}
	p, err := newPreview(ctx, spec, o)
	if err != nil {
		return Forecast{}, err
	}
	if err := p.read(ctx, recipients); err != nil {
		return Forecast{}, err
	}
	return p.forecast(), nil
}

// Preview is the function of that name with what Redis knows: accounts that workers serve,
// their routes, and who has opted out. Of an account that no worker serves at the moment,
// what o says goes first.
func (c *Client) Preview(ctx context.Context, campaign Campaign, recipients iter.Seq2[Recipient, error], o PreviewOptions) (Forecast, error) {
	published, err := c.ledger.Accounts(ctx)
	if err != nil {
		return Forecast{}, fmt.Errorf("preview: %w", err)
	}
	served := false
	for _, a := range published {
		i := slices.IndexFunc(o.Accounts, func(known Account) bool { return known.Name == a.Name })
		served = served || a.Workers > 0
		switch {
		case i < 0:
			o.Accounts = append(slices.Clone(o.Accounts), a)
		case a.Workers > 0:
			o.Accounts = slices.Clone(o.Accounts)
			o.Accounts[i] = a
		}
	}
	if served || len(o.Routes) == 0 {
		if o.Routes, err = c.ledger.Routes(ctx); err != nil {
			return Forecast{}, fmt.Errorf("preview: %w", err)
		}
	}
	if o.Now.IsZero() {
		o.Now = c.now()
	}
	o.ledger = c.ledger
	return Preview(ctx, campaign, recipients, o)
}

// check says what is wrong with a campaign as Enqueue would.
func (o PreviewOptions) check(campaign Campaign) (ledger.Spec, error) {
	if campaign.ID == "" {
		campaign.ID = "preview"
	}
	var m mistakes
	spec := checkContent(campaign, o.Now, &m)
	m.past("start_at", campaign.StartAt, o.Now)
	m.past("expires_at", campaign.ExpiresAt, o.Now)
	for _, name := range o.namesFor(campaign.Via) {
		if a, ok := o.account(name); ok && a.Info.Name != "" {
			checkCard(spec, a, &m)
		}
	}
	if len(m) > 0 {
		return spec, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(m...))
	}
	return spec, nil
}

func (o PreviewOptions) account(name string) (Account, bool) {
	i := slices.IndexFunc(o.Accounts, func(a Account) bool { return a.Name == name })
	if i < 0 {
		return Account{Card: ledger.Card{Name: name}}, false
	}
	return o.Accounts[i], true
}

// namesFor are the accounts that a campaign may go through, each once.
func (o PreviewOptions) namesFor(via string) (names []string) {
	if via != "" {
		return []string{via}
	}
	for _, r := range o.Routes {
		for _, name := range r.Via {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	if len(names) == 0 {
		names = []string{""}
	}
	return names
}

// passesOver says whether routes do without an account that is held.
func (o PreviewOptions) passesOver(h ledger.Hold) bool {
	return o.FailoverAfter > 0 && h.Held() && !h.Until.IsZero() && o.Now.Sub(h.Since) >= o.FailoverAfter && o.Now.Before(h.Until)
}

// preview is one Preview at work.
type preview struct {
	PreviewOptions
	spec    ledger.Spec
	frozen  ledger.PlanSnapshot
	planner *planning.Planner
	known   []bool // by account
	cards   []Account
	page    ledger.Page
	pager   ledger.Pager
	opted   *ledger.OptOutLookup // nil: without a ledger
	lanes   []load
	spread  map[Length]int
	samples samples
	out     Forecast
	// why is the cause of the first message in UCS-2.
	why string
}

// load is what goes through a lane.
type load struct{ recipients, calls, segments int }

func newPreview(ctx context.Context, spec ledger.Spec, o PreviewOptions) (*preview, error) {
	p := &preview{PreviewOptions: o, spec: spec, spread: map[Length]int{}, page: ledger.Page{First: 1},
		out: Forecast{Reasons: map[string]int{}, Invalid: map[string]int{}, Countries: map[string]int{}, Unknown: []string{}}}
	p.frozen.Country = spec.Country
	if spec.Via == "" {
		p.frozen.Routes = o.Routes
	}
	windows := map[string]string{}
	for _, name := range o.namesFor(spec.Via) {
		a, known := o.account(name)
		known = known && a.Info.MaxRecipients > 0
		snapshot := planning.Account(a.Card, spec, 0) // a batch's size is no matter of a preview
		snapshot.Held = spec.Via == "" && o.passesOver(a.Hold)
		p.frozen.Accounts = append(p.frozen.Accounts, snapshot)
		p.cards, p.known = append(p.cards, a), append(p.known, known)
		p.frozen.Country = cmp.Or(p.frozen.Country, a.Country)
		maps.Copy(windows, a.Windows)
	}
	p.frozen.Country = cmp.Or(p.frozen.Country, o.Country)
	if spec.Class != ledger.Transactional {
		for _, country := range slices.Sorted(maps.Keys(windows)) {
			p.frozen.SendingHours = append(p.frozen.SendingHours, ledger.CountryHours{Country: country, Hours: windows[country]})
		}
	}
	p.lanes = make([]load, p.frozen.Streams())
	var err error
	if p.planner, err = planning.New(spec, p.frozen); err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	return p, p.findLists(ctx)
}

// findLists finds the suppression lists that hold for the campaign.
func (p *preview) findLists(ctx context.Context) error {
	if p.ledger == nil {
		return nil
	}
	counts, err := p.ledger.OptOutCounts(ctx)
	if err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	senders := []string{p.spec.From}
	if p.spec.From == "" {
		for _, a := range p.cards {
			senders = append(senders, a.Sender)
		}
	}
	lists := []string{ledger.AllSenders}
	for _, sender := range senders {
		if list, err := ledger.OptOutList(sender); err == nil && !slices.Contains(lists, list) {
			lists = append(lists, list)
		}
	}
	p.opted = p.ledger.NewOptOutLookup(lists, counts, 0)
	return nil
}

// read plans the recipients, page by page as they would be uploaded.
func (p *preview) read(ctx context.Context, recipients iter.Seq2[Recipient, error]) error {
	if recipients == nil {
		recipients = Numbers()
	}
	own, err := newPersonal(p.spec)
	if err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	for r, err := range recipients {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("preview: recipient %d: %w", p.out.Total+1, err)
		}
		values, err := own.read(p.out.Total+1, r)
		if err == nil && own != nil && own.strict {
			_, err = own.segments(p.out.Total + 1)
		}
		if err == nil {
			err = p.add(ctx, r.Number, values)
		}
		if err != nil {
			return fmt.Errorf("preview: %w", err)
		}
	}
	if p.out.Total == 0 {
		return &FieldError{Field: "recipients", Problem: "there are none"}
	}
	if err := own.unknown(); err != nil {
		return err
	}
	if err := p.plan(ctx, true); err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	return nil
}

// add takes the next recipient into the page, after planning the page before if it is full.
func (p *preview) add(ctx context.Context, number string, values []string) error {
	number = number[:min(len(number), ledger.MaxInput)]
	_, kept, next := p.pager.Add(number, values)
	if next {
		if err := p.plan(ctx, false); err != nil {
			return err
		}
	}
	// What came may be a part of something large, or change, and is kept for as long as its page.
	p.page.Inputs = append(p.page.Inputs, strings.Clone(number))
	if p.spec.Personalized() {
		if kept != nil {
			kept = slices.Clone(kept)
			for i := range kept {
				kept[i] = strings.Clone(kept[i])
			}
		}
		p.page.Values = append(p.page.Values, kept)
	}
	p.out.Total++
	return nil
}

// plan plans the page that has been read.
func (p *preview) plan(ctx context.Context, last bool) error {
	if p.opted != nil && p.opted.Any() {
		opted, err := p.opted.OptedOut(ctx, p.planner.Numbers(p.page))
		if err != nil {
			return err
		}
		p.planner.SetOptedOut(opted)
	}
	page := p.planner.Page(p.page, last)
	for _, x := range page.Skipped {
		p.out.Reasons[x.Reason]++
		if x.Reason == ledger.ReasonInvalidNumber {
			p.out.Invalid[x.Code]++
		}
		if p.Skipped != nil {
			err := p.Skipped(SkippedRecipient{Row: x.Row, Input: p.page.Inputs[x.Row-p.page.First], Reason: x.Reason, Code: x.Code})
			if err != nil {
				return err
			}
		}
	}
	for _, b := range page.Batches {
		p.batch(b)
	}
	p.page.Number++
	p.page.First += len(p.page.Inputs)
	p.page.Inputs = p.page.Inputs[:0]
	if p.page.Values != nil {
		p.page.Values = make([][]string, 0, cap(p.page.Values)) // planning keeps those of what waits
	}
	return nil
}

// batch counts what is planned.
func (p *preview) batch(b ledger.PlannedBatch) {
	at := 0
	for i, n := range b.Calls {
		body := p.spec.Body
		if len(b.Bodies) > 0 {
			body = b.Bodies[i]
		}
		p.call(b.Lane, body, b.To[at:at+n])
		at += n
	}
}

func (p *preview) call(stream int, body string, to []ledger.Planned) {
	segments, encoding := sms.Segments(body)
	l := &p.lanes[stream]
	l.recipients += len(to)
	l.calls++
	l.segments += segments * len(to)
	p.spread[Length{Segments: segments, Encoding: encoding.String()}] += len(to)
	if encoding == sms.UCS2 && p.why == "" {
		if cause, ok := sms.ExplainUCS2(body); ok {
			p.why = cause.String()
		}
	}
	for _, x := range to {
		p.out.Countries[x.MSISDN.Country()]++
		p.samples.offer(stream, x, body, segments)
	}
}
