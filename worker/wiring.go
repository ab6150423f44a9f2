package worker

import (
	"context"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/announce"
	"github.com/tuma-sms/tuma/internal/attempts"
	"github.com/tuma-sms/tuma/internal/balance"
	"github.com/tuma-sms/tuma/internal/blacklist"
	"github.com/tuma-sms/tuma/internal/census"
	"github.com/tuma-sms/tuma/internal/dispatch"
	"github.com/tuma-sms/tuma/internal/hours"
	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/pacing"
	"github.com/tuma-sms/tuma/internal/plantask"
	"github.com/tuma-sms/tuma/internal/polling"
	"github.com/tuma-sms/tuma/internal/quarantine"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/reconcile"
	"github.com/tuma-sms/tuma/internal/redisguard"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/statusevent"
	"github.com/tuma-sms/tuma/internal/sweep"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/internal/usage"
	"github.com/tuma-sms/tuma/internal/wake"
	"github.com/tuma-sms/tuma/providers"
)

// rooms holds the parts of a worker. Each part is a separate package. The method connect links the
// parts.
type rooms struct {
	ledger     *ledger.Ledger
	cards      *accounts.Store
	optouts    *optout.Lists
	attempts   *attempts.Index
	queue      *queue.Queue
	campaigns  *wake.Campaigns
	waker      *wake.Waker
	quarantine *quarantine.Quarantine
	shares     *pacing.Shares
	hours      hours.Cache
	guard      *redisguard.Guard
	readiness  *redisguard.Readiness
	balances   *balance.Balances
	announcer  *announce.Announcer
	statuses   *statusevent.Writer
	planner    *plantask.Runner
	sender     *dispatch.Sender
	sweeper    *sweep.Sweeper
}

// The method "connect" makes the parts of the worker and links them. It sends nothing to Redis.
func (w *Worker) connect() {
	rdb, tracer := w.cfg.Redis, tracing.New(w.cfg.Tracing)
	w.inForce.settings = w.ownSettings()
	l := ledger.NewDurable(rdb, script.Durability(w.cfg.Durability))
	w.ledger, w.queue = l, queue.New(rdb)
	w.cards, w.optouts, w.attempts = accounts.New(l.Runner()), optout.New(l.Runner()), attempts.New(l.Runner())
	w.campaigns = &wake.Campaigns{Ledger: l}
	w.waker = &wake.Waker{Ledger: l, Queue: w.queue, Campaigns: w.campaigns, HandOverWithin: w.cfg.SweepEvery + 5*time.Second}
	w.shares = &pacing.Shares{Accounts: w.cards, Log: w.log}
	w.quarantine = &quarantine.Quarantine{Ledger: l, Campaigns: w.campaigns, Waker: w.waker, Shares: w.shares, Log: w.log}
	w.announcer = &announce.Announcer{Ledger: l, Log: w.log}
	w.statuses = statusevent.New(l.Runner(), w.campaigns)
	w.balances = &balance.Balances{Accounts: w.cards, Clock: l, Log: w.log}
	w.readiness = &redisguard.Readiness{Redis: rdb, Log: w.log}
	w.guard = &redisguard.Guard{Redis: rdb, Unsafe: w.cfg.UnsafeRedis, Durable: w.cfg.Durability != (Durability{}),
		LongestCall: w.longest(dispatch.LeaseMargin, dispatch.LeaseMargin), Peers: peers{w}, Stop: w.stop, Readiness: w.readiness, Log: w.log}
	memory := &redisguard.Memory{Redis: rdb, Log: w.log}
	w.sender = dispatch.New(dispatch.Collaborators{Ledger: l, Accounts: w.cards, OptOuts: w.optouts, Clock: l, Queue: w.queue, Campaigns: w.campaigns,
		Waker: w.waker, Quarantine: w.quarantine, Shares: w.shares, Hours: &w.hours, Guard: w.guard, Memory: memory, Balances: w.balances,
		Stop: w.stop, Announcer: w.announcer, Statuses: w.statuses, Tracer: tracer, Log: w.log})
	w.sweeper = &sweep.Sweeper{Ledger: l, Accounts: w.cards, Queue: w.queue, Campaigns: w.campaigns, Waker: w.waker, Quarantine: w.quarantine,
		Shares: w.shares, Memory: memory, Announcer: w.announcer, Meter: noSweepMeter{}, Log: w.log, Name: w.cfg.Name, Every: w.cfg.SweepEvery,
		Retention:        func() time.Duration { return w.inForce.current().Retention },
		MessageRetention: w.cfg.MessageRetention,
		Reports:          tracking.NewIndex(l.Runner()),
		Usage:            usage.New(l),
		Keys:             keys.New(l.Runner()),
		FailoverAfter:    func() time.Duration { return w.inForce.current().FailoverAfter }, WriteOffAfter: w.longest(2*time.Minute, 2*dispatch.LeaseMargin)}
	w.sweeper.Census = &census.Taker{Store: w.censuses, Accounts: w.cards, Ledger: l, Tasks: w.queue.Totals}
	if w.metrics != nil {
		w.sweeper.Meter = w.metrics
	}
	w.planner = &plantask.Runner{Ledger: l, Accounts: w.cards, OptOuts: w.optouts, Clock: l, Waker: w.waker, Shares: w.shares, Stop: w.stop, Announcer: w.announcer, Tracer: tracer, Log: w.log,
		Settings: w.settings, Serves: func(account string) bool { return w.accounts[account] != nil }}
	reporting := map[string]blacklist.Account{}
	for name, a := range w.accounts {
		reporting[name] = blacklist.Account{Sender: a.Sender, BySender: a.info.BlacklistBySender}
	}
	refused := blacklist.NewReports(l, w.campaigns, w.optouts, reporting, w.log)
	for name, a := range w.accounts {
		w.sweeper.Served = append(w.sweeper.Served, name)
		a.sending = w.sendingAccount(a, refused)
	}
}

// sendingAccount returns the part of an account that sends batches. The parameter "refused" handles
// delivery reports that arrive before their calls are settled.
func (w *Worker) sendingAccount(a *account, refused *blacklist.Reports) *dispatch.Account {
	lister, _ := a.Provider.(providers.Reconciler)
	tracker := &reconcile.Tracker{Attempts: w.attempts, Ledger: w.ledger, Log: w.log, Info: a.info, Lister: lister, SearchFor: a.ReconcileFor,
		Timeout: a.Timeout, LongestCall: a.Timeout + dispatch.LeaseMargin}
	applied := func(ctx context.Context, list []tracking.Applied) {
		w.statuses.Reports(ctx, list)
		refused.Note(ctx, list)
	}
	var reports *tracking.Tracker
	if a.reportFor() > 0 && !Polls(a.Provider) {
		reports = tracking.New(tracking.Config{Ledger: w.ledger, Log: w.log, Login: a.info.Fingerprint, For: a.ReportFor, Applied: applied, Count: w.countReports(a.Name)})
	}
	acc := dispatch.NewAccount(dispatch.Settings{Name: a.Name, Info: a.info, Unit: a.Unit,
		Limited: a.Rate != 0, Concurrency: a.Concurrency, Timeout: a.Timeout, MaxAttempts: a.MaxAttempts, Meter: w.meter(a)},
		a.gateway(), a.limiter, tracker, reports)
	if a.reportFor() > 0 && Polls(a.Provider) {
		_, spans := a.Provider.(providers.SpanPoller)
		acc.Polls = polling.NewNotes(w.ledger.Runner(), w.log, polling.NoteSettings{Login: a.info.Fingerprint, For: a.ReportFor,
			Sample: SampleSize(a.Reports), Spans: spans, Callbacks: a.CallbackURL != ""})
	}
	return acc
}

// The method "gateway" returns the provider, the sender ID, the price and the callback URL of the
// account. These settings may change while the worker runs.
func (a *account) gateway() dispatch.Gateway {
	g := dispatch.Gateway{Provider: a.Provider, Sender: a.Sender, Price: a.Price}
	if a.reportFor() > 0 {
		g.CallbackURL = a.CallbackURL
	}
	return g
}

// The method "longest" returns the longest timeout of all accounts plus the parameter "margin", but
// at least the parameter "atLeast".
func (w *Worker) longest(atLeast, margin time.Duration) time.Duration {
	longest := atLeast
	for _, a := range w.accounts {
		longest = max(longest, a.Timeout+margin)
	}
	return longest
}
