// Package reconcile keeps track of the calls that a gateway may have taken, and finds out which
// messages the gateway has taken. It searches the gateway's list of taken messages. It also
// matches delivery reports with calls of unknown outcome. It does this only for gateways without
// idempotency keys, because a call of unknown outcome cannot be repeated there.
package reconcile

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/attempts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/verdict"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

const (
	// clockSlack is how far a gateway's clock may differ from Redis' clock.
	clockSlack = 2 * time.Minute
	// maxDLRDelay is the maximum time from a message to its delivery report. Gateways usually
	// try to deliver a message for one day, and at most for two days.
	maxDLRDelay = 48 * time.Hour
)

// Tracker keeps track of the calls of one login. Set its exported fields before the first call. Its
// methods are safe for concurrent use.
type Tracker struct {
	Attempts *attempts.Index
	// Ledger is the ledger that has the recipients of an attempt's call.
	Ledger *ledger.Ledger
	Log    zerolog.Logger
	Info   providers.Info
	// Lister lists the messages that the gateway has taken. Lister is nil if the gateway cannot list
	// its messages.
	Lister providers.Reconciler
	// replaced is the Lister that SetLister has set. It is nil before the first call of SetLister.
	replaced atomic.Pointer[providers.Reconciler]
	// SearchFor is how long a call of unknown outcome is looked up in the list of Lister. If
	// SearchFor is 0 or negative, calls are not looked up.
	SearchFor time.Duration
	// Timeout is the time limit of a request. LongestCall is the maximum time from the claim of a
	// call to the end of its lease.
	Timeout, LongestCall time.Duration

	// The lock "listing" is held while a slot reads the gateway's list. The field "open" caches
	// unresolved attempts, so that delivery reports can be matched with these attempts.
	listing sync.Mutex
	open    openAttempts
}

// For returns how long a call of unknown outcome is looked up at the gateway. It returns 0 if such
// calls are not looked up.
func (t *Tracker) For() time.Duration {
	if !t.Searches() {
		return 0
	}
	return t.SearchFor
}

// Searches reports whether a call of unknown outcome can be looked up at the gateway.
func (t *Tracker) Searches() bool {
	return t.Info.KeyTTL == 0 && t.Lister != nil && t.SearchFor > 0
}

// SetLister replaces the Lister, from the next search on.
func (t *Tracker) SetLister(l providers.Reconciler) { t.replaced.Store(&l) }

func (t *Tracker) lister() providers.Reconciler {
	if l := t.replaced.Load(); l != nil {
		return *l
	}
	return t.Lister
}

// Tracked returns true if the login's attempts and message IDs are recorded. Messages in the
// gateway's reports can then be matched with these attempts.
func (t *Tracker) Tracked() bool {
	return t.Info.KeyTTL == 0 && (t.Searches() || t.Info.DLRNamesRecipient)
}

// keepIDsFor is how long message IDs are kept. During this time the gateway's list or a delivery
// report may contain these IDs.
func (t *Tracker) keepIDsFor() time.Duration {
	if t.Info.DLRNamesRecipient {
		return maxDLRDelay
	}
	return attempts.Life
}

// Begin records an attempt before its call is made. It does nothing if the login is not tracked.
func (t *Tracker) Begin(ctx context.Context, c *ledger.Claim) error {
	if !t.Tracked() {
		return nil
	}
	return t.Attempts.Begin(ctx, t.Info.Fingerprint, c.Attempt())
}

// NoteSent records the IDs of accepted messages. The caller must settle these messages after
// that (attempts.Attempt explains why).
func (t *Tracker) NoteSent(ctx context.Context, c *ledger.Claim, records []campaign.Record) error {
	if !t.Tracked() {
		return nil
	}
	var ids []string
	for _, r := range records {
		if r.Status == campaign.Accepted && r.MessageID != "" {
			ids = append(ids, r.MessageID)
		}
	}
	return t.Attempts.RecordMessageIDs(ctx, t.Info.Fingerprint, c.Attempt(), ids, t.keepIDsFor())
}

// End removes an attempt from the reconciliation index once all its outcomes are known and all its
// message IDs are recorded. segments is the number of segments of one message. If the worker
// searches the gateway's list, an attempt with messages of several segments stays in the index,
// because the list may contain more message IDs than the answer to the call.
func (t *Tracker) End(ctx context.Context, c *ledger.Claim, segments int, v verdict.Verdict) {
	if !t.Tracked() || v.Action == verdict.Doubt || t.Searches() && segments > 1 && v.Action == verdict.Settle {
		return
	}
	for _, r := range v.Records {
		if r.Status == campaign.Unknown || r.Status == campaign.Accepted && r.MessageID == "" {
			return // the gateway may report a message of this attempt with an ID that is not recorded
		}
	}
	t.Forget(ctx, c)
}

// Forget removes the attempt from the reconciliation index, because none of its messages can still
// have an unknown outcome.
func (t *Tracker) Forget(ctx context.Context, c *ledger.Claim) {
	if !t.Tracked() {
		return
	}
	if err := t.Attempts.End(ctx, t.Info.Fingerprint, c.Attempt()); err != nil {
		t.Log.Debug().Err(err).Msg("could not delete finished attempt; reconciliation will be less precise") // Forget returns no error, because less precise reconciliation is the only effect
	}
}

// TooOld reports whether a call that was made at the time "at" is too old to be looked up.
// Records of other calls from that time may have been deleted already.
func (t *Tracker) TooOld(now, at time.Time) bool { return tooOld(now, at, t.LongestCall) }

func tooOld(now, at time.Time, lasts time.Duration) bool {
	return now.Sub(at) > attempts.Life-2*lasts-4*clockSlack
}

// TryLockList locks the gateway's list for one reader, because lists are long. It returns false if
// another slot is reading the list. If it returns true, the caller must call UnlockList once.
func (t *Tracker) TryLockList() bool { return t.listing.TryLock() }

// UnlockList unlocks the gateway's list.
func (t *Tracker) UnlockList() { t.listing.Unlock() }

// Find returns the gateway's IDs of the messages of a doubtful call, by number. sender is the
// sender ID of the call. segments is the number of segments of one message. Find omits messages
// that may belong to another call. It must read the list, the attempts and the IDs in this order
// (attempts.Attempt explains why).
func (t *Tracker) Find(ctx context.Context, c *ledger.Claim, g *ledger.Generation, sender string, segments int) (map[sms.MSISDN]string, error) {
	lasts := t.LongestCall
	from, to := c.At.Add(-clockSlack), c.At.Add(lasts+clockSlack)
	bounded, cancel := context.WithTimeout(ctx, t.Timeout)
	listed, err := listTaken(bounded, t.lister(), from, to)
	cancel()
	if err != nil {
		return nil, err
	}
	// The list may contain messages of attempts that were made between the times "first" and "last".
	first, last := from.Add(-lasts-clockSlack), to.Add(clockSlack)
	attempts, err := t.Attempts.Between(ctx, t.Info.Fingerprint, first, last)
	if err != nil {
		return nil, err
	}
	others := map[sms.MSISDN]bool{}
	own := c.Attempt()
	for _, a := range attempts {
		if a.At = own.At; a == own {
			continue
		}
		numbers, err := t.Ledger.AttemptTo(ctx, a)
		if err != nil {
			return nil, err
		}
		for _, n := range numbers {
			others[n] = true
		}
	}
	known, err := t.Attempts.KnownMessageIDs(ctx, t.Info.Fingerprint, first, last)
	if err != nil {
		return nil, err
	}
	m := matcher{from: from, to: to, sender: sender, parts: max(1, segments), others: others, known: known}
	return m.among(listed, g.To), nil
}

// AttemptOf returns the unresolved call that may have sent the message of a delivery report. The
// parameter "now" is the time by Redis' clock. ok is false if the report does not resolve a call.
// After AttemptOf, the caller records the report's message ID with NoteReported.
func (t *Tracker) AttemptOf(ctx context.Context, r providers.DLR, now time.Time) (a attempts.Attempt, ok bool, err error) {
	attempts, err := t.open.attemptsTo(ctx, t, t.Info.Fingerprint, r.To, now)
	if err != nil || len(attempts) != 1 {
		return a, false, err
	}
	if known, err := t.Knows(ctx, r.MessageID, now); err != nil || known {
		return a, false, err
	}
	return attempts[0], true, nil
}

// Knows reports whether a message ID belongs to a message whose call is known. The parameter "now" is the
// time by Redis' clock.
func (t *Tracker) Knows(ctx context.Context, messageID string, now time.Time) (bool, error) {
	known, err := t.Attempts.KnownMessageIDs(ctx, t.Info.Fingerprint, now.Add(-maxDLRDelay), now)
	if err != nil {
		return false, err
	}
	return known(messageID), nil
}

// UnresolvedTo returns the unresolved calls to a number in the last hour. An unresolved call is in
// flight, or has an unknown outcome.
func (t *Tracker) UnresolvedTo(ctx context.Context, number sms.MSISDN, now time.Time) ([]attempts.Attempt, error) {
	return t.open.attemptsTo(ctx, t, t.Info.Fingerprint, number, now)
}

// NoteReported records the message ID of a delivery report that names a message of the attempt.
func (t *Tracker) NoteReported(ctx context.Context, a attempts.Attempt, r providers.DLR) error {
	return t.Attempts.RecordMessageIDs(ctx, t.Info.Fingerprint, a, []string{r.MessageID}, t.keepIDsFor())
}

// listTaken requests the messages that a gateway took between the times "from" and "to". If the
// provider panics, listTaken returns an error.
func listTaken(ctx context.Context, p providers.Reconciler, from, to time.Time) (got []providers.TakenMessage, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &providers.Error{Op: "taken", Cause: providers.CauseNoAnswer, Code: "panic", Err: fmt.Errorf("panic of type %T in the provider", r)}
		}
	}()
	return p.Taken(ctx, from, to)
}
