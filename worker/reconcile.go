package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

const (
	// clockSlack is how far a gateway's clock may be from Redis'.
	clockSlack = 2 * time.Minute
	// reportLife is how long after its message a delivery report may come: gateways hold
	// messages for two days at most (a day is usual).
	maxDLRDelay = 48 * time.Hour
	// mostLooks is how often a call is looked for; with each it is given more time to
	// show up.
	maxLookups = 4
)

// lookIn is how long after the end of its call, or its look before, a doubtful call is
// looked for: the last time after as long as an account's ReconcileFor.
func lookupDelay(reconcileFor time.Duration, lookups int) time.Duration {
	parts := [maxLookups]int64{1, 2, 3, 6}[min(lookups, maxLookups-1)]
	return time.Duration(int64(reconcileFor) * parts / 12)
}

// reconcileFor is for how long a call of unknown outcome is looked for; 0: not at all.
func (a *account) reconcileFor() time.Duration {
	if !a.reconciles() {
		return 0
	}
	return a.ReconcileFor
}

// reconciles says whether a call of unknown outcome can be looked for at the gateway.
func (a *account) reconciles() bool {
	return a.info.KeyTTL == 0 && a.reconciler != nil && a.ReconcileFor > 0
}

// tracked says whether the account's submissions are kept, so that what the gateway
// has taken can be held against them.
func (a *account) tracked() bool {
	return a.info.KeyTTL == 0 && (a.reconciles() || a.info.DLRNamesRecipient)
}

// idsLife is how long the ids of messages are kept: as long as a list or a report may
// come that names them.
func (a *account) keepIDsFor() time.Duration {
	if a.info.DLRNamesRecipient {
		return maxDLRDelay
	}
	return ledger.AttemptLife
}

// noteSent notes the ids of accepted messages, before they are settled.
func (s *batchSender) noteSent(ctx context.Context, c *ledger.Claim, records []ledger.Record) error {
	if !s.acc.tracked() {
		return nil
	}
	var ids []string
	for _, r := range records {
		if r.Status == ledger.Accepted && r.MessageID != "" {
			ids = append(ids, r.MessageID)
		}
	}
	return s.ledger.RecordMessageIDs(ctx, s.acc.info.Fingerprint, c.Attempt(), ids, s.acc.keepIDsFor())
}

// endAttempt takes a submission out once nothing of it is unknown, and all ids are known. One of several parts
// stays where the gateway's list may have more ids than its answer had.
func (s *batchSender) endAttempt(ctx context.Context, c *ledger.Claim, g *ledger.Generation, v verdict) {
	if !s.acc.tracked() || v.action == actionDoubt || s.acc.reconciles() && s.segmentsOf(g) > 1 && v.action == actionSettle {
		return
	}
	for _, r := range v.records {
		if r.Status == ledger.Unknown || r.Status == ledger.Accepted && r.MessageID == "" {
			return // a message of it may turn up that nobody knows
		}
	}
	s.forgetAttempt(ctx, c)
}

// neverWas takes an attempt out: no message can be its own and unknown.
func (s *batchSender) forgetAttempt(ctx context.Context, c *ledger.Claim) {
	if !s.acc.tracked() {
		return
	}
	if err := s.ledger.EndAttempt(ctx, s.acc.info.Fingerprint, c.Attempt()); err != nil {
		s.log.Debug().Err(err).Msg("an attempt is kept that has ended; less can be reconciled") // and nothing wrong
	}
}

// tooOld says whether what is kept of other calls may not reach back to a call any more.
func tooOld(now, at time.Time, lasts time.Duration) bool {
	return now.Sub(at) > ledger.AttemptLife-2*lasts-4*clockSlack
}

// look looks for a doubtful call in the gateway's list of what it has taken. Who is
// found is accepted; after the last look the others end unknown.
func (s *batchSender) lookUp(ctx context.Context, c *ledger.Claim, g *ledger.Generation) (step, time.Time, error) {
	s.releaseInFlight() // nothing is submitted
	now, err := s.ledger.Now(ctx)
	if err != nil {
		return stepDone, time.Time{}, err
	}
	if tooOld(now, c.At, s.acc.Timeout+leaseMargin) {
		return stepAgain, time.Time{}, s.abandon(c, g, c.Why)
	}
	if !s.acc.listing.TryLock() { // the lists are long: one at a time
		return stepLeave, time.Time{}, s.watch(ctx, now.Add(s.acc.Timeout/4))
	}
	defer s.acc.listing.Unlock()
	if err := s.watch(ctx, now.Add(s.acc.Timeout+wakeWatch)); err != nil { // asking in silence would look like being dead
		return stepDone, time.Time{}, err
	}
	found, err := s.find(ctx, c, g)
	why := ledger.ReasonNotFound
	if err != nil {
		why = c.Why
		s.log.Warn().Err(err).Str("campaign", s.id).Str("account", s.acc.Name).Int("look", c.Lookups+1).Msg("a call of unknown outcome cannot be looked for")
	}
	records, basis, wait := g.Found(found, why), ledger.SettleLookup, lookupDelay(s.acc.ReconcileFor, c.Lookups+1)
	if c.Lookups+1 >= maxLookups {
		basis, wait = ledger.SettleAbandon, backOff(1) // of those who are resent
	}
	s.log.Info().Str("campaign", s.id).Str("batch", s.batch).Str("account", s.acc.Name).Int("look", c.Lookups+1).
		Int("found", len(found)).Int("recipients", len(g.To)).Msg("looked for a call of unknown outcome")
	return stepAgain, time.Time{}, s.endClaim("look", func(ctx context.Context) (ledger.Settled, error) {
		if err := s.noteSent(ctx, c, records); err != nil {
			return ledger.Settled{}, err
		}
		return s.ledger.Settle(ctx, c, records, basis, s.segmentsOf(g), wait)
	})
}

// find returns the gateway's ids of the messages of a doubtful call, by number. What
// could be another call's is not among them. The order of the three questions is what
// makes it sound: see ledger.Attempt.
func (s *batchSender) find(ctx context.Context, c *ledger.Claim, g *ledger.Generation) (map[sms.MSISDN]string, error) {
	lasts := s.acc.Timeout + leaseMargin
	from, to := c.At.Add(-clockSlack), c.At.Add(lasts+clockSlack)
	bounded, cancel := context.WithTimeout(ctx, s.acc.Timeout)
	listed, err := listTaken(bounded, s.acc.reconciler, from, to)
	cancel()
	if err != nil {
		return nil, err
	}
	// Whose messages can lie in that span.
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

// taken asks a gateway what it has taken; a panic in the provider costs the answer and no more.
func listTaken(ctx context.Context, p providers.Reconciler, from, to time.Time) (got []providers.TakenMessage, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &providers.Error{Op: "taken", Cause: providers.CauseNoAnswer, Code: "panic", Err: fmt.Errorf("%T in the provider", r)}
		}
	}()
	return p.Taken(ctx, from, to)
}

// match knows which of the messages that a gateway lists can only be a call's.
type matcher struct {
	from, to time.Time
	sender   string
	// parts is how many rows one message may have.
	parts int
	// others have had another call in that time of which nobody knows the end.
	others map[sms.MSISDN]bool
	// known says of an id that it is another call's.
	known func(id string) bool
}

// among returns the ids of the messages found, by number: for a recipient to whom there
// was no other call, the only message that is nobody's yet, has the call's sender, and
// lies in the call's time. It has no effects.
func (m matcher) among(listed []providers.TakenMessage, to []ledger.Planned) map[sms.MSISDN]string {
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
		case x.At.IsZero(): // whenever that was
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

// Reconcile takes a gateway's delivery report, and says whether it has told the ledger
// something: that a message of unknown outcome was taken. It has if the account's reports
// name the recipient, nobody has known the message's id for two days, and of all calls of the last hour
// of which nobody knows the end exactly one was to that number. What else the report
// says, and reports on messages that are known, are not its matter. An account that this
// worker does not serve is an error; after another error the report should come again.
// It is safe for concurrent use, also while the worker does not run.
func (w *Worker) Reconcile(ctx context.Context, account string, r providers.DLR) (bool, error) {
	acc := w.accounts[account]
	if acc == nil {
		return false, fmt.Errorf("reconcile: account %.64q is not served here", account)
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
	w.log.Info().Str("campaign", a.Campaign).Str("batch", a.Batch).Str("account", account).Msg("a delivery report tells of a message of unknown outcome")
	return true, w.wakeAll(ctx, a.Campaign, camp.snapshot, camp.spec, out.Wakes)
}

// openAttempts remembers to whom the attempts of a login were that have not been taken
// out: those in flight and those that ended unknown.
type openAttempts struct {
	mu   sync.Mutex
	read time.Time
	of   map[ledger.Attempt][]sms.MSISDN
	by   map[sms.MSISDN][]ledger.Attempt
}

// attemptsLife is how old a list may be that says of a report that it is nobody's here.
const attemptsCacheFor = 100 * time.Millisecond

// to returns the attempts to a number, as of now if there are any: the report came
// before the list is read (see ledger.Attempt).
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
