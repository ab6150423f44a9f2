package worker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/tuma-sms/tuma/providers"
)

// Reload applies a changed configuration to a running worker. It returns the changed settings that take effect
// only after a restart, such as "account kobo-main: timeout".
//
// The fields Country, Windows, Routes, Retention and FailoverAfter of cfg take effect. In each account, Provider,
// Price, Rate, Burst, Unit and OnUnknown take effect with the next call, and Sender with the next batch. A call
// in flight keeps the values that it began with. A new Provider must have the same login at the same gateway.
// Reload ignores all other fields of cfg, including Redis.
//
// If cfg has mistakes, Reload returns all of them and changes nothing. Afterwards the settings of this worker are
// in force for all workers, as after a restart. If Redis does not answer, the settings come into force when Redis
// answers again. Reload is safe for concurrent use with Run.
func (w *Worker) Reload(ctx context.Context, cfg Config) (restart []string, err error) {
	cfg.Redis, cfg.Prefix = w.cfg.Redis, w.cfg.Prefix
	cfg.setDefaults()
	next := map[string]*account{}
	var mistakes []error
	for _, a := range cfg.Accounts {
		acc, err := newAccount(cfg.Redis, a)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("account %s: %w", a.Name, err))
			continue
		}
		next[a.Name] = acc
	}
	if err := (&Worker{cfg: cfg}).checkSendingHours(); err != nil {
		mistakes = append(mistakes, err)
	}
	if len(mistakes) > 0 {
		return nil, fmt.Errorf("reload worker: %w", errors.Join(mistakes...))
	}
	for _, name := range slices.Sorted(maps.Keys(next)) {
		if w.accounts[name] == nil {
			restart = append(restart, "account "+name+": is new")
		}
	}
	if cfg.MessageRetention != w.cfg.MessageRetention {
		restart = append(restart, "messages: retention")
	}
	w.inForce.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(w.accounts)) {
		if acc := next[name]; acc == nil {
			restart = append(restart, "account "+name+": was removed")
		} else {
			restart = append(restart, w.accounts[name].reload(acc)...)
		}
	}
	w.cfg.Country, w.cfg.Windows, w.cfg.Routes, w.cfg.Retention, w.cfg.FailoverAfter = cfg.Country, cfg.Windows, cfg.Routes, cfg.Retention, cfg.FailoverAfter
	w.inForce.start = 0 // the worker publishes these settings as if it had started now
	w.inForce.mu.Unlock()
	if err := w.publish(ctx); err != nil {
		w.log.Warn().Err(err).Msg("could not publish the new settings; the worker will try again")
	}
	return restart, nil
}

// The method "reload" copies settings from the account "next" to the account a, but only the settings that may change
// in a running worker. If the two accounts differ in other settings, it returns the names of these settings. The
// caller holds inForce.mu.
func (a *account) reload(next *account) (restart []string) {
	differs := func(what string, differ bool) {
		if differ {
			restart = append(restart, "account "+a.Name+": "+what)
		}
	}
	differs("timeout", a.Timeout != next.Timeout)
	differs("concurrency", a.Concurrency != next.Concurrency)
	differs("max_attempts", a.MaxAttempts != next.MaxAttempts)
	differs("callback_url", (a.CallbackURL == "") != (next.CallbackURL == ""))
	differs("reports", a.reportFor() != next.reportFor() || SampleSize(a.Reports) != SampleSize(next.Reports))
	differs("reconcile_for", a.ReconcileFor != next.ReconcileFor)
	if !reflect.DeepEqual(a.info, next.info) {
		differs("the login at the gateway, or a limit of the gateway such as max_recipients", true)
		next.Provider = a.Provider
	}
	a.Provider, a.Sender, a.Price, a.OnUnknown, a.CallbackURL = next.Provider, next.Sender, next.Price, next.OnUnknown, next.CallbackURL
	a.Rate, a.Burst, a.Unit = next.Rate, next.Burst, next.Unit
	a.sending.SetGateway(a.gateway())
	if lister, ok := a.Provider.(providers.Reconciler); ok {
		a.sending.Tracker.SetLister(lister)
	}
	return restart
}
