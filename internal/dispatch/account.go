package dispatch

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/pacing"
	"github.com/tuma-sms/tuma/internal/reconcile"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/ratelimit"
)

// LeaseMargin is how much longer the lease of a claim is than the maximum duration of its call.
const LeaseMargin = 3 * time.Second

// Account is a gateway account that batches are sent through, as one worker uses it. Make it with
// NewAccount, and change only its limits afterwards. It is safe for concurrent use.
type Account struct {
	Settings
	// Tracker keeps track of the calls that the gateway may have taken.
	Tracker *reconcile.Tracker
	// Reports indexes the account's messages for their delivery reports; nil: they are not collected.
	Reports *tracking.Tracker

	bulk, transactional *pacing.Lane
	slots               *pacing.Slots
	// Each class has a separate slow start. So a one-time code does not wait for the trial calls of
	// bulk campaigns.
	bulkStart, transactionalStart *pacing.SlowStart
	// free reports whether neither a rate nor a cool-down limits the account.
	free   func(context.Context) (bool, error)
	health health
	limits atomic.Pointer[limits]
	// failedCalls, unusedClaims and failedLookups count, for log lines, calls that failed, claims
	// that could not be used, and failed look-ups.
	failedCalls, unusedClaims, failedLookups failures
}

// limits are the settings of the rate that are in force. They may change while the worker runs.
type limits struct {
	unit    string
	limited bool
}

// SetLimits changes what the rate counts, and whether there is a rate, from the next call on. The
// limiter itself follows the rate in Redis.
func (a *Account) SetLimits(unit string, limited bool) { a.limits.Store(&limits{unit, limited}) }

// unit returns what the rate counts.
func (a *Account) unit() string { return a.limits.Load().unit }

// limited reports whether a rate is configured.
func (a *Account) limited() bool { return a.limits.Load().limited }

// Settings are the configuration of an account, with the facts of its gateway.
type Settings struct {
	Name     string
	Provider providers.Provider
	Info     providers.Info
	Sender   string // the sender ID of campaigns that name none
	Unit     string // what the rate counts: one of the units of package campaign; SetLimits changes it
	// Limited is true if the account is configured with a rate. SetLimits changes it.
	Limited bool
	// Concurrency is the maximum number of calls in flight.
	Concurrency int
	// Timeout is the maximum duration of one call of Provider.Send.
	Timeout time.Duration
	// MaxAttempts is the maximum number of answers about a message itself. Answers about the account
	// do not count.
	MaxAttempts int
	// Price is the price of one segment, as accounts.SegmentCost reads it, or "".
	Price string
	// Meter counts what happens at the account.
	Meter Meter
}

// NewAccount returns an account that has no call in flight. The limiter is the one that all workers
// share.
func NewAccount(s Settings, l *ratelimit.Redis, t *reconcile.Tracker, reports *tracking.Tracker) *Account {
	a := &Account{Settings: s, Tracker: t, Reports: reports, bulk: pacing.NewBulkLane(l), transactional: pacing.NewTransactionalLane(l.Transactional()),
		slots: pacing.NewSlots(s.Concurrency), bulkStart: pacing.NewSlowStart(), transactionalStart: pacing.NewSlowStart(), free: l.Free}
	a.SetLimits(s.Unit, s.Limited)
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
// can be matched with them. The caller settles the call only afterwards.
func (b *batch) noteSent(ctx context.Context, c *ledger.Claim, records []campaign.Record) error {
	if b.acc.Reports == nil {
		return b.acc.Tracker.NoteSent(ctx, c, records)
	}
	// Both writes are sent at once, so that the settle waits for one round trip only.
	var listed error
	var wg sync.WaitGroup
	wg.Go(func() { listed = b.acc.Tracker.NoteSent(ctx, c, records) })
	indexed := b.acc.Reports.Note(ctx, c, records, b.camp.Total)
	wg.Wait()
	return errors.Join(listed, indexed)
}

// reported applies the delivery reports that came before the call was settled.
func (b *batch) reported(ctx context.Context, records []campaign.Record) {
	if b.acc.Reports != nil {
		b.acc.Reports.Settled(ctx, records)
	}
}
