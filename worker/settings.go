package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/ratelimit"
)

const (
	// publishEvery is how often a worker publishes its accounts. It is much shorter than
	// accounts.WorkerLife.
	publishEvery = 4 * time.Second
	// followEvery is how often a worker looks for changed settings. A worker follows a change within
	// twice that time.
	followEvery = 500 * time.Millisecond
)

// inForce holds the settings in force, as they were at this worker's last read. It is safe for
// concurrent use.
type inForce struct {
	mu       sync.Mutex
	start    int64 // the number of this worker's start, or 0 before the first publish
	settings accounts.Settings
	revision string
	logged   string // the differences that were logged last
}

// The method "current" returns the settings that were read last.
func (x *inForce) current() accounts.Settings {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.settings
}

// ownSettings returns the settings of this worker's own configuration. The caller holds
// w.inForce.mu, because Reload changes the configuration.
func (w *Worker) ownSettings() accounts.Settings {
	return accounts.Settings{Country: w.cfg.Country, Windows: hoursAsText(w.cfg.Windows), Routes: ledgerRoutes(w.cfg.Routes),
		Retention: w.cfg.Retention, FailoverAfter: w.cfg.FailoverAfter}
}

// The method "settings" returns the settings in force. It reads them from Redis, so that campaigns are planned
// with the newest settings. If no worker has published settings, it returns the settings of this
// worker.
func (w *Worker) settings(ctx context.Context) (accounts.Settings, error) {
	in, ok, err := w.cards.Settings(ctx)
	if err != nil || !ok {
		w.inForce.mu.Lock()
		defer w.inForce.mu.Unlock()
		return w.ownSettings(), err
	}
	return in.Settings, nil
}

// The method "publish" publishes the accounts and settings of this worker, and records that the
// worker serves the accounts. Then it applies the settings in force. The first call gets the number
// of the worker's start from Redis.
func (w *Worker) publish(ctx context.Context) error {
	w.inForce.mu.Lock()
	defer w.inForce.mu.Unlock()
	if w.inForce.start == 0 {
		n, err := w.cards.Start(ctx)
		if err != nil {
			return err
		}
		w.inForce.start = n
	}
	var offers []accounts.Offer
	for _, name := range slices.Sorted(maps.Keys(w.accounts)) {
		a := w.accounts[name]
		limit, err := ratelimit.Setting(a.Rate, a.Burst)
		if err != nil {
			return fmt.Errorf("publish account %s: %w", name, err)
		}
		offers = append(offers, accounts.Offer{Card: a.card(), Limit: limit})
	}
	in, err := w.cards.PublishAll(ctx, w.cfg.Name, w.inForce.start, offers, w.ownSettings())
	if err != nil {
		return err
	}
	w.obey(in)
	return nil
}

// The method "follow" checks whether the settings in force have changed since the last call of
// publish. In that case it calls publish, which also reads the settings.
func (w *Worker) follow(ctx context.Context) error {
	revision, err := w.cards.Revision(ctx)
	if err != nil {
		return err
	}
	w.inForce.mu.Lock()
	same := revision == w.inForce.revision
	w.inForce.mu.Unlock()
	if same {
		return nil
	}
	return w.publish(ctx)
}

// The method "obey" makes this worker use the settings in force. It logs each difference from
// the worker's own configuration once. The caller holds w.inForce.mu.
func (w *Worker) obey(in accounts.InForce) {
	w.inForce.settings, w.inForce.revision = in.Settings, in.Revision
	differences := w.ownSettings().Against(in)
	by := map[string]bool{in.By: len(differences) > 0}
	for _, name := range slices.Sorted(maps.Keys(in.Cards)) {
		card, a := in.Cards[name], w.accounts[name]
		a.sending.SetLimits(card.Card.Unit, card.Card.Rate != 0)
		own := a.card()
		d := accounts.Limits{Rate: own.Rate, Burst: own.Burst, Unit: own.Unit}.Against(card.Card, card.Since)
		by[card.By] = by[card.By] || len(d) > 0
		differences = append(differences, d...)
	}
	text := differencesText(differences)
	if text == w.inForce.logged {
		return
	}
	w.inForce.logged = text
	if text == "" {
		w.log.Info().Msg("this worker's configuration no longer differs from the settings in force")
		return
	}
	maps.DeleteFunc(by, func(name string, differs bool) bool { return !differs || name == "" })
	w.log.Warn().Strs("from", slices.Sorted(maps.Keys(by))).Msg("the configuration of the worker that started last is in force; this worker's configuration differs from it: " + text)
}

// differencesText writes differences on one line.
func differencesText(all []accounts.Difference) string {
	var parts []string
	for _, d := range all {
		name := d.Setting
		if d.Account != "" {
			name += " of " + d.Account
		}
		parts = append(parts, fmt.Sprintf("%s: %s here, %s in force", name, d.Own, d.InForce))
	}
	return strings.Join(parts, "; ")
}

// The method "withdraw" records that this worker has stopped serving its accounts. Without this
// record, other workers would count this worker as serving until accounts.WorkerLife has passed.
func (w *Worker) withdraw() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	warn := func(err error) {
		if err != nil {
			w.log.WithLevel(w.levelOf(err, zerolog.WarnLevel)).Err(err).Msg("could not record that this worker stopped serving the account; until the record expires, other workers count it as serving")
		}
	}
	for _, a := range w.accounts {
		warn(w.cards.Withdraw(ctx, w.cfg.Name, a.Name))
	}
	warn(w.cards.WithdrawSettings(ctx, w.cfg.Name))
}

// card returns the account's card. The card has no country and no sending hours, because these are
// settings of the cluster.
func (a *account) card() campaign.Card {
	return campaign.Card{Name: a.Name, Provider: a.info.Name, Info: a.info, Rate: float64(a.Rate), Burst: float64(a.Burst), Unit: a.Unit,
		Sender: a.Sender, Concurrency: a.Concurrency, Price: a.Price, OnUnknown: a.OnUnknown, ReportFor: a.reportFor(), ReportSample: SampleSize(a.Reports)}
}
