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

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// CreditGap is what there is to say of an account's balance before a campaign goes
// through it.
type CreditGap = ledger.CreditGap

// Problems of a CreditGap.
const (
	// CreditShort: the balance does not cover what the campaign may cost.
	CreditShort = ledger.CreditShort
	// CreditUnknown: it cannot be told whether it does.
	CreditUnknown = ledger.CreditUnknown
	// CreditOld: it does, but nobody has asked for it lately.
	CreditOld = ledger.CreditOld
)

// balanceOld is when a balance is old: serving workers ask for it every five minutes.
const balanceOld = 15 * time.Minute

// accountsOf is what is known of the accounts that a campaign may go through, and the
// routes to them if it names none.
type accountSet struct {
	all    []Account
	routes []ledger.Route
}

// estimate works out what a campaign costs at most, by account: every recipient
// counts, also one that planning will leave out.
type estimate struct {
	accountSet
	spec     ledger.Spec
	segments int
	// burdens are by account; last is that of the account counted last, which as a rule is the next one's.
	burdens  map[string]*burden
	last     *burden
	lastName string
	// most is how many segments a message has at most, where each has its own.
	most int
}

// burden is what an account has to carry: recipients, and their segments where each message
// has its own.
type burden struct{ recipients, segments int }

func newEstimate(spec ledger.Spec, accounts accountSet) *estimate {
	n, _ := sms.Segments(spec.Body)
	return &estimate{accountSet: accounts, spec: spec, segments: n, burdens: map[string]*burden{}}
}

// asked says whether anybody asks for the estimate.
func (e *estimate) asked() bool { return len(e.all) > 0 }

// add counts a recipient; segments are those of its message, in a campaign with merge
// fields.
func (e *estimate) add(number string, segments int) {
	if !e.asked() {
		return
	}
	name := e.account(number)
	if e.last == nil || name != e.lastName {
		if e.burdens[name] == nil {
			e.burdens[name] = &burden{}
		}
		e.last, e.lastName = e.burdens[name], name
	}
	e.last.recipients++
	e.last.segments += segments
	e.most = max(e.most, segments)
}

// cost is how many segments an account has to carry at most.
func (e *estimate) cost(account string) int {
	l := e.burdens[account]
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
		segments = min(segments, e.spec.MaxMessages*e.most)
	}
	if e.spec.MaxSegments > 0 {
		segments = min(segments, e.spec.MaxSegments)
	}
	return segments
}

// account is the one that a number goes through, if all goes well; empty: none.
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

// gaps says what there is to say of each account's balance.
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

// warnings are the gaps for a receipt: what becomes of the campaign is said with them.
func (e *estimate) warnings(now time.Time) []CreditGap {
	out := e.gaps(now)
	for i, g := range out {
		if g.Problem == CreditShort {
			out[i].Warning += "; when that is used up, the rest waits and goes on by itself after a top-up"
		}
	}
	return out
}

// gapOf compares an account's balance with what so many segments cost.
func gapOf(a Account, segments int, now time.Time) CreditGap {
	g := CreditGap{Account: a.Name, Problem: CreditUnknown, Balance: a.Balance, BalanceAt: a.BalanceAt}
	balance, known := ledger.Money(a.Balance)
	if !known {
		g.Warning = fmt.Sprintf("the balance of account %s is not known, so the cost was not compared with it; ask with: tuma balance %s", a.Name, a.Name)
		return g
	}
	said := fmt.Sprintf("%s, asked %s ago", a.Balance, max(0, now.Sub(a.BalanceAt)).Round(time.Second))
	each, ok := ledger.SegmentCost(balance, a.Price)
	switch {
	case !ok && a.Price == "":
		g.Warning = fmt.Sprintf("the cost was not compared with the balance of account %s (%s): give the account a price, such as \"0.80 %s\"",
			a.Name, said, balance.Currency)
		return g
	case !ok:
		g.Warning = fmt.Sprintf("the cost was not compared with the balance of account %s (%s): its price, %s, is in another currency", a.Name, said, a.Price)
		return g
	}
	cost := each * float64(segments)
	g.Cost = strconv.Itoa(segments) + " credits"
	if price, priced := ledger.Money(a.Price); priced {
		// To the last figure that means something; float64 leaves 0.8*3 a hair off.
		g.Cost = strconv.FormatFloat(math.Round(cost*1e6)/1e6, 'f', -1, 64) + " " + price.Currency
	}
	switch {
	case cost > balance.Amount+1e-6:
		g.Problem = CreditShort
		g.Warning = fmt.Sprintf("this costs up to %s, and account %s has %s", g.Cost, a.Name, said)
	case now.Sub(a.BalanceAt) > balanceOld:
		g.Problem = CreditOld
		g.Warning = fmt.Sprintf("this costs up to %s, and the balance of account %s is old: %s", g.Cost, a.Name, said)
	default:
		return CreditGap{}
	}
	return g
}

// require errs if there may be too little credit, and credit is required.
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
			g.Warning += "; top it up, or send to fewer"
		}
		m = append(m, &FieldError{Field: "require_credit", Problem: g.Warning, err: ErrNoCredit})
	}
	if len(m) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrInvalid, errors.Join(m...))
}

// costText writes an amount with two decimals, or as many as it needs.
func costText(amount float64, currency string) string {
	digits := strconv.FormatFloat(math.Round(amount*1e6)/1e6, 'f', -1, 64)
	if _, part, _ := strings.Cut(digits, "."); len(part) < 2 {
		digits = strconv.FormatFloat(amount, 'f', 2, 64)
	}
	return strings.TrimSpace(digits + " " + currency)
}

// totalCost adds up what accounts cost, by currency; empty if one of them has no price.
func totalCost(accounts []AccountForecast) string {
	sums := map[string]float64{}
	for _, a := range accounts {
		cost, ok := ledger.Money(a.Cost)
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
