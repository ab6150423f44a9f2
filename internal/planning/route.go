package planning

import (
	"errors"
	"strings"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// RouteOf are the accounts, in order of preference, of the first route that matches a
// number, given as digits; nil: there is none.
func RouteOf(f ledger.PlanSnapshot, digits string) []string {
	for _, r := range f.Routes {
		if strings.HasPrefix(digits, r.Match) && len(r.Via) > 0 {
			return r.Via
		}
	}
	return nil
}

// AccountNumber is the place of an account among those of a campaign, by its name; -1: it
// is none of them.
func AccountNumber(f ledger.PlanSnapshot, name string) int {
	for i, a := range f.Accounts {
		if a.Name == name {
			return i
		}
	}
	return -1
}

// route is the number of the account that a recipient goes through: the first of its route
// that takes the body and was not held for long when planning began; the first that takes
// it, if all were. Without one there is a reason.
func (p *Planner) route(m sms.MSISDN, body string) (account int, reason string) {
	if len(p.snapshot.Routes) == 0 {
		if !p.snapshot.Accounts[0].AcceptsBody(body) {
			return 0, ledger.ReasonBodyTooLong
		}
		return 0, ""
	}
	held, short := -1, false
	for _, name := range RouteOf(p.snapshot, m.String()) {
		n := AccountNumber(p.snapshot, name)
		switch {
		case n < 0:
		case !p.snapshot.Accounts[n].AcceptsBody(body):
			short = true
		case !p.snapshot.Accounts[n].Held:
			return n, ""
		case held < 0:
			held = n
		}
	}
	switch {
	case held >= 0:
		return held, ""
	case short:
		return 0, ledger.ReasonBodyTooLong
	}
	return 0, ledger.ReasonNoRoute
}

// window is the number, from 1, of the window that a recipient is sent to in; 0: none.
func (p *Planner) hoursIndex(m sms.MSISDN) int {
	if len(p.codes) == 0 {
		return 0
	}
	digits, country := m.String(), ""
	for i, w := range p.snapshot.SendingHours {
		if !strings.HasPrefix(digits, p.codes[i]) {
			continue
		}
		if country == "" {
			country = m.Country()
		}
		if country == w.Country {
			return i + 1
		}
	}
	return 0
}

// callingCodes spares most numbers the question which country they belong to.
func callingCodes(f ledger.PlanSnapshot) (out []string) {
	for _, w := range f.SendingHours {
		out = append(out, sms.CallingCode(w.Country))
	}
	return out
}

// numberCode says more exactly why a number is invalid.
func numberCode(err error) string {
	if n, ok := errors.AsType[*sms.NumberError](err); ok {
		return string(n.Reason)
	}
	return "invalid"
}
