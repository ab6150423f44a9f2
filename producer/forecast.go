package producer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// Forecast is what a campaign would come to.
type Forecast struct {
	// Total is the sum of Sent and Skipped.
	Total   int `json:"total"`
	Sent    int `json:"would_send"`
	Skipped int `json:"skipped"`
	// Reasons count the skipped by reason, Invalid the invalid numbers by what is wrong
	// with them.
	Reasons map[string]int `json:"reasons"`
	Invalid map[string]int `json:"invalid"`
	// Calls is how many requests the gateways get if none has to be repeated; nil: an
	// account is not known.
	Calls *int `json:"calls"`
	// Segments are those of all messages. SegmentsEach is what the longest message takes,
	// and Encoding is its alphabet. Spread counts the messages by both.
	Segments     int      `json:"segments"`
	SegmentsEach int      `json:"segments_each"`
	Encoding     string   `json:"encoding"`
	Spread       []Length `json:"spread"`
	// UCS2 says which character makes messages UCS-2; empty: none are.
	UCS2 string `json:"ucs2,omitempty"`
	// Cost is by the accounts' prices, empty if one of them has none.
	Cost string `json:"cost,omitempty"`
	// Country is what national numbers were read as; Countries count whom it is sent to.
	Country   string            `json:"country"`
	Countries map[string]int    `json:"countries"`
	Accounts  []AccountForecast `json:"accounts"`
	Samples   []Sample          `json:"samples"`
	Schedule  Schedule          `json:"schedule"`
	// Unknown says, in words, what could not be known.
	Unknown []string `json:"not_known"`
}

// Length is how many messages have so many segments.
type Length struct {
	Segments int    `json:"segments"`
	Encoding string `json:"encoding"`
	Messages int    `json:"messages"`
}

// AccountForecast is an account's part of a Forecast.
type AccountForecast struct {
	Account    string `json:"account"`
	Recipients int    `json:"recipients"`
	// Calls is nil if the account is not known.
	Calls    *int `json:"calls"`
	Segments int  `json:"segments"`
	// Cost is by its price, empty without one. Balance is what its gateway said at BalanceAt.
	Cost      string     `json:"cost,omitempty"`
	Balance   string     `json:"balance,omitempty"`
	BalanceAt *time.Time `json:"balance_at,omitempty"`
	// Credit says what there is to say of the balance; nil: it covers the cost.
	Credit *CreditGap `json:"credit,omitempty"`
	// Rate is in its Unit a second; 0: unlimited.
	Rate float64 `json:"rate"`
	Unit string  `json:"unit,omitempty"`
	// Held is why it is held at the moment, or empty.
	Held string `json:"held,omitempty"`
}

// Sample is a message as it would go out.
type Sample struct {
	Row      int    `json:"row"`
	MSISDN   string `json:"msisdn"`
	Account  string `json:"account"`
	Body     string `json:"body"`
	Segments int    `json:"segments"`
	Encoding string `json:"encoding"`
}

// forecast sums up.
func (p *preview) forecast() Forecast {
	f := &p.out
	f.Country, f.UCS2 = p.frozen.Country, p.why
	calls, told := 0, true
	for n, card := range p.cards {
		a := p.account(n, card)
		if a.Recipients == 0 && len(p.cards) > 1 {
			continue
		}
		f.Accounts = append(f.Accounts, a)
		f.Sent += a.Recipients
		f.Segments += a.Segments
		if told = told && a.Calls != nil; told {
			calls += *a.Calls
		}
	}
	if f.Skipped = f.Total - f.Sent; told {
		f.Calls = &calls
	}
	f.Cost = totalCost(f.Accounts)
	p.lengths()
	f.Samples = p.samples.picked(func(stream int) string { return p.frozen.Stream(stream).Account.Name })
	f.Schedule = p.schedule()
	p.unknown()
	return *f
}

// account sums up one of the accounts.
func (p *preview) account(n int, card Account) AccountForecast {
	a := AccountForecast{Account: card.Name, Rate: card.Rate, Unit: card.Unit, Balance: card.Balance, Held: card.Hold.Reason}
	calls := 0
	for stream := n; stream < len(p.lanes); stream += len(p.cards) {
		a.Recipients += p.lanes[stream].recipients
		a.Segments += p.lanes[stream].segments
		calls += p.lanes[stream].calls
	}
	if !p.known[n] {
		return a
	}
	a.Calls, a.BalanceAt = &calls, timeOrNil(card.BalanceAt)
	if price, ok := ledger.Money(card.Price); ok {
		a.Cost = costText(price.Amount*float64(a.Segments), price.Currency)
	}
	if g := gapOf(card, a.Segments, p.Now); g.Problem != "" && a.Recipients > 0 {
		a.Credit = &g
	}
	return a
}

// lengths puts the spread into order, the longest message first.
func (p *preview) lengths() {
	f := &p.out
	f.Spread = []Length{}
	for l, n := range p.spread {
		l.Messages = n
		f.Spread = append(f.Spread, l)
	}
	slices.SortFunc(f.Spread, func(a, b Length) int { return cmp.Or(b.Segments-a.Segments, strings.Compare(a.Encoding, b.Encoding)) })
	if len(f.Spread) > 0 {
		f.SegmentsEach, f.Encoding = f.Spread[0].Segments, f.Spread[0].Encoding
		return
	}
	n, encoding := sms.Segments(p.spec.ShortBody())
	f.SegmentsEach, f.Encoding = n, encoding.String()
}

func (p *preview) unknown() {
	say := func(format string, args ...any) { p.out.Unknown = append(p.out.Unknown, fmt.Sprintf(format, args...)) }
	for n, known := range p.known {
		switch {
		case known:
		case p.cards[n].Name == "":
			say("which account they go through, for none is named and there are no routes: so not the calls, the cost and the time it takes")
		default:
			say("account %s, which neither the configuration nor a worker tells of: so not its calls, cost and the time it takes", p.cards[n].Name)
		}
	}
	if p.ledger == nil {
		say("who has opted out, which Redis tells: they would be left out too")
	}
	if p.frozen.Country == "" {
		say("the country of numbers in national form, which count as invalid")
	}
}
