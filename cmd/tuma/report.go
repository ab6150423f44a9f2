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

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

func newReport(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "report ID",
		Short: "Summarize a campaign on one page",
		Long: `Report reads the results of a campaign and summarizes them: recipients by
status, reason, account and country, the cost, the rate over time, the gateways'
most frequent codes, and what to do next. Report also works while the campaign
is being sent.`,
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
					return console.WriteJSON(a.out, r)
				}
				return r.print(a.out, a.screen())
			})
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// report is the output of `tuma report`.
type report struct {
	ID         string         `json:"id"`
	State      producer.State `json:"state"`
	Recipients int            `json:"recipients"`
	// Statuses counts recipients by status, without statuses that no recipient has.
	Statuses map[string]int `json:"statuses"`
	// Reasons, Codes, Accounts and Countries are sorted by recipients, most first.
	Reasons   []reasonCount `json:"reasons"`
	Codes     []codeCount   `json:"codes"`
	Accounts  []group       `json:"accounts"`
	Countries []group       `json:"countries"`
	Calls     int           `json:"calls"`
	// Segments counts the segments of accepted messages.
	Segments int `json:"segments"`
	OptedOut int `json:"opted_out"`
	// Cost is the sum that gateways reported, by currency. Estimate is computed from the accounts'
	// price, for accepted messages whose cost the gateway did not report.
	Cost     []costSum `json:"cost"`
	Estimate []costSum `json:"estimate"`
	// Began and Ended are when the first and the last call were answered. Seconds is the time
	// between them. Rate is in recipients a second, 0 if Seconds is below 1.
	Created  time.Time       `json:"created_at"`
	Began    *time.Time      `json:"sent_from"`
	Ended    *time.Time      `json:"sent_until"`
	Finished *time.Time      `json:"finished_at"`
	Seconds  float64         `json:"seconds"`
	Rate     float64         `json:"rate"`
	Busiest  float64         `json:"busiest_rate"`
	Timeline []timelinePoint `json:"timeline"`
	// Next is advice on what to do about the campaign.
	Next []advice `json:"next"`

	times console.Timeline
}

// reasonCount is the number of recipients with a status and a reason.
type reasonCount struct {
	Status     string `json:"status"`
	Reason     string `json:"reason"`
	Recipients int    `json:"recipients"`
}

// codeCount is the number of recipients with a status and a gateway's code.
type codeCount struct {
	Code       string `json:"code"`
	Status     string `json:"status"`
	Account    string `json:"account"`
	Recipients int    `json:"recipients"`
}

// group sums up the recipients of an account or a country.
type group struct {
	Name       string         `json:"name"`
	Recipients int            `json:"recipients"`
	Statuses   map[string]int `json:"statuses"`
	Segments   int            `json:"segments"`
	Cost       []costSum      `json:"cost,omitempty"`
}

// costSum is the cost of a number of messages, in one currency.
type costSum struct {
	Amount   console.Amount `json:"amount"`
	Currency string         `json:"currency"`
	Messages int            `json:"messages"`
}

// timelinePoint is the number of recipients in a period of time.
type timelinePoint struct {
	From       time.Time `json:"from"`
	Seconds    float64   `json:"seconds"`
	Recipients int       `json:"recipients"`
}

// advice is a fact about the campaign, and the command that helps, if there is one.
type advice struct {
	Why     string `json:"why"`
	Command string `json:"command,omitempty"`
}

// report reads the results of a campaign once and sums them up. Its memory use does not grow with
// the number of recipients.
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

// maxKeys bounds the number of different keys that are counted, because gateways choose the words
// that become keys.
const maxKeys = 500

// othersKey is the key under which everything beyond maxKeys keys is counted.
const othersKey = "(others)"

// boundedCounts counts by key. Once there are maxKeys keys, all further keys are counted under
// rest.
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

// totals sums up results.
type totals struct {
	recipients          int
	statuses            map[string]int
	reasons             boundedCounts[reasonCount]
	codes               boundedCounts[codeCount]
	accounts, countries map[string]*groupTotals
	times               console.Timeline
}

// groupTotals sums up the results of an account or a country.
type groupTotals struct {
	recipients, segments int
	statuses             map[string]int
	cost                 map[string]*costSum // by currency
	// unpricedSegments and unpricedMessages count accepted messages whose cost is not known.
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
		c.times.Add(r.UpdatedAt)
	}
}

// acceptedByGateway reports whether a gateway has accepted the messages with the given status.
func acceptedByGateway(status string) bool {
	return status == "accepted" || status == "delivered" || status == "undelivered"
}

// totalsFor returns the totals of a group and creates them if needed. Beyond maxKeys groups it
// returns the totals of othersKey.
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
	amount, known := console.ParseAmount(r.Cost)
	if !known {
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

// report returns the report of the totals. prices are the accounts' prices of a segment, such as
// "0.80 KES".
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
			addCost(estimate, costSum{Amount: each * console.Amount(p.unpricedSegments), Currency: currency, Messages: p.unpricedMessages})
		}
	}
	r.Cost, r.Estimate = costsOf(cost), costsOf(estimate)
	r.fillTimes()
	return r
}

// timelineColumns is the maximum number of points of the timeline in --json.
const timelineColumns = 120

// fillTimes sets the fields about when the campaign was sent.
func (r *report) fillTimes() {
	r.Timeline = []timelinePoint{}
	first, last := r.times.First(), r.times.Last()
	if first.IsZero() {
		return
	}
	r.Began, r.Ended, r.Busiest = &first, &last, r.times.Busiest()
	r.Seconds = r.Ended.Sub(*r.Began).Seconds()
	chart, sent := r.times.Chart(timelineColumns), 0
	for i, n := range chart.Bars {
		r.Timeline = append(r.Timeline, timelinePoint{From: chart.From.Add(time.Duration(i) * chart.Each), Seconds: chart.Each.Seconds(), Recipients: n})
		sent += n
	}
	if r.Seconds >= 1 {
		r.Rate = float64(sent) / r.Seconds
	}
}

// priceOf parses an account's price of a segment, such as "0.80 KES".
func priceOf(price string) (each console.Amount, currency string, ok bool) {
	text, currency, ok := config.SplitPrice(price)
	if !ok {
		return 0, "", false
	}
	each, ok = console.ParseAmount(text)
	return each, currency, ok
}

// addCost adds x to the sum of the same currency in to.
func addCost(to map[string]*costSum, x costSum) {
	if sum := to[x.Currency]; sum != nil {
		sum.Amount += x.Amount
		sum.Messages += x.Messages
		return
	}
	to[x.Currency] = &x
}

// costsOf returns the sums, sorted by currency.
func costsOf(sums map[string]*costSum) []costSum {
	out := []costSum{}
	for _, currency := range slices.Sorted(maps.Keys(sums)) {
		out = append(out, *sums[currency])
	}
	return out
}

// groupsOf returns the groups sorted by recipients, most first.
func groupsOf(parts map[string]*groupTotals) []group {
	out := []group{}
	for name, p := range parts {
		out = append(out, group{Name: name, Recipients: p.recipients, Statuses: p.statuses, Segments: p.segments, Cost: costsOf(p.cost)})
	}
	slices.SortFunc(out, func(a, b group) int { return cmp.Or(b.Recipients-a.Recipients, strings.Compare(a.Name, b.Name)) })
	return out
}

// nextSteps returns advice on what to do about a campaign.
func nextSteps(st producer.Status, r *report, now time.Time) []advice {
	steps := []advice{}
	for _, b := range st.BlockedBy {
		steps = append(steps, advice{Why: "the campaign is waiting: " + describeBlock(b, now)})
	}
	if n := r.Statuses["unknown"]; n > 0 {
		steps = append(steps, advice{
			Why:     console.Plural(n, "recipient") + " with an unknown outcome; if sent again, some may get the message twice",
			Command: "tuma retry " + st.ID + " --unknown",
		})
	}
	if n := r.Statuses["rejected"]; n > 0 {
		steps = append(steps, advice{
			Why:     console.Plural(n, "recipient") + " rejected by the gateway; check the codes, then send again",
			Command: "tuma retry " + st.ID + " --rejected",
		})
	}
	if n := r.Statuses["skipped"]; n > 0 {
		steps = append(steps, advice{Why: console.Plural(n, "recipient") + " skipped; to list them", Command: "tuma results " + st.ID + " --status skipped"})
	}
	if st.State == producer.Sending && len(st.BlockedBy) == 0 && r.Statuses["pending"] > 0 {
		steps = append(steps, advice{Why: "the campaign is being sent; to follow it", Command: "tuma status " + st.ID + " --watch"})
	}
	return steps
}
