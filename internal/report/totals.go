package report

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// maxKeys is the maximum number of keys of a count, such as different codes. Without this limit, a
// gateway that invents codes could use up all memory.
const maxKeys = 500

// othersKey is the key under which all keys beyond the first maxKeys are counted together.
const othersKey = "(others)"

// boundedCounts counts by key. It has separate counts for at most maxKeys keys. It counts all
// further keys together, under the key in the field "rest".
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
	reasons             boundedCounts[ReasonCount]
	codes               boundedCounts[CodeCount]
	accounts, countries map[string]*groupTotals
	times, deliveries   console.Timeline
}

// groupTotals sums up the results of an account or a country.
type groupTotals struct {
	recipients, segments int
	statuses             map[string]int
	cost                 map[string]*CostSum // by currency
	// unpricedSegments and unpricedMessages count accepted messages whose cost is not known.
	unpricedSegments, unpricedMessages int
}

func newTotals() *totals {
	return &totals{
		statuses:  map[string]int{},
		reasons:   boundedCounts[ReasonCount]{n: map[ReasonCount]int{}, rest: ReasonCount{Reason: othersKey}},
		codes:     boundedCounts[CodeCount]{n: map[CodeCount]int{}, rest: CodeCount{Code: othersKey}},
		accounts:  map[string]*groupTotals{},
		countries: map[string]*groupTotals{},
	}
}

func (c *totals) add(r producer.Result) {
	c.recipients++
	c.statuses[r.Status]++
	if r.Reason != "" {
		c.reasons.add(ReasonCount{Status: r.Status, Reason: r.Reason})
	}
	if r.Code != "" && !acceptedByGateway(r.Status) {
		c.codes.add(CodeCount{Code: r.Code, Status: r.Status, Account: r.Account})
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
	c.deliveries.Add(r.DeliveredAt)
}

// acceptedByGateway reports whether a gateway has accepted the messages with the given status.
func acceptedByGateway(status string) bool {
	return status == "accepted" || status == "delivered" || status == "undelivered"
}

// totalsFor returns the totals of a group, and creates them if needed. If maxKeys groups exist
// already, it returns the totals of othersKey for a new group.
func totalsFor(parts map[string]*groupTotals, name string) *groupTotals {
	p := parts[name]
	if p == nil {
		if len(parts) >= maxKeys {
			name = othersKey
		}
		if p = parts[name]; p == nil {
			p = &groupTotals{statuses: map[string]int{}, cost: map[string]*CostSum{}}
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
		sum = &CostSum{Currency: r.Currency}
		p.cost[r.Currency] = sum
	}
	sum.Amount += amount
	sum.Messages++
}

// The method "report" returns the report of the totals. The parameter "prices" has the accounts'
// prices of a segment, such as "0.80 KES".
func (c *totals) report(prices map[string]string) *Report {
	r := &Report{Recipients: c.recipients, Statuses: c.statuses, times: c.times, deliveries: c.deliveries, Reasons: []ReasonCount{}, Codes: []CodeCount{}}
	for x, n := range c.reasons.n {
		x.Recipients = n
		r.Reasons = append(r.Reasons, x)
		if x.Reason == "opted_out" {
			r.OptedOut += n
		}
	}
	slices.SortFunc(r.Reasons, func(a, b ReasonCount) int {
		return cmp.Or(b.Recipients-a.Recipients, strings.Compare(a.Reason, b.Reason), strings.Compare(a.Status, b.Status))
	})
	for x, n := range c.codes.n {
		x.Recipients = n
		r.Codes = append(r.Codes, x)
	}
	slices.SortFunc(r.Codes, func(a, b CodeCount) int {
		return cmp.Or(b.Recipients-a.Recipients, strings.Compare(a.Code, b.Code), strings.Compare(a.Status, b.Status), strings.Compare(a.Account, b.Account))
	})
	r.Accounts, r.Countries = groupsOf(c.accounts), groupsOf(c.countries)
	cost, estimate := map[string]*CostSum{}, map[string]*CostSum{}
	for name, p := range c.accounts {
		r.Segments += p.segments
		for _, x := range p.cost {
			addCost(cost, *x)
		}
		if each, currency, ok := priceOf(prices[name]); ok && p.unpricedMessages > 0 {
			addCost(estimate, CostSum{Amount: each * console.Amount(p.unpricedSegments), Currency: currency, Messages: p.unpricedMessages})
		}
	}
	r.Cost, r.Estimate = costsOf(cost), costsOf(estimate)
	r.fillTimes()
	return r
}

// timelineColumns is the maximum number of points of the timeline in --json.
const timelineColumns = 120

// fillTimes sets the fields that describe when the campaign was sent, how fast, and when messages were delivered.
func (r *Report) fillTimes() {
	r.Timeline = []TimelinePoint{}
	first, last := r.times.First(), r.times.Last()
	if first.IsZero() {
		return
	}
	r.Began, r.Ended, r.Busiest = &first, &last, r.times.Busiest()
	r.Seconds = r.Ended.Sub(*r.Began).Seconds()
	chart, sent := r.times.Chart(timelineColumns), 0
	r.Timeline = pointsOf(chart)
	for _, n := range chart.Bars {
		sent += n
	}
	r.Delivery = pointsOf(r.deliveries.Chart(timelineColumns))
	if r.Seconds >= 1 {
		r.Rate = float64(sent) / r.Seconds
	}
}

// pointsOf returns the bars of a chart.
func pointsOf(chart console.Chart) []TimelinePoint {
	points := []TimelinePoint{}
	for i, n := range chart.Bars {
		points = append(points, TimelinePoint{From: chart.From.Add(time.Duration(i) * chart.Each), Seconds: chart.Each.Seconds(), Recipients: n})
	}
	return points
}

// priceOf parses an account's price of a segment, such as "0.80 KES".
func priceOf(price string) (each console.Amount, currency string, ok bool) {
	text, currency, ok := strings.Cut(price, " ")
	if !ok {
		return 0, "", false
	}
	each, ok = console.ParseAmount(text)
	return each, currency, ok
}

// addCost adds x to the sum that has the same currency.
func addCost(sums map[string]*CostSum, x CostSum) {
	if sum := sums[x.Currency]; sum != nil {
		sum.Amount += x.Amount
		sum.Messages += x.Messages
		return
	}
	sums[x.Currency] = &x
}

// costsOf returns the sums, sorted by currency.
func costsOf(sums map[string]*CostSum) []CostSum {
	out := []CostSum{}
	for _, currency := range slices.Sorted(maps.Keys(sums)) {
		out = append(out, *sums[currency])
	}
	return out
}

// groupsOf returns the groups. The group with the most recipients comes first.
func groupsOf(parts map[string]*groupTotals) []Group {
	out := []Group{}
	for name, p := range parts {
		out = append(out, Group{Name: name, Recipients: p.recipients, Statuses: p.statuses, Segments: p.segments, Cost: costsOf(p.cost)})
	}
	slices.SortFunc(out, func(a, b Group) int { return cmp.Or(b.Recipients-a.Recipients, strings.Compare(a.Name, b.Name)) })
	return out
}
