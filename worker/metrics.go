package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/census"
	"github.com/tuma-sms/tuma/internal/metrics"
	"github.com/tuma-sms/tuma/internal/redisguard"
	"github.com/tuma-sms/tuma/internal/tracking"
)

// loadEvery is how often a worker stores how fast its gateways answer. Tuma computes the number of desired
// workers from these measurements.
const loadEvery = 4 * time.Second

// accountMeter implements dispatch.Meter. It measures the load of an account. If Config.Metrics is set, it
// also updates the metrics of the account.
type accountMeter struct {
	load    *census.Recorder
	metrics *metrics.Sending // nil if Config.Metrics is not set
}

// Waited implements dispatch.Meter.
func (m accountMeter) Waited(d time.Duration) {
	if m.metrics != nil {
		m.metrics.Waited(d)
	}
}

// Claimed implements dispatch.Meter.
func (m accountMeter) Claimed(d time.Duration) {
	if m.metrics != nil {
		m.metrics.Claimed(d)
	}
}

// CallBegins implements dispatch.Meter.
func (m accountMeter) CallBegins(units int) {
	if m.metrics != nil {
		m.metrics.CallBegins(units)
	}
}

// CallEnds implements dispatch.Meter.
func (m accountMeter) CallEnds(d time.Duration, result string, recipients, units int, traceID string) {
	m.load.Note(d, recipients, units)
	if m.metrics != nil {
		m.metrics.CallEnds(d, result, traceID)
	}
}

// Settled implements dispatch.Meter.
func (m accountMeter) Settled(d time.Duration) {
	if m.metrics != nil {
		m.metrics.Settled(d)
	}
}

// Recorded implements dispatch.Meter.
func (m accountMeter) Recorded(records []campaign.Record) {
	if m.metrics != nil {
		m.metrics.Recorded(records)
	}
}

// noSweepMeter implements sweep.Meter for a worker without metrics.
type noSweepMeter struct{}

// Repaired implements sweep.Meter.
func (noSweepMeter) Repaired(string) {}

// Breached implements sweep.Meter.
func (noSweepMeter) Breached() {}

// Skipped implements sweep.Meter.
func (noSweepMeter) Skipped(string, string, int) {}

// registerMetrics registers the metrics of the worker, if Config.Metrics is set.
func (w *Worker) registerMetrics() error {
	if w.cfg.Metrics == nil {
		return nil
	}
	var all []metrics.Account
	for _, name := range slices.Sorted(maps.Keys(w.accounts)) {
		a := w.accounts[name]
		all = append(all, metrics.Account{Name: name, Provider: a.info.Name, Rate: float64(a.Rate), Concurrency: a.Concurrency})
	}
	source := metrics.NewSource(all, w.censuses.Last, func(ctx context.Context) (metrics.Redis, error) {
		g, err := redisguard.ReadGauges(ctx, w.cfg.Redis)
		return metrics.Redis(g), err
	})
	var err error
	if w.metrics, err = metrics.NewWorker(w.cfg.Metrics, all, source); err != nil {
		return fmt.Errorf("new worker: %w", err)
	}
	return nil
}

// meter returns the meter of an account.
func (w *Worker) meter(a *account) accountMeter {
	m := accountMeter{load: &a.load}
	if w.metrics != nil {
		m.metrics = w.metrics.Account(a.Name)
	}
	return m
}

// countReports returns a function that counts the parked delivery reports which a settle applies. It
// returns nil if Config.Metrics is not set.
func (w *Worker) countReports(account string) func(tracking.Result, int) {
	if w.metrics == nil {
		return nil
	}
	return func(r tracking.Result, n int) { w.metrics.Account(account).Reported(string(r), n) }
}

// storeLoad stores in Redis how fast the gateways of this worker answer.
func (w *Worker) storeLoad(ctx context.Context) error {
	now, err := w.ledger.Now(ctx)
	if err != nil {
		return err
	}
	loads := map[string]census.Load{}
	for name, a := range w.accounts {
		if l := a.load.Load(time.Now()); l.Calls > 0 {
			loads[name] = l
		}
	}
	if len(loads) == 0 {
		return nil
	}
	return w.censuses.SaveLoad(ctx, w.cfg.Name, now, loads)
}
