package producer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/sms"
)

// Forecast is the result of a preview: what would happen if the campaign were enqueued.
type Forecast struct {
	// Total is the number of recipients. It is the sum of Sent and Skipped.
	Total   int `json:"total"`
	Sent    int `json:"would_send"`
	Skipped int `json:"skipped"`
	// Reasons counts the skipped recipients by reason.
	Reasons map[string]int `json:"reasons"`
	// OtherText is the number of recipients that would be skipped as duplicates although their text
	// differs from the text that is sent to their number. With DuplicatesEach these texts would also
	// be sent.
	OtherText int `json:"duplicates_other_text,omitempty"`
	// Invalid counts the invalid numbers by the reason why they are invalid.
	Invalid map[string]int `json:"invalid"`
	// Calls is the number of requests to the gateways, if no request is repeated. It is nil if the
	// gateway of an account is not known.
	Calls *int `json:"calls"`
	// Segments is the number of segments of all messages together.
	Segments int `json:"segments"`
	// SegmentsEach is the number of segments of the longest message, and Encoding is its
	// encoding, "GSM-7" or "UCS-2".
	SegmentsEach int    `json:"segments_each"`
	Encoding     string `json:"encoding"`
	// Spread counts the messages by length, in descending order of length.
	Spread []Length `json:"spread"`
	// UCS2 names a character that makes a message UCS-2, in the form of sms.UCS2Cause. It is empty
	// if all messages are GSM-7.
	UCS2 string `json:"ucs2,omitempty"`
	// Cost is calculated from the accounts' prices. It is empty if an account has no price.
	Cost string `json:"cost,omitempty"`
	// Country is the default country of numbers in national format, as an ISO code.
	Country string `json:"country"`
	// Countries counts the recipients by country.
	Countries map[string]int    `json:"countries"`
	Accounts  []AccountForecast `json:"accounts"`
	// Samples are up to five messages as recipients would get them.
	Samples  []Sample `json:"samples"`
	Schedule Schedule `json:"schedule"`
	// Unknown lists the facts that the preview could not determine, each with the reason.
	Unknown []string `json:"not_known"`
}

// Length is the number of messages that have the same number of segments and the same encoding.
type Length struct {
	Segments int    `json:"segments"`
	Encoding string `json:"encoding"`
	Messages int    `json:"messages"`
}

// AccountForecast is the part of a Forecast about the messages that one account would send.
type AccountForecast struct {
	Account    string `json:"account"`
	Recipients int    `json:"recipients"`
	// Calls is the number of requests. It is nil if the account is not known.
	Calls    *int `json:"calls"`
	Segments int  `json:"segments"`
	// Cost is calculated from the account's price. It is empty if the account has no price.
	Cost string `json:"cost,omitempty"`
	// Balance is the balance that the gateway returned at BalanceAt.
	Balance   string     `json:"balance,omitempty"`
	BalanceAt *time.Time `json:"balance_at,omitempty"`
	// Credit is a warning about the balance. It is nil if the balance covers the cost.
	Credit *CreditGap `json:"credit,omitempty"`
	// Rate is the account's limit in units a second. 0 means unlimited.
	Rate float64 `json:"rate"`
	Unit string  `json:"unit,omitempty"`
	// Held is the reason of the account's hold. It is empty if no hold stops the campaign.
	Held string `json:"held,omitempty"`
}

// Sample is a message as the recipient would get it.
type Sample struct {
	// Row is the recipient's position in the upload, counted from 1.
	Row int `json:"row"`
	// Line is Recipient.Line.
	Line     int    `json:"line,omitempty"`
	MSISDN   string `json:"msisdn"`
	Account  string `json:"account"`
	Body     string `json:"body"`
	Segments int    `json:"segments"`
	Encoding string `json:"encoding"`
}

// forecast returns the Forecast from the counts of the preview.
func (p *preview) forecast() Forecast {
	f := &p.out
	f.Country, f.UCS2 = p.snapshot.Country, p.ucs2
	calls, callsKnown := 0, true
	for n, card := range p.cards {
		a := p.account(n, card)
		if a.Recipients == 0 && len(p.cards) > 1 {
			continue
		}
		f.Accounts = append(f.Accounts, a)
		f.Sent += a.Recipients
		f.Segments += a.Segments
		if callsKnown = callsKnown && a.Calls != nil; callsKnown {
			calls += *a.Calls
		}
	}
	if f.Skipped = f.Total - f.Sent; callsKnown {
		f.Calls = &calls
	}
	f.Cost = totalCost(f.Accounts)
	p.sortSpread()
	f.Samples = p.samples.picked(func(stream int) string { return p.snapshot.Stream(stream).Account.Name })
	f.Schedule = p.schedule()
	p.listUnknown()
	return *f
}

// account returns the forecast of account number n: the sums over the account's streams.
func (p *preview) account(n int, card accounts.Account) AccountForecast {
	a := AccountForecast{Account: card.Name, Rate: card.Rate, Unit: card.Unit, Balance: card.Balance}
	if card.Hold.Stops(p.spec.Class) {
		a.Held = card.Hold.Reason
	}
	calls := 0
	for stream := n; stream < len(p.streams); stream += len(p.cards) {
		a.Recipients += p.streams[stream].recipients
		a.Segments += p.streams[stream].segments
		calls += p.streams[stream].calls
	}
	if !p.known[n] {
		return a
	}
	a.Calls, a.BalanceAt = &calls, timeOrNil(card.BalanceAt)
	if price, ok := accounts.Money(card.Price); ok {
		a.Cost = costText(price.Amount*float64(a.Segments), price.Currency)
	}
	if g := gapOf(card, a.Segments, p.Now); g.Problem != "" && a.Recipients > 0 {
		a.Credit = &g
	}
	return a
}

// sortSpread fills in Spread, in descending order of length, and sets SegmentsEach and Encoding.
func (p *preview) sortSpread() {
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

// listUnknown fills in Forecast.Unknown.
func (p *preview) listUnknown() {
	say := func(format string, args ...any) { p.out.Unknown = append(p.out.Unknown, fmt.Sprintf(format, args...)) }
	for n, known := range p.known {
		switch {
		case known:
		case p.cards[n].Name == "":
			say("the account: the campaign names no account and no routes are configured, so calls, cost and duration are unknown too")
		default:
			say("account %s: neither the configuration nor a worker describes it, so its calls, cost and duration are unknown too", p.cards[n].Name)
		}
	}
	if p.optouts == nil {
		say("the opt-outs: Redis was not read, so recipients that have opted out are not counted as skipped")
	}
	if p.snapshot.Country == "" {
		say("the country: no country is set, so numbers in national format count as invalid")
	}
}
