package metrics

import (
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Server has the metrics that `tuma serve` counts. Its methods are safe for concurrent use.
type Server struct {
	messages, reports, callbacks, inbound, optouts *prometheus.CounterVec
	seconds                                        *prometheus.HistogramVec
	providers                                      map[string]string
}

// callbackBuckets has only few buckets, because each combination of account, kind and result may
// have a histogram.
var callbackBuckets = []float64{0.01, 0.1, 1}

// NewServer registers the metrics of a server, and the metrics that the parameter "source"
// reads. The parameter "accounts" has all accounts of the configuration. The parameter "doors"
// names the accounts for which gateways may send callbacks. A histogram of callbacks exists from
// the first callback of its account, kind and result.
func NewServer(reg prometheus.Registerer, accounts []Account, doors []string, source *Source) (*Server, error) {
	s := &Server{messages: newMessages(), providers: map[string]string{},
		reports:   counter("tuma_reports_total", "Delivery reports by result.", "account", "result"),
		callbacks: counter("tuma_callbacks_total", "Callbacks of gateways by result: stored, not readable, or not stored.", "account", "kind", "result"),
		seconds:   histogram("tuma_callback_seconds", "Time to answer callbacks.", callbackBuckets, "account", "kind", "result"),
		inbound:   counter("tuma_inbound_total", "Stored messages from subscribers.", "account"),
		optouts:   counter("tuma_optouts_total", "Opt-outs that came as an opt-out word of a subscriber, or as a callback of a gateway.", "account")}
	for _, a := range accounts {
		s.providers[a.Name] = a.Provider
		seedMessages(s.messages, a)
		s.inbound.WithLabelValues(a.Name)
		s.optouts.WithLabelValues(a.Name)
		for _, r := range ReportResults {
			s.reports.WithLabelValues(a.Name, r)
		}
		for _, kind := range CallbackKinds {
			for _, r := range CallbackResults {
				if slices.Contains(doors, a.Name) {
					s.callbacks.WithLabelValues(a.Name, kind, r)
				}
			}
		}
	}
	if err := register(reg, s.messages, s.reports, s.callbacks, s.seconds, s.inbound, s.optouts, source); err != nil {
		return nil, fmt.Errorf("register metrics of server: %w", err)
	}
	return s, nil
}

// Callback counts a callback that an account's gateway has sent.
func (s *Server) Callback(account, kind, result string, d time.Duration) {
	s.callbacks.WithLabelValues(account, kind, result).Inc()
	s.seconds.WithLabelValues(account, kind, result).Observe(d.Seconds())
}

// Inbound counts a stored message from a subscriber.
func (s *Server) Inbound(account string) { s.inbound.WithLabelValues(account).Inc() }

// OptOut counts opt-outs that were written.
func (s *Server) OptOut(account string, n int) { s.optouts.WithLabelValues(account).Add(float64(n)) }

// Report counts delivery reports with a result, one of ReportResults. If a message became delivered or
// undelivered, Report also counts this outcome of the message.
func (s *Server) Report(account, result string, n int) {
	s.reports.WithLabelValues(account, result).Add(float64(n))
	if result == "delivered" || result == "undelivered" {
		s.messages.WithLabelValues(account, s.providers[account], result).Add(float64(n))
	}
}
