package producer

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// CreditGap is a warning that the balance of an account might not cover the cost of a campaign.
type CreditGap struct {
	Account string `json:"account"`
	// Problem is CreditShort, CreditUnknown or CreditOld.
	Problem string `json:"problem"`
	// Cost is the campaign's highest possible cost in the unit of the balance, such as
	// "1200 credits" or "800 KES". It is empty if it cannot be calculated.
	Cost string `json:"cost,omitempty"`
	// Balance is the balance that the gateway returned at BalanceAt.
	Balance   string    `json:"balance,omitempty"`
	BalanceAt time.Time `json:"balance_at,omitzero"`
	// Warning is the problem and the advice, as text for people.
	Warning string `json:"warning"`
}

// Values of CreditGap.Problem.
const (
	// CreditShort means that the balance does not cover the highest possible cost.
	CreditShort = "short"
	// CreditUnknown means that the balance or the cost is not known.
	CreditUnknown = "unknown"
	// CreditOld means that the balance covers the cost, but was read more than 15 minutes ago.
	CreditOld = "old"
)

// balanceOld is the age above which a balance is CreditOld. Workers read the balance every five
// minutes.
const balanceOld = 15 * time.Minute

// accountSet has the accounts that a campaign may use. If the campaign names no account, it also
// has the routes that choose among these accounts.
type accountSet struct {
	all    []accounts.Account
	routes []campaign.Route
}

// estimate adds up the highest possible cost of a campaign, by account. The cost includes
// recipients that planning will skip.
type estimate struct {
	accountSet
	spec     campaign.Spec
	segments int
	// The map "loads" has the accountLoad of each account. The field "lastName" is the account of the
	// previous recipient, and "last" is the load of this account. The next recipient usually has the
	// same account, so most recipients need no search in the map.
	loads    map[string]*accountLoad
	last     *accountLoad
	lastName string
	// longest is the number of segments of the longest message, in a campaign with merge fields.
	longest int
}

// accountLoad is the number of recipients of one account and, in a campaign with merge fields,
// the segments of their messages.
type accountLoad struct{ recipients, segments int }

func newEstimate(spec campaign.Spec, set accountSet) *estimate {
	n, _ := sms.Segments(spec.Body)
	return &estimate{accountSet: set, spec: spec, segments: n, loads: map[string]*accountLoad{}}
}

// needed reports whether the campaign is new. Only the cost of a new campaign is compared with the
// balances.
func (e *estimate) needed() bool { return len(e.all) > 0 }

// add counts a recipient. The parameter "segments" is the number of segments of the recipient's
// message; it is ignored in a campaign without merge fields.
func (e *estimate) add(number string, segments int) {
	if !e.needed() {
		return
	}
	name := e.account(number)
	if e.last == nil || name != e.lastName {
		if e.loads[name] == nil {
			e.loads[name] = &accountLoad{}
		}
		e.last, e.lastName = e.loads[name], name
	}
	e.last.recipients++
	e.last.segments += segments
	e.longest = max(e.longest, segments)
}

// cost returns the highest possible cost at the given account, in segments.
func (e *estimate) cost(account string) int {
	l := e.loads[account]
	if l == nil {
		return 0
	}
	n := l.recipients
	if !e.spec.Personalized() {
		if e.spec.Capped(n) {
			n = e.spec.MessageCap()
		}
		return n * e.segments
	}
	segments := l.segments
	if e.spec.MaxMessages > 0 && n > e.spec.MaxMessages {
		segments = min(segments, e.spec.MaxMessages*e.longest)
	}
	if e.spec.MaxSegments > 0 {
		segments = min(segments, e.spec.MaxSegments)
	}
	return segments
}

// account returns the first account that the routes choose for a number, or "" if no route matches.
func (e *estimate) account(number string) string {
	if len(e.routes) == 0 {
		return e.all[0].Name
	}
	country := e.spec.Country
	if country == "" {
		country = e.all[0].Country
	}
	m, err := sms.ParseMSISDN(number, country)
	if err != nil {
		return ""
	}
	digits := m.String()
	for _, r := range e.routes {
		if strings.HasPrefix(digits, r.Match) && len(r.Via) > 0 {
			return r.Via[0]
		}
	}
	return ""
}

// gaps returns a gap for each account whose balance might not cover the cost.
func (e *estimate) gaps(now time.Time) (out []CreditGap) {
	for _, a := range e.all {
		n := e.cost(a.Name)
		if n == 0 {
			continue
		}
		if g := gapOf(a, n, now); g.Problem != "" {
			out = append(out, g)
		}
	}
	return out
}

// warnings returns the credit gaps for a receipt. In each CreditShort gap, the warning also
// explains what happens when the balance is used up.
func (e *estimate) warnings(now time.Time) []CreditGap {
	out := e.gaps(now)
	for i, g := range out {
		if g.Problem == CreditShort {
			out[i].Warning += "; when the balance is used up, the other messages wait until you top up the account"
		}
	}
	return out
}

// gapOf compares the balance of account a with the cost of the given number of segments. If the
// balance covers the cost, the Problem of the result is empty.
func gapOf(a accounts.Account, segments int, now time.Time) CreditGap {
	g := CreditGap{Account: a.Name, Problem: CreditUnknown, Balance: a.Balance, BalanceAt: a.BalanceAt}
	balance, known := accounts.Money(a.Balance)
	if !known {
		g.Warning = fmt.Sprintf("the balance of account %s is not known, so it was not compared with the cost; to read the balance: tuma balance %s", a.Name, a.Name)
		return g
	}
	balanceText := fmt.Sprintf("%s, read %s ago", a.Balance, max(0, now.Sub(a.BalanceAt)).Round(time.Second))
	each, ok := accounts.SegmentCost(balance, a.Price)
	switch {
	case !ok && a.Price == "":
		g.Warning = fmt.Sprintf("the cost was not compared with the balance of account %s (%s): give the account a price, such as \"0.80 %s\"",
			a.Name, balanceText, balance.Currency)
		return g
	case !ok:
		g.Warning = fmt.Sprintf("the cost was not compared with the balance of account %s (%s): its price, %s, is in another currency", a.Name, balanceText, a.Price)
		return g
	}
	cost := each * float64(segments)
	g.Cost = strconv.Itoa(segments) + " credits"
	if price, priced := accounts.Money(a.Price); priced {
		// The cost is rounded to six decimals, because 0.8*3 is not exact in float64.
		g.Cost = strconv.FormatFloat(math.Round(cost*1e6)/1e6, 'f', -1, 64) + " " + price.Currency
	}
	switch {
	case cost > balance.Amount+1e-6:
		g.Problem = CreditShort
		g.Warning = fmt.Sprintf("the campaign costs up to %s, but account %s has %s", g.Cost, a.Name, balanceText)
	case now.Sub(a.BalanceAt) > balanceOld:
		g.Problem = CreditOld
		g.Warning = fmt.Sprintf("the campaign costs up to %s, and the balance of account %s is old: %s", g.Cost, a.Name, balanceText)
	default:
		return CreditGap{}
	}
	return g
}

// The method "require" does nothing if the parameter "required" is false. Otherwise it returns an
// ErrNoCredit if the balance of an account does not cover the cost, or is not known. It accepts a
// balance of any age.
func (e *estimate) require(required bool, now time.Time) error {
	if !required {
		return nil
	}
	var m mistakes
	for _, g := range e.gaps(now) {
		switch g.Problem {
		case CreditOld:
			continue
		case CreditShort:
			g.Warning += "; top up the account, or send to fewer recipients"
		}
		m = append(m, &FieldError{Field: "require_credit", Problem: g.Warning, err: ErrNoCredit})
	}
	if len(m) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrInvalid, errors.Join(m...))
}

// costText formats an amount with two decimals, or with up to six decimals if the amount has more
// than two.
func costText(amount float64, currency string) string {
	digits := strconv.FormatFloat(math.Round(amount*1e6)/1e6, 'f', -1, 64)
	if _, part, _ := strings.Cut(digits, "."); len(part) < 2 {
		digits = strconv.FormatFloat(amount, 'f', 2, 64)
	}
	return strings.TrimSpace(digits + " " + currency)
}

// totalCost adds up the costs by currency. It returns "" if an account has no price.
func totalCost(forecasts []AccountForecast) string {
	sums := map[string]float64{}
	for _, a := range forecasts {
		cost, ok := accounts.Money(a.Cost)
		if !ok {
			return ""
		}
		sums[cost.Currency] += cost.Amount
	}
	var parts []string
	for _, currency := range slices.Sorted(maps.Keys(sums)) {
		parts = append(parts, costText(sums[currency], currency))
	}
	return strings.Join(parts, " + ")
}
