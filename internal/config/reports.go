package config

import (
	"strings"

	"github.com/tuma-sms/tuma/worker"
)

// reports reads which delivery reports an account collects.
func (r *reader) reports(e entry, target *string) {
	text, ok := r.text(e)
	if !ok {
		return
	}
	if strings.HasPrefix(text, "sample:") {
		r.fail(e, "%s: this release has no samples, which are for gateways without callbacks; use all or off", show(e))
		return
	}
	r.oneOf(e, target, worker.ReportsAll, worker.ReportsOff)
}

// settleReports checks the setting "reports" against the gateway of an account, and sets its default:
// all reports where the gateway sends them to a door that is open, else none.
func (r *reader) settleReports(acc *Account, e entry, given map[string]entry) {
	// A gateway with idempotency keys needs no proof of messages, and its ids are not indexed.
	can := acc.Info.DLRNamesRecipient && acc.Info.KeyTTL == 0
	w := &acc.Worker
	switch {
	case w.Reports == "" && can && acc.HasCallbackKey: // also where only tuma serve can read the secret
		w.Reports = worker.ReportsAll
	case w.Reports == "":
		w.Reports = worker.ReportsOff
	case w.Reports == worker.ReportsAll && !can && acc.Info.Name != "":
		at, ok := given["reports"]
		if !ok {
			at = e
		}
		r.fail(at, "this release does not collect delivery reports of provider %s; use off", acc.Info.Name)
	}
}
