package main

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/metrics"
	"github.com/tuma-sms/tuma/internal/polling"
	"github.com/tuma-sms/tuma/internal/statusevent"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/internal/wake"
	"github.com/tuma-sms/tuma/providers"
)

// newPolls returns the Poller of the accounts whose delivery reports `tuma serve` requests from the gateway.
func newPolls(b *backend, log zerolog.Logger, meter *metrics.Server) *polling.Poller {
	l := ledger.NewDurable(b.rdb, b.cfg.Redis.Durability)
	statuses := statusevent.New(l.Runner(), &wake.Campaigns{Ledger: l})
	c := polling.Config{Ledger: l, Log: log, Applied: func(ctx context.Context, list []tracking.Applied) { writeStatuses(ctx, statuses, list, log) }}
	for _, acc := range b.cfg.Accounts {
		provider, ok := acc.Worker.Provider.(providers.StatusPoller)
		lasts := acc.Card().ReportFor
		if !acc.Polled || lasts == 0 {
			continue
		}
		if !ok {
			log.Warn().Str("account", acc.Name).Msg("delivery reports are not requested, because settings of the account are missing: see tuma check")
			continue
		}
		c.Accounts = append(c.Accounts, polling.Account{Name: acc.Name, Provider: provider, Login: acc.Info.Fingerprint, Rate: acc.ReportRate, For: lasts, Sample: acc.Card().ReportSample,
			Timeout: acc.Worker.Timeout, Count: func(r tracking.Result, n int) { meter.Report(acc.Name, string(r), n) }})
	}
	return polling.New(c)
}

// writeStatuses writes an event about each recipient with a final report, if the recipient's campaign wants events.
func writeStatuses(ctx context.Context, w *statusevent.Writer, list []tracking.Applied, log zerolog.Logger) {
	w.Reports(ctx, list)
	if err := w.Flush(ctx); err != nil {
		log.Debug().Err(err).Msg("could not write status events; the next write of status events includes them")
	}
}

// reloadPolls gives the Poller the logins of a changed configuration.
func reloadPolls(p *polling.Poller, cfg *config.Config) {
	for _, acc := range cfg.Accounts {
		if provider, ok := acc.Worker.Provider.(providers.StatusPoller); ok && acc.Polled {
			p.SetProvider(acc.Info.Fingerprint, provider)
		}
	}
}

// reportRestarts returns the changed settings of delivery reports that `tuma serve` takes only after a restart.
func reportRestarts(old, next *config.Config) (restart []string) {
	for _, acc := range next.Accounts {
		was := old.Account(acc.Name)
		if was == nil {
			continue
		}
		if was.ReportRate != acc.ReportRate && acc.Polled {
			restart = append(restart, "account "+acc.Name+": report_rate")
		}
		if before, after := was.Card(), acc.Card(); before.ReportFor != after.ReportFor || before.ReportSample != after.ReportSample {
			restart = append(restart, "account "+acc.Name+": reports")
		}
		if was.Worker.Timeout != acc.Worker.Timeout && acc.Polled {
			restart = append(restart, "account "+acc.Name+": timeout")
		}
	}
	return restart
}
