package planning

import (
	"errors"
	"strings"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// RouteOf finds the first route that matches the number and has accounts. It returns the accounts
// of this route, in order of preference. digits is the number in international format. RouteOf
// returns nil if no route matches.
func RouteOf(f campaign.PlanSnapshot, digits string) []string {
	for _, r := range f.Routes {
		if strings.HasPrefix(digits, r.Match) && len(r.Via) > 0 {
			return r.Via
		}
	}
	return nil
}

// AccountNumber finds the account with the given name in the accounts of a snapshot, and returns its
// index. It returns -1 if the snapshot does not have this account.
func AccountNumber(f campaign.PlanSnapshot, name string) int {
	for i, a := range f.Accounts {
		if a.Name == name {
			return i
		}
	}
	return -1
}

// The method "route" returns the index of the account through which the message to m is sent. It
// chooses the first account of the recipient's route that accepts the body and is not marked as Held
// in the snapshot. If all accounts that accept the body are Held, it chooses the first of them. If
// no account accepts the body, the method returns a reason.
func (p *Planner) route(m sms.MSISDN, body string) (account int, reason string) {
	if len(p.snapshot.Routes) == 0 {
		if !p.snapshot.Accounts[0].AcceptsBody(body) {
			return 0, campaign.ReasonBodyTooLong
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
		return 0, campaign.ReasonBodyTooLong
	}
	return 0, campaign.ReasonNoRoute
}

// hoursIndex returns the index, counted from 1, of the recipient's country in SendingHours. It
// returns 0 if the country has no sending hours.
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

// callingCodes returns the calling code of each country with sending hours. Most numbers have
// none of these codes, so their country need not be determined.
func callingCodes(f campaign.PlanSnapshot) (out []string) {
	for _, w := range f.SendingHours {
		out = append(out, sms.CallingCode(w.Country))
	}
	return out
}

// numberCode returns the code that says in detail why a number is invalid.
func numberCode(err error) string {
	if n, ok := errors.AsType[*sms.NumberError](err); ok {
		return string(n.Reason)
	}
	return "invalid"
}
