package metrics

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// Worker has the metrics that a worker counts. Its methods are safe for concurrent use. It implements
// sweep.Meter.
type Worker struct {
	messages *prometheus.CounterVec
	repairs  *prometheus.CounterVec
	breaches prometheus.Counter
	accounts map[string]*Sending
}

// Sending has the metrics of one account in one worker. Its methods are safe for concurrent use.
type Sending struct {
	outcomes                  map[campaign.Status]prometheus.Counter
	calls                     map[string]prometheus.Counter
	call, wait, claim, settle prometheus.Observer
	inFlight                  prometheus.Gauge
	granted                   prometheus.Counter
}

// NewWorker registers the metrics of a worker that serves the accounts, and the metrics that the
// parameter "source" reads. If it returns an error, it has registered no metrics. An error occurs, for
// example, if the registry has the metrics of another worker.
func NewWorker(reg prometheus.Registerer, accounts []Account, source *Source) (*Worker, error) {
	long, short := bucketsFor(len(accounts))
	w := &Worker{messages: newMessages(), accounts: map[string]*Sending{},
		repairs:  counter("tuma_sweeper_repairs_total", "Repairs that the sweeper of this process made.", "kind"),
		breaches: prometheus.NewCounter(prometheus.CounterOpts{Name: "tuma_invariant_breaches_total", Help: "Campaigns whose counts contradict each other, or contradict the campaign's results. Must stay 0."})}
	calls := counter("tuma_calls_total", "Calls to the gateway by result.", "account", "provider", "result")
	seconds := histogram("tuma_call_seconds", "Duration of calls to the gateway.", long, "account")
	waits := histogram("tuma_reserve_wait_seconds", "Time that calls waited for a turn from the account's rate.", short, "account")
	claims := histogram("tuma_claim_seconds", "Time to claim a call in Redis.", short, "account")
	settles := histogram("tuma_settle_seconds", "Time to write the outcome of a call to Redis.", short, "account")
	inFlight := gauge("tuma_calls_in_flight", "Calls of this worker that wait for the gateway.", "account")
	slots := gauge("tuma_slots", "Calls that this worker can make at once.", "account")
	granted := counter("tuma_rate_granted_total", "Messages, segments or requests that this worker's calls took from the account's rate.", "account")
	for _, k := range Repairs {
		w.repairs.WithLabelValues(k)
	}
	for _, a := range accounts {
		seedMessages(w.messages, a)
		slots.WithLabelValues(a.Name).Set(float64(a.Concurrency))
		s := &Sending{outcomes: map[campaign.Status]prometheus.Counter{}, calls: map[string]prometheus.Counter{}, call: seconds.WithLabelValues(a.Name),
			wait: waits.WithLabelValues(a.Name), claim: claims.WithLabelValues(a.Name), settle: settles.WithLabelValues(a.Name),
			inFlight: inFlight.WithLabelValues(a.Name), granted: granted.WithLabelValues(a.Name)}
		for _, st := range []campaign.Status{campaign.Accepted, campaign.Rejected, campaign.Unknown, campaign.Delivered, campaign.Undelivered} {
			s.outcomes[st] = w.messages.WithLabelValues(a.Name, a.Provider, st.String())
		}
		for _, r := range CallResults {
			s.calls[r] = calls.WithLabelValues(a.Name, a.Provider, r)
		}
		w.accounts[a.Name] = s
	}
	if err := register(reg, w.messages, w.repairs, w.breaches, calls, seconds, waits, claims, settles, inFlight, slots, granted, source); err != nil {
		return nil, fmt.Errorf("register metrics of worker: %w", err)
	}
	return w, nil
}

func newMessages() *prometheus.CounterVec {
	return counter("tuma_messages_total", "Messages by recorded outcome. A message that is sent again counts again.", "account", "provider", "outcome")
}

func seedMessages(messages *prometheus.CounterVec, a Account) {
	for _, o := range Outcomes {
		messages.WithLabelValues(a.Name, a.Provider, o)
	}
}

// Account returns the metrics of an account that the worker serves.
func (w *Worker) Account(name string) *Sending { return w.accounts[name] }

// Repaired counts a repair that the sweeper has made.
func (w *Worker) Repaired(kind string) { w.repairs.WithLabelValues(kind).Inc() }

// Breached counts a campaign whose counts contradict each other, or contradict the results of its
// recipients.
func (w *Worker) Breached() { w.breaches.Inc() }

// Skipped counts skipped recipients of an account. This worker may or may not serve the account.
func (w *Worker) Skipped(account, provider string, n int) {
	if n > 0 {
		w.messages.WithLabelValues(account, provider, "skipped").Add(float64(n))
	}
}

// Waited records how long a call waited for its turn.
func (s *Sending) Waited(d time.Duration) { s.wait.Observe(d.Seconds()) }

// Claimed records how long a granted claim took.
func (s *Sending) Claimed(d time.Duration) { s.claim.Observe(d.Seconds()) }

// CallBegins counts a call as in flight. The parameter "units" is how many units the call takes from
// the account's rate.
func (s *Sending) CallBegins(units int) {
	s.inFlight.Inc()
	s.granted.Add(float64(units))
}

// CallEnds records the duration and the result of a call. The parameter "traceID" is the ID of the call's
// trace, or "" if the call has none. CallEnds stores this ID as an exemplar of the duration.
func (s *Sending) CallEnds(d time.Duration, result, traceID string) {
	s.inFlight.Dec()
	if o, ok := s.call.(prometheus.ExemplarObserver); ok && traceID != "" {
		o.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"trace_id": traceID})
	} else {
		s.call.Observe(d.Seconds())
	}
	if c := s.calls[result]; c != nil {
		c.Inc()
	}
}

// Settled records how long the settle of a claim took.
func (s *Sending) Settled(d time.Duration) { s.settle.Observe(d.Seconds()) }

// Recorded counts the outcomes of messages.
func (s *Sending) Recorded(records []campaign.Record) {
	var n [16]int
	for _, r := range records {
		if int(r.Status) < len(n) {
			n[r.Status]++
		}
	}
	for st, c := range s.outcomes {
		if n[st] > 0 {
			c.Add(float64(n[st]))
		}
	}
}

// Reported counts delivery reports whose result is "delivered" or "undelivered" as outcomes of messages.
func (s *Sending) Reported(result string, n int) {
	if st, ok := campaign.ParseStatus(result); ok && s.outcomes[st] != nil {
		s.outcomes[st].Add(float64(n))
	}
}
