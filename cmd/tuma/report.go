package main

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

func newReport(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "report ID",
		Short: "Sum a campaign up on one page",
		Long: `Report reads the results of a campaign once and sums them up for people: by status,
reason, account and country, what it cost, how fast it went, which codes gateways
answered with most, and what to do next. While a campaign is being sent, it tells
how far it is.`,
		Example: `  tuma report sale-2025-11
  tuma report sale-2025-11 --json | jq '.cost'`,
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error {
				r, err := a.report(ctx, b, id)
				switch {
				case err != nil:
					return err
				case asJSON:
					return writeJSON(a.out, r)
				}
				return r.print(a.out, a.screen())
			})
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// report is what `tuma report` says of a campaign.
type report struct {
	ID         string         `json:"id"`
	State      producer.State `json:"state"`
	Recipients int            `json:"recipients"`
	// Statuses has all that somebody has.
	Statuses map[string]int `json:"statuses"`
	// Reasons, Codes, Accounts and Countries come with the most first.
	Reasons   []reasonCount `json:"reasons"`
	Codes     []codeCount   `json:"codes"`
	Accounts  []group       `json:"accounts"`
	Countries []group       `json:"countries"`
	Calls     int           `json:"calls"`
	// Segments belong to accepted messages.
	Segments int `json:"segments"`
	OptedOut int `json:"opted_out"`
	// Cost is what gateways told; Estimate is by the accounts' price, for those of whom
	// they told nothing.
	Cost     []costSum `json:"cost"`
	Estimate []costSum `json:"estimate"`
	// Began and Ended are when the first and the last call were answered, Seconds what
	// lies between, and Rate how many recipients a second that makes; 0: in no time.
	Created  time.Time       `json:"created_at"`
	Began    *time.Time      `json:"sent_from"`
	Ended    *time.Time      `json:"sent_until"`
	Finished *time.Time      `json:"finished_at"`
	Seconds  float64         `json:"seconds"`
	Rate     float64         `json:"rate"`
	Busiest  float64         `json:"busiest_rate"`
	Timeline []timelinePoint `json:"timeline"`
	// Next says what can be done, most of it by a command.
	Next []advice `json:"next"`

	times timeline
}

// reasonCount are the recipients with a status for a reason.
type reasonCount struct {
	Status     string `json:"status"`
	Reason     string `json:"reason"`
	Recipients int    `json:"recipients"`
}

// codeCount are the recipients with a status and a code.
type codeCount struct {
	Code       string `json:"code"`
	Status     string `json:"status"`
	Account    string `json:"account"`
	Recipients int    `json:"recipients"`
}

// group are the recipients of an account or a country.
type group struct {
	Name       string         `json:"name"`
	Recipients int            `json:"recipients"`
	Statuses   map[string]int `json:"statuses"`
	Segments   int            `json:"segments"`
	Cost       []costSum      `json:"cost,omitempty"`
}

// costSum is an amount of money for so many messages.
type costSum struct {
	Amount   amount `json:"amount"`
	Currency string `json:"currency"`
	Messages int    `json:"messages"`
}

// moment is how much happened in a stretch of time.
type timelinePoint struct {
	From       time.Time `json:"from"`
	Seconds    float64   `json:"seconds"`
	Recipients int       `json:"recipients"`
}

// advice is something that can be done.
type advice struct {
	Why     string `json:"why"`
	Command string `json:"command,omitempty"`
}

// report reads all results once; memory does not grow with them.
func (a *app) report(ctx context.Context, b *backend, id string) (*report, error) {
	st, err := b.Status(ctx, id)
	if err != nil {
		return nil, err
	}
	accounts, err := b.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	count := newTotals()
	for r, err := range b.Results(ctx, id) {
		if err != nil {
			return nil, err
		}
		count.add(r)
	}
	prices := map[string]string{}
	for _, acc := range accounts {
		prices[acc.Name] = acc.Price
	}
	r := count.report(prices)
	r.ID, r.State, r.Calls, r.Created, r.Finished = st.ID, st.State, st.Calls, st.CreatedAt, st.FinishedAt
	r.Next = nextSteps(st, r, a.now())
	return r, nil
}

// mostKinds bounds what is told apart, where gateways choose the words.
const maxKeys = 500

// theRest stands for everything that is not told apart any more.
const othersKey = "(others)"

// tallies counts by key; too many keys are counted as one.
type boundedCounts[K comparable] struct {
	n    map[K]int
	rest K
}

func (t *boundedCounts[K]) add(key K) {
	if _, known := t.n[key]; !known && len(t.n) >= maxKeys {
		key = t.rest
	}
	t.n[key]++
}

// reckoning adds results up.
type totals struct {
	recipients          int
	statuses            map[string]int
	reasons             boundedCounts[reasonCount]
	codes               boundedCounts[codeCount]
	accounts, countries map[string]*groupTotals
	times               timeline
}

// part is the reckoning of an account or a country.
type groupTotals struct {
	recipients, segments int
	statuses             map[string]int
	cost                 map[string]*costSum // by currency
	// untold are the segments of accepted messages of which no cost is known.
	unpricedSegments, unpricedMessages int
}

func newTotals() *totals {
	return &totals{
		statuses:  map[string]int{},
		reasons:   boundedCounts[reasonCount]{n: map[reasonCount]int{}, rest: reasonCount{Reason: othersKey}},
		codes:     boundedCounts[codeCount]{n: map[codeCount]int{}, rest: codeCount{Code: othersKey}},
		accounts:  map[string]*groupTotals{},
		countries: map[string]*groupTotals{},
	}
}

func (c *totals) add(r producer.Result) {
	c.recipients++
	c.statuses[r.Status]++
	if r.Reason != "" {
		c.reasons.add(reasonCount{Status: r.Status, Reason: r.Reason})
	}
	if r.Code != "" && !acceptedByGateway(r.Status) {
		c.codes.add(codeCount{Code: r.Code, Status: r.Status, Account: r.Account})
	}
	if r.Account != "" {
		totalsFor(c.accounts, r.Account).add(r)
	}
	if r.MSISDN != "" {
		country := ""
		if m, err := strconv.ParseUint(r.MSISDN, 10, 64); err == nil {
			country = sms.MSISDN(m).Country()
		}
		totalsFor(c.countries, country).add(r)
	}
	if r.MessageUUID != "" {
		c.times.add(r.UpdatedAt)
	}
}

// taken says whether a gateway has accepted such a message.
func acceptedByGateway(status string) bool {
	return status == "accepted" || status == "delivered" || status == "undelivered"
}

func totalsFor(parts map[string]*groupTotals, name string) *groupTotals {
	p := parts[name]
	if p == nil {
		if len(parts) >= maxKeys {
			name = othersKey
		}
		if p = parts[name]; p == nil {
			p = &groupTotals{statuses: map[string]int{}, cost: map[string]*costSum{}}
			parts[name] = p
		}
	}
	return p
}

func (p *groupTotals) add(r producer.Result) {
	p.recipients++
	p.statuses[r.Status]++
	if acceptedByGateway(r.Status) {
		p.segments += r.Segments
	}
	amount, told := parseAmount(r.Cost)
	if !told {
		if acceptedByGateway(r.Status) {
			p.unpricedSegments += r.Segments
			p.unpricedMessages++
		}
		return
	}
	sum := p.cost[r.Currency]
	if sum == nil {
		if len(p.cost) >= maxKeys {
			return
		}
		sum = &costSum{Currency: r.Currency}
		p.cost[r.Currency] = sum
	}
	sum.Amount += amount
	sum.Messages++
}

// report writes down what was added up; prices are those of accounts, a segment.
func (c *totals) report(prices map[string]string) *report {
	r := &report{Recipients: c.recipients, Statuses: c.statuses, times: c.times, Reasons: []reasonCount{}, Codes: []codeCount{}, Next: []advice{}}
	for x, n := range c.reasons.n {
		x.Recipients = n
		r.Reasons = append(r.Reasons, x)
		if x.Reason == "opted_out" {
			r.OptedOut += n
		}
	}
	slices.SortFunc(r.Reasons, func(a, b reasonCount) int {
		return cmp.Or(b.Recipients-a.Recipients, strings.Compare(a.Reason, b.Reason), strings.Compare(a.Status, b.Status))
	})
	for x, n := range c.codes.n {
		x.Recipients = n
		r.Codes = append(r.Codes, x)
	}
	slices.SortFunc(r.Codes, func(a, b codeCount) int {
		return cmp.Or(b.Recipients-a.Recipients, strings.Compare(a.Code, b.Code), strings.Compare(a.Status, b.Status), strings.Compare(a.Account, b.Account))
	})
	r.Accounts, r.Countries = groupsOf(c.accounts), groupsOf(c.countries)
	cost, estimate := map[string]*costSum{}, map[string]*costSum{}
	for name, p := range c.accounts {
		r.Segments += p.segments
		for _, x := range p.cost {
			addCost(cost, *x)
		}
		if each, currency, ok := priceOf(prices[name]); ok && p.unpricedMessages > 0 {
			addCost(estimate, costSum{Amount: each * amount(p.unpricedSegments), Currency: currency, Messages: p.unpricedMessages})
		}
	}
	r.Cost, r.Estimate = costsOf(cost), costsOf(estimate)
	r.fillTimes()
	return r
}

// timelineColumns is how finely --json tells of the time.
const timelineColumns = 120

// when fills in when it was sent.
func (r *report) fillTimes() {
	r.Timeline = []timelinePoint{}
	if r.times.first.IsZero() {
		return
	}
	r.Began, r.Ended, r.Busiest = &r.times.first, &r.times.last, r.times.busiest()
	r.Seconds = r.Ended.Sub(*r.Began).Seconds()
	chart, sent := r.times.chart(timelineColumns), 0
	for i, n := range chart.bars {
		r.Timeline = append(r.Timeline, timelinePoint{From: chart.from.Add(time.Duration(i) * chart.each), Seconds: chart.each.Seconds(), Recipients: n})
		sent += n
	}
	if r.Seconds >= 1 {
		r.Rate = float64(sent) / r.Seconds
	}
}

func addCost(to map[string]*costSum, x costSum) {
	if sum := to[x.Currency]; sum != nil {
		sum.Amount += x.Amount
		sum.Messages += x.Messages
		return
	}
	to[x.Currency] = &x
}

func costsOf(sums map[string]*costSum) []costSum {
	out := []costSum{}
	for _, currency := range slices.Sorted(maps.Keys(sums)) {
		out = append(out, *sums[currency])
	}
	return out
}

func groupsOf(parts map[string]*groupTotals) []group {
	out := []group{}
	for name, p := range parts {
		out = append(out, group{Name: name, Recipients: p.recipients, Statuses: p.statuses, Segments: p.segments, Cost: costsOf(p.cost)})
	}
	slices.SortFunc(out, func(a, b group) int { return cmp.Or(b.Recipients-a.Recipients, strings.Compare(a.Name, b.Name)) })
	return out
}

// nextSteps says what can be done about a campaign.
func nextSteps(st producer.Status, r *report, now time.Time) []advice {
	steps := []advice{}
	for _, b := range st.BlockedBy {
		steps = append(steps, advice{Why: "it is waiting: " + describeBlock(b, now)})
	}
	if n := r.Statuses["unknown"]; n > 0 {
		steps = append(steps, advice{
			Why:     "whether " + plural(n, "recipient") + " got the message is not known; sent again, some get it twice",
			Command: "tuma retry " + st.ID + " --unknown",
		})
	}
	if n := r.Statuses["rejected"]; n > 0 {
		steps = append(steps, advice{
			Why:     plural(n, "recipient") + " the gateway refused; see the codes, then send again to them",
			Command: "tuma retry " + st.ID + " --rejected",
		})
	}
	if n := r.Statuses["skipped"]; n > 0 {
		steps = append(steps, advice{Why: plural(n, "recipient") + " left out; the list of them", Command: "tuma results " + st.ID + " --status skipped"})
	}
	if st.State == producer.Sending && len(st.BlockedBy) == 0 && r.Statuses["pending"] > 0 {
		steps = append(steps, advice{Why: "it is being sent", Command: "tuma status " + st.ID + " --watch"})
	}
	return steps
}
