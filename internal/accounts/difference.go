package accounts

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// Difference is a setting in which the configuration of a worker differs from the value in force.
type Difference struct {
	Worker string // name of the worker; empty in the result of Against
	// Account is the account to which the setting belongs. It is empty for a setting of the cluster.
	Account string
	// Setting is the key in the configuration, e.g. "rate" or "default_country".
	Setting string
	// Own is the worker's value. InForce is the value in force. Both are texts for a human reader.
	Own, InForce string
	// Since is the time at which the difference began. It is the start of the worker, or the time
	// from which the value is in force, whichever is later.
	Since time.Time
}

// Against returns the settings of "own" that differ from the settings in force.
func (own Settings) Against(in InForce) (out []Difference) {
	add := func(setting, a, b string) {
		if a != b {
			out = append(out, Difference{Setting: setting, Own: a, InForce: b, Since: in.Since})
		}
	}
	now := in.Settings
	add("default_country", orNone(own.Country), orNone(now.Country))
	add("windows", WindowsText(own.Windows), WindowsText(now.Windows))
	add("routes", routesText(own.Routes), routesText(now.Routes))
	add("retention", own.Retention.String(), now.Retention.String())
	add("failover_after", own.FailoverAfter.String(), now.FailoverAfter.String())
	return out
}

// Against returns the limits of "own" that differ from the account's limits in force. A burst of 0
// means the default, which is computed from the rate.
func (own Limits) Against(in campaign.Card, since time.Time) (out []Difference) {
	add := func(setting, a, b string) {
		if a != b {
			out = append(out, Difference{Account: in.Name, Setting: setting, Own: a, InForce: b, Since: since})
		}
	}
	add("rate", rateText(own.Rate), rateText(in.Rate))
	add("burst", burstText(own.Burst), burstText(in.Burst))
	add("unit", own.Unit, in.Unit)
	return out
}

// ofWorker sets the worker of each difference. The worker has been running since the time "start".
// If Since is earlier, it is set to "start", because a difference cannot be older than its worker.
func ofWorker(worker string, start time.Time, all []Difference) []Difference {
	for i := range all {
		all[i].Worker = worker
		if start.After(all[i].Since) {
			all[i].Since = start
		}
	}
	return all
}

// limitDifferences compares the limits of each live worker of an account with the card in force. It
// returns the differences. The parameter "fields" is the account's hash.
func limitDifferences(fields map[string]string, card campaign.Card, now time.Time) (out []Difference) {
	since := script.Milli(fields["since"])
	for _, k := range slices.Sorted(maps.Keys(fields)) {
		worker, ok := strings.CutPrefix(k, workerField)
		words := strings.SplitN(fields[k], " ", 4)
		var own Limits
		if !ok || len(words) < 4 || now.Sub(script.Milli(words[0])) >= WorkerLife || json.Unmarshal([]byte(words[3]), &own) != nil {
			continue
		}
		out = append(out, ofWorker(worker, script.Milli(words[2]), own.Against(card, since))...)
	}
	return out
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func rateText(rate float64) string {
	if rate == 0 {
		return "unlimited"
	}
	return strconv.FormatFloat(rate, 'f', -1, 64) + "/s"
}

func burstText(burst float64) string {
	if burst == 0 {
		return "the default"
	}
	return strconv.FormatFloat(burst, 'f', -1, 64)
}

// WindowsText returns sending hours as a text for a human reader: "KE 08:00-18:00, NG 08:00-20:00",
// or "off".
func WindowsText(windows map[string]string) string {
	var parts []string
	for _, country := range slices.Sorted(maps.Keys(windows)) {
		parts = append(parts, country+" "+windows[country])
	}
	if len(parts) == 0 {
		return "off"
	}
	return strings.Join(parts, ", ")
}

func routesText(routes []campaign.Route) string {
	var parts []string
	for _, r := range routes {
		parts = append(parts, fmt.Sprintf("%q via %s", r.Match, strings.Join(r.Via, ", ")))
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, "; ")
}
