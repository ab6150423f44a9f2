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

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/planning"
	"github.com/tuma-sms/tuma/sms"
)

// PreviewOptions describe the accounts and routes that would send a campaign. The caller sets the
// fields that it knows. The zero value is enough for Client.Preview, which reads accounts and
// routes from Redis.
type PreviewOptions struct {
	// Accounts are the known accounts.
	Accounts []Account
	// Routes choose the accounts of a campaign that names no account.
	Routes []Route
	// Country is the default for numbers in national format, as an ISO code. Campaign.Country and
	// the country of the account take precedence over it.
	Country string
	// Now is the time at which the campaign would be enqueued. Zero means the present.
	Now time.Time
	// FailoverAfter is how long an account must have been held before its work moves to the
	// next account of the route. 0 means never.
	FailoverAfter time.Duration
	// Skipped, if not nil, is called for each recipient that would be skipped, in the order of
	// the upload. If it returns an error, the preview ends with that error.
	Skipped func(SkippedRecipient) error

	// optouts reads the suppression lists. It is nil for the package-level Preview, which uses no
	// Redis.
	optouts *optout.Lists
}

// SkippedRecipient is a recipient that would not get the message of a campaign.
type SkippedRecipient struct {
	// Row is the recipient's position in the upload, counted from 1.
	Row int `json:"row"`
	// Line is Recipient.Line.
	Line int `json:"line,omitempty"`
	// Input is the number as uploaded.
	Input string `json:"input"`
	// Reason is one word, such as "invalid_number" or "duplicate".
	Reason string `json:"reason"`
	// Code is a more precise reason, such as "too_short", or empty.
	Code string `json:"code"`
}

// Preview plans a campaign as a worker would and sends nothing. It uses neither Redis nor a worker;
// Forecast.Unknown lists the facts that Preview could not determine. Preview remembers the numbers
// to find duplicates. This takes about three bytes of memory for each recipient, and up to 25 bytes
// in a campaign with merge fields. Mistakes in the campaign are an ErrInvalid that lists all of
// them, as in Client.Enqueue, except that ID may be empty.
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

// Preview is like the package-level Preview, but reads accounts, routes and the suppression
// lists from Redis. For accounts that no live worker serves, o takes precedence.
func (c *Client) Preview(ctx context.Context, campaign Campaign, recipients iter.Seq2[Recipient, error], o PreviewOptions) (Forecast, error) {
	published, err := c.Accounts(ctx)
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
		routes, err := c.accounts.Routes(ctx)
		if err != nil {
			return Forecast{}, fmt.Errorf("preview: %w", err)
		}
		o.Routes = routesOf(routes)
	}
	if o.Now.IsZero() {
		o.Now = c.now()
	}
	o.optouts = c.optouts
	return Preview(ctx, campaign, recipients, o)
}

// check returns the campaign's stored form. Its error lists the mistakes that Enqueue would find in
// the campaign.
func (o PreviewOptions) check(campaign Campaign) (campaign.Spec, error) {
	if campaign.ID == "" {
		campaign.ID = "preview"
	}
	var m mistakes
	spec := checkContent(campaign, o.Now, &m)
	m.past("start_at", campaign.StartAt, o.Now.Add(-startTolerance))
	m.past("expires_at", campaign.ExpiresAt, o.Now)
	for _, name := range o.namesFor(campaign.Via) {
		if a, ok := o.account(name); ok && a.Info.Name != "" {
			checkAccount(spec, a, &m)
		}
	}
	if len(m) > 0 {
		return spec, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(m...))
	}
	return spec, nil
}

// account returns the account with the given name. The result "ok" is false if the account is not
// known.
func (o PreviewOptions) account(name string) (a accounts.Account, ok bool) {
	i := slices.IndexFunc(o.Accounts, func(a Account) bool { return a.Name == name })
	if i < 0 {
		return accounts.Account{Card: campaign.Card{Name: name}}, false
	}
	return o.Accounts[i].stored(), true
}

// namesFor returns the names of the accounts that a campaign may use, each once. If the campaign
// names no account and no routes are known, it returns one empty name.
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

// passesOver reports whether routes choose another account instead of an account with the hold h.
func (o PreviewOptions) passesOver(h accounts.Hold, class campaign.Class) bool {
	return o.FailoverAfter > 0 && h.Stops(class) && !h.Until.IsZero() && o.Now.Sub(h.Since) >= o.FailoverAfter && o.Now.Before(h.Until)
}

// preview is the state of one call of Preview.
type preview struct {
	PreviewOptions
	spec campaign.Spec
	// cards are the accounts. The slice "known" reports for each account whether its gateway is
	// known.
	cards   []accounts.Account
	known   []bool
	planner *planning.Planner
	// snapshot has the settings that a worker would store when planning starts.
	snapshot campaign.PlanSnapshot
	page     campaign.Page
	pager    ledger.Pager
	opted    *optout.Lookup // nil without Redis
	streams  []streamLoad   // by stream number
	spread   map[Length]int
	samples  samples
	// ucs2 names the character that makes the first UCS-2 message UCS-2.
	ucs2 string
	out  Forecast
	// lines is a ring buffer of Recipient.Line values. The value of row n has the index n modulo
	// keptLines.
	lines [keptLines]int
}

// keptLines is the length of the ring. Planning reports each recipient before it reads this many
// further rows, so no entry is overwritten too early.
const keptLines = 4 * campaign.MaxPageRows

// streamLoad counts the recipients, calls and segments of a stream.
type streamLoad struct{ recipients, calls, segments int }

func newPreview(ctx context.Context, spec campaign.Spec, o PreviewOptions) (*preview, error) {
	p := &preview{PreviewOptions: o, spec: spec, spread: map[Length]int{}, page: campaign.Page{First: 1},
		out: Forecast{Reasons: map[string]int{}, Invalid: map[string]int{}, Countries: map[string]int{}, Unknown: []string{}}}
	p.snapshot.Country = spec.Country
	if spec.Via == "" {
		p.snapshot.Routes = storedRoutes(o.Routes)
	}
	windows := map[string]string{}
	for _, name := range o.namesFor(spec.Via) {
		a, known := o.account(name)
		known = known && a.Info.MaxRecipients > 0
		snapshot := planning.Account(a.Card, spec, 0, 0) // the two zeros only set the batch size, which does not change a preview
		snapshot.Held = spec.Via == "" && o.passesOver(a.Hold, spec.Class)
		p.snapshot.Accounts = append(p.snapshot.Accounts, snapshot)
		p.cards, p.known = append(p.cards, a), append(p.known, known)
		p.snapshot.Country = cmp.Or(p.snapshot.Country, a.Country)
		maps.Copy(windows, a.Windows)
	}
	p.snapshot.Country = cmp.Or(p.snapshot.Country, o.Country)
	if spec.Class != campaign.Transactional {
		for _, country := range slices.Sorted(maps.Keys(windows)) {
			p.snapshot.SendingHours = append(p.snapshot.SendingHours, campaign.CountryHours{Country: country, Hours: windows[country]})
		}
	}
	p.streams = make([]streamLoad, p.snapshot.Streams())
	var err error
	if p.planner, err = planning.New(spec, p.snapshot); err != nil {
		return nil, fmt.Errorf("preview: %w", err)
	}
	return p, p.openSuppressionLists(ctx)
}

// openSuppressionLists sets the field p.opted, with which the preview looks up numbers in the
// suppression lists of the campaign.
func (p *preview) openSuppressionLists(ctx context.Context) error {
	if p.optouts == nil {
		return nil
	}
	counts, err := p.optouts.Counts(ctx)
	if err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	senders := []string{p.spec.From}
	if p.spec.From == "" {
		for _, a := range p.cards {
			senders = append(senders, a.Sender)
		}
	}
	lists := []string{campaign.AllSenders}
	for _, sender := range senders {
		if list, err := optout.ListOf(sender); err == nil && !slices.Contains(lists, list) {
			lists = append(lists, list)
		}
	}
	p.opted = p.optouts.NewLookup(lists, counts, 0)
	return nil
}

// read plans the recipients in pages. A page has as many recipients as a page of an upload.
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
			return fmt.Errorf("preview: %w", errors.Join(err, own.missing()))
		}
		values, err := own.read(r)
		if err == nil && !own.foundMissing() {
			err = p.add(ctx, r, values)
		}
		if err != nil {
			return fmt.Errorf("preview: %w", err)
		}
	}
	if err := own.missing(); err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	if p.out.Total == 0 {
		return &FieldError{Field: "recipients", Problem: "must not be empty"}
	}
	if err := own.unusedField(); err != nil {
		return err
	}
	if err := p.plan(ctx, true); err != nil {
		return fmt.Errorf("preview: %w", err)
	}
	return nil
}

// The method "add" puts a recipient into the page. If the page is full, add plans the page first.
func (p *preview) add(ctx context.Context, r Recipient, values []string) error {
	if err := r.checkRef(p.out.Total + 1); err != nil {
		return err
	}
	number := r.Number[:min(len(r.Number), campaign.MaxInput)]
	_, kept, next := p.pager.Add(number, r.Ref, values)
	if next {
		if err := p.plan(ctx, false); err != nil {
			return err
		}
	}
	// The page keeps a copy of the number, for two reasons. The caller may overwrite the memory of
	// the number. And if the number is part of a large string, the page would keep the whole string
	// in memory.
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
	p.lines[p.out.Total%keptLines] = r.Line
	return nil
}

// plan plans the current page, and counts the planned calls and the skipped recipients. The
// parameter "last" is true for the final page.
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
		switch {
		case x.Reason == campaign.ReasonInvalidNumber:
			p.out.Invalid[x.Code]++
		case x.Code == campaign.CodeOtherText:
			p.out.OtherText++
		}
		if p.Skipped != nil {
			err := p.Skipped(SkippedRecipient{Row: x.Row, Line: p.lines[x.Row%keptLines], Input: p.page.Inputs[x.Row-p.page.First], Reason: x.Reason, Code: x.Code})
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
		p.page.Values = make([][]string, 0, cap(p.page.Values)) // the planner still needs the old slice
	}
	return nil
}

// The method "batch" adds the calls of the planned batch b to the forecast.
func (p *preview) batch(b campaign.PlannedBatch) {
	at := 0
	for i, n := range b.Calls {
		body := p.spec.Body
		if len(b.Bodies) > 0 {
			body = b.Bodies[i]
		}
		p.call(b.Stream, body, b.To[at:at+n])
		at += n
	}
}

// The method "call" counts one call to a gateway.
func (p *preview) call(stream int, body string, to []campaign.Planned) {
	segments, encoding := sms.Segments(body)
	l := &p.streams[stream]
	l.recipients += len(to)
	l.calls++
	l.segments += segments * len(to)
	p.spread[Length{Segments: segments, Encoding: encoding.String()}] += len(to)
	if encoding == sms.UCS2 && p.ucs2 == "" {
		if cause, ok := sms.ExplainUCS2(body); ok {
			p.ucs2 = cause.String()
		}
	}
	for _, x := range to {
		p.out.Countries[x.MSISDN.Country()]++
		p.samples.offer(stream, x, p.lines[x.Row%keptLines], body, segments)
	}
}
