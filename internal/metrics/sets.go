// Package metrics has every metric that Tuma exports: its name, its help and its labels. Workers and
// `tuma serve` count through the types of this package. The value of a label is the name of an
// account, or a value of a closed set. It is never a campaign, a phone number, a text or a key.
package metrics

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// Each of these variables lists all values of one label. The series of all values exist from the
// start, at zero.
var (
	// Outcomes are the outcomes of a message.
	Outcomes = []string{"accepted", "rejected", "unknown", "skipped", "delivered", "undelivered"}
	// CallResults are the results of a call.
	CallResults = []string{"ok", "rejected", "retryable", "unknown"}
	// Repairs are the kinds of repairs that the sweeper makes.
	Repairs = []string{"wake", "retry", "failover", "write_off", "quarantine"}
	// ReportResults are the results of a delivery report.
	ReportResults = []string{"delivered", "undelivered", "pending", "duplicate", "parked", "unmatched", "late"}
	// CallbackKinds are the kinds of callbacks.
	CallbackKinds = []string{"delivery", "inbound", "optout"}
	// CallbackResults are the results of a callback: it is stored, cannot be read, or is not stored.
	CallbackResults = []string{"ok", "invalid", "failed"}
	// ReloadResults are the results of reading the configuration again.
	ReloadResults = []string{"ok", "failed"}
	// TaskStates are the states of tasks in asynq's queues.
	TaskStates = []string{"pending", "retry", "archived"}

	classes = []campaign.Class{campaign.Marketing, campaign.Transactional}
	states  = []campaign.State{campaign.Uploading, campaign.Scheduled, campaign.Planning, campaign.Sending, campaign.Paused, campaign.Cancelled, campaign.Done}
)

// Account is an account whose series exist from the start.
type Account struct {
	Name, Provider string
	Rate           float64 // units a second; 0: unlimited
	Concurrency    int     // maximum number of calls that this worker makes at once
}

// maxSeries is the maximum number of series of a worker with up to 50 accounts.
const maxSeries = 2000

const (
	// seriesOfAccount is the number of series that a worker has for each account, not counting the
	// optional buckets. It consists of 26 counters and gauges, and of four histograms with three
	// series each.
	seriesOfAccount = 26 + 4*3
	// otherSeries is an upper bound for the number of a worker's other series. These include the
	// series of the Go runtime.
	otherSeries = 95
)

// Buckets in seconds.
var (
	callBuckets  = []float64{0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30}
	shortBuckets = []float64{0.001, 0.005, 0.025, 0.1, 0.5, 2.5}
)

// bucketsFor returns the buckets of histograms for the given number of accounts. With more than 29 accounts
// it returns fewer buckets, so that the number of series stays below maxSeries. It first leaves out buckets of
// shortBuckets. If that is not enough, it also leaves out buckets of callBuckets.
func bucketsFor(accounts int) (calls, short []float64) {
	free := (maxSeries-otherSeries)/max(1, accounts) - seriesOfAccount
	calls = spread(callBuckets, free)
	return calls, spread(shortBuckets, (free-len(calls))/3)
}

// spread selects n buckets from the parameter "all", evenly spread. It always selects the last bucket. If n
// is not positive, spread returns no buckets.
func spread(all []float64, n int) (out []float64) {
	n = min(n, len(all))
	for i := 1; i <= n; i++ {
		out = append(out, all[i*len(all)/n-1])
	}
	return out
}

// histogram returns a histogram that has two forms of buckets: classic buckets, which every Prometheus can
// read, and native buckets, which add no series.
func histogram(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets,
		NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: 80}, labels)
}

func counter(name, help string, labels ...string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
}

func gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
}

// register registers either all collectors or, after an error, none of them.
func register(reg prometheus.Registerer, all ...prometheus.Collector) error {
	for i, c := range all {
		if err := reg.Register(c); err != nil {
			for _, done := range all[:i] {
				reg.Unregister(done)
			}
			return err
		}
	}
	return nil
}
