package worker

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/hours"
)

// Hours are a part of each day, in local time. They begin at the time From, and end just before
// the time To.
type Hours struct {
	// From and To are times since midnight, from 0 to 24 hours. If To is not after From, the hours
	// continue past midnight.
	From, To time.Duration
}

// ParseHours parses hours such as "08:00-18:00". Seconds are optional, "24:00" is the end of the
// day, and "20:00-06:00" continues past midnight. ParseHours returns an error if the text s has
// another form, or if both times are the same.
func ParseHours(s string) (Hours, error) {
	h, err := hours.Parse(s)
	return Hours(h), err
}

// String returns the hours in the form that ParseHours parses.
func (h Hours) String() string { return hours.Hours(h).String() }

// snapshotHours returns the configured sending hours, for the plan snapshot of a campaign.
func (w *Worker) snapshotHours() (out []campaign.CountryHours) {
	for _, country := range slices.Sorted(maps.Keys(w.cfg.Windows)) {
		out = append(out, campaign.CountryHours{Country: country, Hours: w.cfg.Windows[country].String()})
	}
	return out
}

// checkSendingHours returns an error if the sending hours of a country never open. It also returns
// an error if a campaign would have too many streams. Each account of the routes needs one stream
// for each country with sending hours, and one for all other countries.
func (w *Worker) checkSendingHours() error {
	var mistakes []error
	for _, x := range w.snapshotHours() {
		if _, err := w.hours.Window(x.Country, x.Hours); err != nil {
			mistakes = append(mistakes, err)
		}
	}
	accounts := map[string]bool{}
	for _, r := range w.cfg.Routes {
		for _, name := range r.Via {
			accounts[name] = true
		}
	}
	if n := max(1, len(accounts)) * (1 + len(w.cfg.Windows)); n > campaign.MaxStreams {
		mistakes = append(mistakes, fmt.Errorf("%d accounts in the routes and %d countries with sending hours make %d streams, but a campaign can have at most %d: remove accounts or sending hours", len(accounts), len(w.cfg.Windows), n, campaign.MaxStreams))
	}
	return errors.Join(mistakes...)
}

func hoursAsText(byCountry map[string]Hours) map[string]string {
	out := map[string]string{}
	for country, h := range byCountry {
		out[country] = h.String()
	}
	return out
}
