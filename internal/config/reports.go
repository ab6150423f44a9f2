package config

import (
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/ratelimit"
	"github.com/tuma-sms/tuma/worker"
)

// reportRate reads how many requests a second may ask for delivery reports.
func (r *reader) reportRate(e entry, target *ratelimit.Rate) {
	r.rate(e, target)
	const fastest = 1000
	if text, ok := r.text(e); ok && text == "0" || *target > fastest {
		r.fail(e, "%s must be a rate from 1/m to 1000/s; to ask for no delivery reports, set reports: off", show(e))
	}
}

// The method "reports" reads which delivery reports an account collects.
func (r *reader) reports(e entry, target *string) {
	text, ok := r.text(e)
	if !ok {
		return
	}
	switch {
	case worker.SampleSize(text) > 0:
		*target = text
	case strings.HasPrefix(text, worker.ReportsSample):
		r.fail(e, "%s must be \"sample:\" followed by a number from 1 to %d", show(e), worker.MaxReportSample)
	default:
		r.oneOf(e, target, worker.ReportsAll, worker.ReportsOff, defaultSample)
	}
}

// defaultSample is the default of the setting "reports" for a gateway at which each delivery report costs a
// request.
const defaultSample = worker.ReportsSample + "1000"

// settleReports checks the setting "reports" against the gateway of an account, and sets its default. If
// the gateway sends its reports or lists many reports in one answer, the default is all reports. If each
// report costs a request, the default is a sample. If Tuma cannot collect the reports, the default is off.
// The parameter "provider" is nil if the account's settings are wrong.
func (r *reader) settleReports(acc *Account, e entry, given map[string]entry, provider providers.Provider) {
	polled := provider != nil && worker.Polls(provider)
	_, lists := provider.(providers.SpanPoller)
	acc.Polled = polled
	// Tuma does not index the message ids of a gateway with idempotency keys. So it cannot match the reports
	// that such a gateway posts.
	posted := acc.Info.DLRNamesRecipient && acc.Info.KeyTTL == 0 && !polled
	can := posted || polled
	w := &acc.Worker
	at, ok := given["reports"]
	if !ok {
		at = e
	}
	switch {
	case w.Reports == "" && polled && (acc.NamesCallback || lists):
		w.Reports = worker.ReportsAll
	case w.Reports == "" && polled:
		w.Reports = defaultSample
	case w.Reports == "" && posted && acc.HasCallbackKey: // the callback secret may be missing, because only `tuma serve` needs it
		w.Reports = worker.ReportsAll
	case w.Reports == "":
		w.Reports = worker.ReportsOff
	case w.Reports == worker.ReportsAll && !can && acc.Info.Name != "":
		r.fail(at, "provider %s has no delivery reports that Tuma can match; write \"off\"", acc.Info.Name)
	case worker.SampleSize(w.Reports) > 0 && !polled && acc.Info.Name != "":
		r.fail(at, "Tuma takes samples only from gateways that it asks for reports, and it does not ask %s; write \"all\" or \"off\"", acc.Info.Name)
	}
}
