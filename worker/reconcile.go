package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

const (
	// clockSlack is how far a gateway's clock may differ from Redis' clock.
	clockSlack = 2 * time.Minute
	// maxDLRDelay is how long after its message a delivery report may arrive. Gateways try to
	// deliver a message for two days at most, and usually for one day.
	maxDLRDelay = 48 * time.Hour
	// maxLookups is how often a doubtful call is looked up in the gateway's list of taken messages.
	// The delay between lookups grows, because the messages may take time to appear in that list.
	maxLookups = 4
)

// lookupDelay returns how long to wait before the next lookup of a doubtful call. The wait begins
// at the end of the call or at its last lookup. lookups is how many lookups were made. The delays
// of all lookups add up to reconcileFor.
func lookupDelay(reconcileFor time.Duration, lookups int) time.Duration {
	parts := [maxLookups]int64{1, 2, 3, 6}[min(lookups, maxLookups-1)]
	return time.Duration(int64(reconcileFor) * parts / 12)
}

// reconcileFor is how long a call of unknown outcome is looked up at the gateway. 0 means not at
// all.
func (a *account) reconcileFor() time.Duration {
	if !a.reconciles() {
		return 0
	}
	return a.ReconcileFor
}

// reconciles reports whether a call of unknown outcome can be looked up at the gateway.
func (a *account) reconciles() bool {
	return a.info.KeyTTL == 0 && a.reconciler != nil && a.ReconcileFor > 0
}

// tracked reports whether the account's attempts and message IDs are recorded, so that messages
// which the gateway reports can be matched with them.
func (a *account) tracked() bool {
	return a.info.KeyTTL == 0 && (a.reconciles() || a.info.DLRNamesRecipient)
}

// keepIDsFor is how long message IDs are kept. It covers the time in which the gateway's list or a
// delivery report may contain them.
func (a *account) keepIDsFor() time.Duration {
	if a.info.DLRNamesRecipient {
		return maxDLRDelay
	}
	return ledger.AttemptLife
}

// noteSent records the IDs of accepted messages. The caller settles those messages only afterwards;
// ledger.Attempt explains why.
func (s *batchSender) noteSent(ctx context.Context, c *ledger.Claim, records []campaign.Record) error {
	if !s.acc.tracked() {
		return nil
	}
	var ids []string
	for _, r := range records {
		if r.Status == campaign.Accepted && r.MessageID != "" {
			ids = append(ids, r.MessageID)
		}
	}
	return s.ledger.RecordMessageIDs(ctx, s.acc.info.Fingerprint, c.Attempt(), ids, s.acc.keepIDsFor())
}

// endAttempt removes an attempt from the reconciliation index once all its outcomes are known and
// all its message IDs are recorded. If the worker searches the gateway's list of sent messages, an
// attempt with messages of several segments stays in the index. That list may contain more message
// IDs than the answer to the call.
func (s *batchSender) endAttempt(ctx context.Context, c *ledger.Claim, g *ledger.Generation, v verdict) {
	if !s.acc.tracked() || v.action == actionDoubt || s.acc.reconciles() && s.segmentsOf(g) > 1 && v.action == actionSettle {
		return
	}
	for _, r := range v.records {
		if r.Status == campaign.Unknown || r.Status == campaign.Accepted && r.MessageID == "" {
			return // the gateway may report a message of this attempt with an ID that is not recorded
		}
	}
	s.forgetAttempt(ctx, c)
}

// forgetAttempt removes the attempt from the reconciliation index, because none of its messages can
// still have an unknown outcome.
func (s *batchSender) forgetAttempt(ctx context.Context, c *ledger.Claim) {
	if !s.acc.tracked() {
		return
	}
	if err := s.ledger.EndAttempt(ctx, s.acc.info.Fingerprint, c.Attempt()); err != nil {
		s.log.Debug().Err(err).Msg("could not delete finished attempt; reconciliation will be less precise") // the failure has no other effect
	}
}

// tooOld reports whether a call made at the time at is too old to be looked up. Records of other
// calls of that time may have been deleted already. lasts is the longest duration of a call.
func tooOld(now, at time.Time, lasts time.Duration) bool {
	return now.Sub(at) > ledger.AttemptLife-2*lasts-4*clockSlack
}

// lookUp looks up a doubtful call in the gateway's list of messages it has taken. Recipients that
// are in the list become accepted. After the last lookup the other recipients end unknown.
func (s *batchSender) lookUp(ctx context.Context, c *ledger.Claim, g *ledger.Generation) (step, time.Time, error) {
	s.releaseInFlight() // no call is made under this claim
	now, err := s.ledger.Now(ctx)
	if err != nil {
		return stepDone, time.Time{}, err
	}
	if tooOld(now, c.At, s.acc.Timeout+leaseMargin) {
		return stepAgain, time.Time{}, s.abandon(c, g, c.Why)
	}
	if !s.acc.listing.TryLock() { // lists are long: request one at a time
		return stepLeave, time.Time{}, s.watch(ctx, now.Add(s.acc.Timeout/4))
	}
	defer s.acc.listing.Unlock()
	if err := s.watch(ctx, now.Add(s.acc.Timeout+wakeWatch)); err != nil { // otherwise the sweeper would take this worker for dead
		return stepDone, time.Time{}, err
	}
	found, err := s.find(ctx, c, g)
	why := campaign.ReasonNotFound
	if err != nil {
		why = c.Why
		s.log.Warn().Err(err).Str("campaign", s.id).Str("account", s.acc.Name).Int("look", c.Lookups+1).Msg("could not look up a call of unknown outcome at the gateway")
	}
	records, basis, wait := g.Found(found, why), campaign.SettleLookup, lookupDelay(s.acc.ReconcileFor, c.Lookups+1)
	if c.Lookups+1 >= maxLookups {
		basis, wait = campaign.SettleAbandon, backOff(1) // backOff(1) is the delay before recipients are resent
	}
	s.log.Info().Str("campaign", s.id).Str("batch", s.batch).Str("account", s.acc.Name).Int("look", c.Lookups+1).
		Int("found", len(found)).Int("recipients", len(g.To)).Msg("looked up a call of unknown outcome at the gateway")
	return stepAgain, time.Time{}, s.endClaim("look", func(ctx context.Context) (ledger.Settled, error) {
		if err := s.noteSent(ctx, c, records); err != nil {
			return ledger.Settled{}, err
		}
		return s.ledger.Settle(ctx, c, records, basis, s.segmentsOf(g), wait)
	})
}

// find returns the gateway's IDs of the messages of a doubtful call, by number. It leaves out
// messages that may belong to another call. Its three requests must be made in this order;
// ledger.Attempt explains why.
func (s *batchSender) find(ctx context.Context, c *ledger.Claim, g *ledger.Generation) (map[sms.MSISDN]string, error) {
	lasts := s.acc.Timeout + leaseMargin
	from, to := c.At.Add(-clockSlack), c.At.Add(lasts+clockSlack)
	bounded, cancel := context.WithTimeout(ctx, s.acc.Timeout)
	listed, err := listTaken(bounded, s.acc.reconciler, from, to)
	cancel()
	if err != nil {
		return nil, err
	}
	// The list may contain messages of attempts that were made between first and last.
	first, last := from.Add(-lasts-clockSlack), to.Add(clockSlack)
	attempts, err := s.ledger.Attempts(ctx, s.acc.info.Fingerprint, first, last)
	if err != nil {
		return nil, err
	}
	others := map[sms.MSISDN]bool{}
	own := c.Attempt()
	for _, a := range attempts {
		if a.At = own.At; a == own {
			continue
		}
		numbers, err := s.ledger.AttemptTo(ctx, a)
		if err != nil {
			return nil, err
		}
		for _, n := range numbers {
			others[n] = true
		}
	}
	known, err := s.ledger.KnownMessageIDs(ctx, s.acc.info.Fingerprint, first, last)
	if err != nil {
		return nil, err
	}
	m := matcher{from: from, to: to, sender: s.sender(), parts: max(1, s.segmentsOf(g)), others: others, known: known}
	return m.among(listed, g.To), nil
}

// listTaken requests the messages that a gateway took between the times from and to. It returns a
// panic of the provider as an error.
func listTaken(ctx context.Context, p providers.Reconciler, from, to time.Time) (got []providers.TakenMessage, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &providers.Error{Op: "taken", Cause: providers.CauseNoAnswer, Code: "panic", Err: fmt.Errorf("%T in the provider", r)}
		}
	}()
	return p.Taken(ctx, from, to)
}

// matcher decides which of the messages that a gateway lists can belong to one particular call
// only.
type matcher struct {
	from, to time.Time
	sender   string
	// parts is the maximum number of list entries for one message.
	parts int
	// others holds the numbers to which another unresolved call went in that time.
	others map[sms.MSISDN]bool
	// known reports whether a message ID belongs to another call.
	known func(id string) bool
}

// among returns the IDs of the call's messages in the list, by number. A message counts as the
// call's if it is the only candidate for its recipient. A candidate was sent in the call's time
// from the call's sender, and its ID is not known. No other unresolved call may have gone to that
// number. among has no side effects.
func (m matcher) among(listed []providers.TakenMessage, to []campaign.Planned) map[sms.MSISDN]string {
	wanted := make(map[sms.MSISDN][]string, len(to))
	for _, p := range to {
		if !m.others[p.MSISDN] {
			wanted[p.MSISDN] = nil
		}
	}
	for _, x := range listed {
		ids, ok := wanted[x.To]
		if !ok || x.To == 0 || x.ID == "" || !sameSender(x.From, m.sender) || m.known(x.ID) {
			continue
		}
		switch {
		case x.At.IsZero(): // the time of x is unknown, so x may or may not belong to the call
			delete(wanted, x.To)
		case !x.At.Before(m.from) && !x.At.After(m.to):
			wanted[x.To] = append(ids, x.ID)
		}
	}
	found := map[sms.MSISDN]string{}
	for n, ids := range wanted {
		if len(ids) > 0 && len(ids) <= m.parts {
			found[n] = ids[0]
		}
	}
	return found
}

func sameSender(a, b string) bool {
	return strings.EqualFold(strings.TrimPrefix(a, "+"), strings.TrimPrefix(b, "+"))
}

// Reconcile uses a gateway's delivery report to resolve a message of unknown outcome. It returns
// true if the report resolved a message; the recipient is then accepted.
//
// A report resolves a message only if all of these conditions hold. The account's reports name the
// recipient. The message ID has not been recorded in the last two days. Exactly one unresolved call
// of the last hour went to that number. Reconcile ignores all other reports, and it does not record
// the delivery status.
//
// Reconcile returns an error if this worker does not serve the account. After any other error, call
// it again with the same report. Reconcile is safe for concurrent use, even while the worker does
// not run.
func (w *Worker) Reconcile(ctx context.Context, account string, r providers.DLR) (bool, error) {
	acc := w.accounts[account]
	if acc == nil {
		return false, fmt.Errorf("reconcile: account %.64q is not served by this worker", account)
	}
	if !acc.info.DLRNamesRecipient || !acc.tracked() || r.To == 0 || r.MessageID == "" {
		return false, nil
	}
	now, err := w.ledger.Now(ctx)
	if err != nil {
		return false, err
	}
	attempts, err := acc.open.to(ctx, w.ledger, acc.info.Fingerprint, r.To, now)
	if err != nil || len(attempts) != 1 {
		return false, err
	}
	a := attempts[0]
	known, err := w.ledger.KnownMessageIDs(ctx, acc.info.Fingerprint, now.Add(-maxDLRDelay), now)
	if err != nil || known(r.MessageID) {
		return false, err
	}
	camp, err := w.campaign(ctx, a.Campaign)
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := w.ledger.RecordMessageIDs(ctx, acc.info.Fingerprint, a, []string{r.MessageID}, acc.keepIDsFor()); err != nil {
		return false, err
	}
	segments, _ := sms.Segments(camp.spec.Body)
	out, err := w.ledger.Reconcile(ctx, a, map[sms.MSISDN]string{r.To: r.MessageID}, segments, w.openBatchLimit(ctx, acc.Name))
	if errors.Is(err, ledger.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	w.log.Info().Str("campaign", a.Campaign).Str("batch", a.Batch).Str("account", account).Msg("a delivery report resolved a message of unknown outcome")
	return true, w.wakeAll(ctx, a.Campaign, camp.snapshot, camp.spec, out.Wakes)
}

// openAttempts caches the recipients of a login's unresolved attempts. These are the attempts in
// flight and those that ended unknown.
type openAttempts struct {
	mu   sync.Mutex
	read time.Time
	of   map[ledger.Attempt][]sms.MSISDN
	by   map[sms.MSISDN][]ledger.Attempt
}

// attemptsCacheFor is the maximum age of the cache. Within that age, a number that is not in the
// cache counts as one to which no attempt went.
const attemptsCacheFor = 100 * time.Millisecond

// to returns the attempts to the number n. If the cache has any, to reads them again, so that they
// are newer than the report (see ledger.Attempt).
func (o *openAttempts) to(ctx context.Context, l *ledger.Ledger, login string, n sms.MSISDN, now time.Time) ([]ledger.Attempt, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.by[n]) > 0 || time.Since(o.read) > attemptsCacheFor {
		if err := o.update(ctx, l, login, now); err != nil {
			return nil, err
		}
		o.read = time.Now()
	}
	return o.by[n], nil
}

func (o *openAttempts) update(ctx context.Context, l *ledger.Ledger, login string, now time.Time) error {
	list, err := l.Attempts(ctx, login, now.Add(-ledger.AttemptLife), now.Add(clockSlack))
	if err != nil {
		return err
	}
	if o.of == nil {
		o.of, o.by = map[ledger.Attempt][]sms.MSISDN{}, map[sms.MSISDN][]ledger.Attempt{}
	}
	there := make(map[ledger.Attempt]bool, len(list))
	for _, a := range list {
		there[a] = true
		if _, ok := o.of[a]; ok {
			continue
		}
		numbers, err := l.AttemptTo(ctx, a)
		if err != nil {
			return err
		}
		o.of[a] = numbers
		for _, n := range numbers {
			o.by[n] = append(o.by[n], a)
		}
	}
	for a, numbers := range o.of {
		if there[a] {
			continue
		}
		delete(o.of, a)
		for _, n := range numbers {
			if o.by[n] = removeAttempt(o.by[n], a); len(o.by[n]) == 0 {
				delete(o.by, n)
			}
		}
	}
	return nil
}

func removeAttempt(list []ledger.Attempt, a ledger.Attempt) []ledger.Attempt {
	var out []ledger.Attempt
	for _, x := range list {
		if x != a {
			out = append(out, x)
		}
	}
	return out
}
