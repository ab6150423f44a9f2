package africastalking

import (
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// reasonDoNotDisturb is the reason of code 409.
const reasonDoNotDisturb = "do_not_disturb"

// Nigeria's quiet hours are from 20:00 to 08:00 (from the vendor's page about notifications). Nigeria
// has one time zone, without summer time.
const (
	nigeria    = "234"
	quietFrom  = 20
	quietUntil = 8
)

var westAfrica = time.FixedZone("WAT", 60*60)

// deferQuiet changes the results of recipients in Nigeria that the gateway refuses with code 409 in the
// quiet hours. In these hours, code 409 does not prove that the recipient is on the do-not-disturb
// list. So the recipient's result becomes Retryable, with a wait until the quiet hours end. If the
// gateway refuses the recipient by day, the recipient is on that list, and the result stays Rejected.
// So a message is deferred at most once, by at most 12 hours.
func deferQuiet(results []providers.Result, to []sms.MSISDN, now time.Time) {
	now = now.In(westAfrica)
	end := time.Date(now.Year(), now.Month(), now.Day(), quietUntil, 0, 0, 0, westAfrica)
	switch {
	case now.Hour() >= quietFrom:
		end = end.AddDate(0, 0, 1)
	case now.Hour() >= quietUntil:
		return
	}
	for i := range results {
		r := &results[i]
		if r.Outcome == providers.Rejected && r.Reason == reasonDoNotDisturb && strings.HasPrefix(to[i].String(), nigeria) {
			r.Outcome, r.RetryAfter = providers.Retryable, end.Sub(now)
		}
	}
}
