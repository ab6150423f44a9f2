package dispatch

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/pacing"
	"github.com/tuma-sms/tuma/internal/polling"
	"github.com/tuma-sms/tuma/internal/reconcile"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/ratelimit"
)

// LeaseMargin is how much longer the lease of a claim is than the maximum duration of its call.
const LeaseMargin = 3 * time.Second

// Account is a gateway account through which one worker sends batches. Make it with NewAccount, and
// change only its limits and its Gateway afterwards. It is safe for concurrent use.
type Account struct {
	Settings
	// Tracker keeps track of the calls that the gateway may have taken.
	Tracker *reconcile.Tracker
	// Reports indexes the account's messages for their delivery reports. It is nil if the account's
	// delivery reports are not collected.
	Reports *tracking.Tracker
	// Polls notes the account's calls, so that tuma serve requests their delivery reports. It is nil if
	// tuma serve does not request the reports of this account.
	Polls *polling.Notes

	bulk, transactional *pacing.Lane
	slots               *pacing.Slots
	// Each class has a separate slow start. So a one-time code does not wait for the trial calls of
	// bulk campaigns.
	bulkStart, transactionalStart *pacing.SlowStart
	// The field "free" reports whether the account has no rate and no cool-down now.
	free    func(context.Context) (bool, error)
	health  health
	limits  atomic.Pointer[limits]
	gateway atomic.Pointer[Gateway]
	// These counts are for log lines. They count failed calls, claims that could not be used, and
	// failed look-ups.
	failedCalls, unusedClaims, failedLookups failures
}

// limits has the settings of the rate that are in force. These may change while the worker runs.
type limits struct {
	unit    string
	limited bool
}

// SetLimits changes the unit of the rate, and whether the account has a rate. The change applies
// from the next call on. The limiter itself reads the rate from Redis.
func (a *Account) SetLimits(unit string, limited bool) { a.limits.Store(&limits{unit, limited}) }

// Gateway has the settings of an account that may change while the worker runs.
type Gateway struct {
	Provider providers.Provider
	Sender   string // the sender ID of campaigns that do not name one
	Price    string // the price of one segment, as accounts.SegmentCost reads it, or ""
	// CallbackURL is the beginning of the URL to which the gateway posts the delivery reports of a call. The URL
	// ends with the name of the call. CallbackURL is empty if the calls of the account name no URL for reports.
	CallbackURL providers.Secret
}

// callbackURL returns the URL to which the gateway posts the delivery reports of a call. It returns "" if CallbackURL
// is empty.
func (g Gateway) callbackURL(c *ledger.Claim) providers.Secret {
	if g.CallbackURL == "" {
		return ""
	}
	return g.CallbackURL + providers.Secret(tracking.CallName(c.Sent()))
}

// SetGateway changes the gateway from the next call on. The provider must have the same Info as before.
// Calls in flight continue with the earlier gateway.
func (a *Account) SetGateway(g Gateway) { a.gateway.Store(&g) }

// Gateway returns the gateway for the next call.
func (a *Account) Gateway() Gateway { return *a.gateway.Load() }

// unit returns the unit of the rate.
func (a *Account) unit() string { return a.limits.Load().unit }

// The method "limited" reports whether a rate is configured.
func (a *Account) limited() bool { return a.limits.Load().limited }

// Settings has the unchanging configuration of an account and the facts about its gateway.
type Settings struct {
	Name string
	Info providers.Info
	Unit string // the unit of the rate, one of the units of package campaign; SetLimits changes it
	// Limited is true if the account is configured with a rate. SetLimits changes it.
	Limited bool
	// Concurrency is the maximum number of calls in flight.
	Concurrency int
	// Timeout is the maximum duration of one call of Provider.Send.
	Timeout time.Duration
	// MaxAttempts is the maximum number of answers about one message. Answers about the account are
	// not counted.
	MaxAttempts int
	// Meter counts claims, calls and outcomes at the account.
	Meter Meter
}

// NewAccount returns an account that has no call in flight. l is the limiter that all workers
// share.
func NewAccount(s Settings, g Gateway, l *ratelimit.Redis, t *reconcile.Tracker, reports *tracking.Tracker) *Account {
	a := &Account{Settings: s, Tracker: t, Reports: reports, bulk: pacing.NewBulkLane(l), transactional: pacing.NewTransactionalLane(l.Transactional()),
		slots: pacing.NewSlots(s.Concurrency), bulkStart: pacing.NewSlowStart(), transactionalStart: pacing.NewSlowStart(), free: l.Free}
	a.SetLimits(s.Unit, s.Limited)
	a.SetGateway(g)
	return a
}

// lane returns the part of the account's rate that campaigns of a class use; see pacing.Lane.
func (a *Account) lane(class campaign.Class) *pacing.Lane {
	if class == campaign.Transactional {
		return a.transactional
	}
	return a.bulk
}

// slowStart returns the account's slow start for campaigns of a class.
func (a *Account) slowStart(class campaign.Class) *pacing.SlowStart {
	if class == campaign.Transactional {
		return a.transactionalStart
	}
	return a.bulkStart
}

// noteAccepted records that the account accepted a call, whatever its class.
func (a *Account) noteAccepted(at time.Time) {
	a.bulkStart.NoteAccepted(at)
	a.transactionalStart.NoteAccepted(at)
}

// keyTTL is how long the gateway certainly remembers an idempotency key. It is 0 if the gateway has
// no idempotency keys.
func (a *Account) keyTTL() time.Duration { return min(a.Info.KeyTTL, ledger.MaxKeyAge) }

// lease is how long a claim of the account's calls lasts.
func (a *Account) lease() time.Duration { return a.Timeout + LeaseMargin }

// noteSent records the IDs of the messages of a call, so that the gateway's lists and delivery reports
// can be matched with them. The caller settles the call after that.
func (b *batch) noteSent(ctx context.Context, c *ledger.Claim, records []campaign.Record) error {
	// Note the IDs for the index before Tracker records them. If Tracker recorded them first, and the worker
	// or Redis died before the index has them, the message would look like a message of another call. Then
	// Tuma could not match the message's delivery report with its recipient.
	if b.acc.Reports != nil {
		if err := b.acc.Reports.Note(ctx, c, records, b.camp.Total); err != nil {
			return err
		}
	}
	if b.acc.Polls != nil {
		if err := b.acc.Polls.Note(ctx, c, records, b.camp.Total); err != nil {
			return err
		}
	}
	return b.acc.Tracker.NoteSent(ctx, c, records)
}

// The method "reported" applies delivery reports that arrived before the call was settled.
func (b *batch) reported(ctx context.Context, records []campaign.Record) {
	if b.acc.Reports != nil {
		b.acc.Reports.Settled(ctx, records)
	}
}
