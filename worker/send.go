package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

const (
	// leaseMargin is how much longer a lease is than the HTTP call may take.
	leaseMargin = 3 * time.Second
	// missedSlot is how late a booked slot may be used.
	missedSlot = 100 * time.Millisecond
	// heldWatch is how often the sweeper looks whether a hold is over.
	heldWatch = 2 * time.Second
	// fullWatch is how long to wait when Redis has no room for another claim.
	fullWatch = 2 * time.Second
	// mostFaults is after how many looks a batch is set aside whole, if a script meets what
	// it cannot read and no look has found it.
	maxFaults = 3
)

// sending is one wake-up call of a batch being worked on.
type batchSender struct {
	*Worker
	acc      *account
	id       string
	batch    string
	pointer  queue.Pointer
	camp     *campaign
	segments int // of a plain campaign's message
	// next is a batch that a settle has handed out and this slot goes on with.
	next       *ledger.Wake
	chainUntil time.Time
	// schedule is when the batch at hand may go; nil: at any time.
	schedule *schedule
	// took is when the slot took the batch up, or last saw that nobody waits for the slot;
	// tried says that it has tried a call of it since.
	startedAt time.Time
	tried     bool
	// yields: the batch shall join the end of the queue.
	requeue bool
	// watched is when a wait has last told the sweeper that somebody works here.
	watched time.Time
	// dials is how many connections to Redis there were when the last claim was asked for;
	// holds: it has not been let go yet.
	dials           int64
	countedInFlight bool
	// heeded is the version of the campaign's opt-outs by which the generation at hand has
	// none of them in it.
	exclusionVersion string
}

// chainFor is how long a slot goes on with the batches that its own settles hand
// out, before it lets the queue choose among campaigns again.
const chainFor = time.Second

// send works on a batch until nothing in it can go right now, and then on the
// next one of the campaign that this made room for. What is left is watched by
// the sweeper; the ledger knows everything else.
func (w *Worker) send(ctx context.Context, acc *account, p queue.Pointer) error {
	camp, err := w.campaign(ctx, p.Campaign)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s := &batchSender{Worker: w, acc: acc, id: p.Campaign, camp: camp, chainUntil: time.Now().Add(chainFor)}
	s.segments, _ = sms.Segments(camp.spec.Body)
	defer s.reportSuccesses()
	for {
		if err := s.orQuarantine(ctx, s.id, p.Batch, s.sendBatch(ctx, p)); err != nil {
			return errors.Join(err, s.queueNext(ctx))
		}
		if s.next == nil {
			return nil
		}
		p.Batch, p.Wake, s.next = s.next.Batch, s.next.Number, nil
	}
}

// keep holds back one handed-out batch for this slot, and returns the others.
func (s *batchSender) keepNext(wakes []ledger.Wake) []ledger.Wake {
	if s.next != nil || s.draining() || time.Now().After(s.chainUntil) {
		return wakes
	}
	for i, x := range wakes {
		if stream, err := s.camp.snapshot.StreamOf(x.Batch); err == nil && stream.Account.Name == s.acc.Name {
			s.next = &x
			return append(wakes[:i:i], wakes[i+1:]...)
		}
	}
	return wakes
}

// passOn queues the batch that was held back, when this slot cannot go on.
func (s *batchSender) queueNext(ctx context.Context) error {
	if s.next == nil {
		return nil
	}
	return s.wakeAll(ctx, s.id, s.camp.snapshot, s.camp.spec, []ledger.Wake{*s.next})
}

func (s *batchSender) watch(ctx context.Context, at time.Time) error {
	return s.ledger.Watch(ctx, s.id, s.batch, at)
}

// watchIn is watch by Redis' clock, for waits that no script has given an instant.
func (s *batchSender) watchIn(ctx context.Context, d time.Duration) error {
	now, err := s.ledger.Now(ctx)
	if err != nil {
		return err
	}
	return s.watch(ctx, now.Add(d))
}

// try submits one generation if everything allows it: look, reserve, claim, call, settle.
// Where the settle of one claims the next, it goes on with those that come after it, and
// takes them off their list.
func (s *batchSender) tryGeneration(ctx context.Context, g *ledger.Generation, after *[]*ledger.Generation) (step, time.Time, error) {
	if s.memory.full() {
		return stepLeave, time.Time{}, s.watchIn(ctx, fullWatch)
	}
	if narrowed, err := s.excludeOptOuts(ctx, g); err != nil || narrowed {
		return stepAgain, time.Time{}, err
	}
	if g.Doubtful && s.acc.info.KeyTTL == 0 {
		return s.claimExpectingRefusal(ctx, g) // it goes nowhere any more, and waits neither for its turn nor for a hold
	}
	if s.schedule.closed() {
		return s.whileClosed(ctx, g)
	}
	turns := s.acc.slowStart.turns.Load()
	look, most, ok, err := s.checkAccount(ctx, g)
	if err != nil {
		return stepDone, time.Time{}, err
	}
	if !ok {
		return s.whileHeld(ctx, g)
	}
	submitted := false
	if look.Probe {
		defer func() {
			if !submitted {
				s.endProbe()
			}
		}()
	}
	done, ok := s.admitFirst(look, turns)
	if !ok {
		return stepAgain, time.Time{}, nil
	}
	done = sync.OnceFunc(done)
	defer done()
	looked := time.Now()
	units := s.units(g)
	turn, ok, err := s.reserve(ctx, units)
	if err != nil || !ok {
		return stepAgain, time.Time{}, err // draining: the next look at the batch hands it over
	}
	defer s.acc.leave()
	if held, err := s.heldMeanwhile(ctx, look, looked); err != nil || held {
		if err == nil {
			err = s.limiter().Return(ctx, units, time.Until(turn))
		}
		return stepAgain, time.Time{}, err
	}
	// The call's time runs from before the first try of the claim: a claim that was
	// answered late leaves less of it.
	start := time.Now()
	defer s.releaseInFlight()
	claim, err := s.claim(ctx, g)
	if claim != nil && err != nil {
		return stepAgain, time.Time{}, s.releaseUnused(ctx, claim, units, time.Until(turn), backOff(2), err)
	}
	if err != nil {
		return stepDone, time.Time{}, err
	}
	if claim.Result == ledger.ClaimGranted && s.restartGuard.dials.Load() != s.dials {
		// Perhaps it was had from a Redis that does not know yet what was settled.
		return stepAgain, time.Time{}, s.releaseUnused(ctx, claim, units, time.Until(turn), 0, errSuspect)
	}
	if claim.Result != ledger.ClaimGranted {
		if err := s.limiter().Return(ctx, units, time.Until(turn)); err != nil {
			s.log.Warn().Err(err).Str("account", s.acc.Name).Msg("a booking could not be given back")
		}
		return s.refused(ctx, g, claim)
	}
	if look.Probe && most > 0 && len(g.To) > most && !claim.Doubt {
		return stepAgain, time.Time{}, s.splitProbe(ctx, claim, most, units, time.Until(turn))
	}
	submitted = true
	at := submission{claim: claim, gen: g, look: look, start: start}
	for {
		next, st, err := s.submitCall(at, *after)
		done() // others need not wait for those that follow
		if next == nil || err != nil {
			return st, time.Time{}, err
		}
		at, *after = *next, (*after)[1:]
	}
}

// whileHeld leaves a batch until the hold is over. But the doubt of a campaign
// that was stopped ends now: a claim of it is never told to go.
func (s *batchSender) whileHeld(ctx context.Context, g *ledger.Generation) (step, time.Time, error) {
	sum, err := s.ledger.Summary(ctx, s.id)
	if errors.Is(err, ledger.ErrNotFound) {
		return stepLeave, time.Time{}, nil
	}
	if err != nil {
		return stepDone, time.Time{}, err
	}
	if sum.StoppedBy == "" {
		return stepLeave, time.Time{}, s.watchIn(ctx, heldWatch)
	}
	return s.claimExpectingRefusal(ctx, g)
}

// refused acts on a claim that was not told to go.
func (s *batchSender) refused(ctx context.Context, g *ledger.Generation, c *ledger.Claim) (step, time.Time, error) {
	switch c.Result {
	case ledger.ClaimBusy, ledger.ClaimLater:
		return stepLater, c.Until.Add(50 * time.Millisecond), nil
	case ledger.ClaimClosed:
		return stepLater, c.Until.Add(rand.N(openingSpread)), nil
	case ledger.ClaimPaused:
		return s.whilePaused(ctx)
	case ledger.ClaimCanary:
		return stepLeave, time.Time{}, s.watchIn(ctx, heldWatch)
	case ledger.ClaimChanged:
		return stepAgain, time.Time{}, nil
	case ledger.ClaimExcluded:
		return stepAgain, time.Time{}, s.ledger.ReadExclusions(ctx, s.id, s.camp.opted)
	case ledger.ClaimStale:
		return stepLeave, time.Time{}, nil
	case ledger.ClaimDoubtful:
		if c.Why == ledger.DoubtNoKey && s.acc.reconciles() {
			return s.lookUp(ctx, c, g)
		}
		return stepAgain, time.Time{}, s.abandon(c, g, c.Why)
	case ledger.ClaimStopped:
		if c.Doubt {
			return stepAgain, time.Time{}, s.abandon(c, g, c.Why)
		}
		return stepAgain, time.Time{}, nil
	}
	return stepDone, time.Time{}, nil
}

// whilePaused leaves a batch until the campaign is resumed, which sets its watch
// to now; unless that has happened since the claim was refused.
func (s *batchSender) whilePaused(ctx context.Context) (step, time.Time, error) {
	if err := s.watchIn(ctx, time.Minute); err != nil {
		return stepDone, time.Time{}, err
	}
	sum, err := s.ledger.Summary(ctx, s.id)
	if err == nil && sum.PausedBy == "" {
		return stepAgain, time.Time{}, nil
	}
	if errors.Is(err, ledger.ErrNotFound) {
		err = nil
	}
	return stepLeave, time.Time{}, err
}

// abandon settles a doubtful generation that will not go again as unknown.
func (s *batchSender) abandon(c *ledger.Claim, g *ledger.Generation, why string) error {
	records := fill(len(g.To), ledger.Record{Status: ledger.Unknown, Reason: why})
	wait := backOff(1) // of those who are resent
	return s.endClaim("abandon", func(ctx context.Context) (ledger.Settled, error) {
		return s.ledger.Settle(ctx, c, records, ledger.SettleAbandon, s.segmentsOf(g), wait)
	})
}

// submission is a call that may be made.
type submission struct {
	claim *ledger.Claim
	gen   *ledger.Generation
	look  ledger.AccountCheck
	start time.Time // from which on its time runs
}

// submit makes the call and ends the claim; perhaps it returns the next of those that come
// after it. It runs on contexts of its own: the task's context ends on shutdown, a lost
// lease or a timeout of the queue's, and none of these may turn a call in flight into an
// unknown one.
func (s *batchSender) submitCall(at submission, after []*ledger.Generation) (*submission, step, error) {
	c, g, look := at.claim, at.gen, at.look
	ctx, cancel := context.WithDeadline(context.Background(), at.start.Add(s.acc.Timeout))
	defer cancel()
	to := make([]sms.MSISDN, len(g.To))
	for i, p := range g.To {
		to[i] = p.MSISDN
	}
	results, err := callProvider(ctx, s.acc.Provider, providers.Batch{IdempotencyKey: c.IdempotencyKey.String(), From: s.sender(), Body: s.body(g), Flash: s.camp.spec.Flash, To: to})
	v := judge(results, err, situation{recipients: len(to), doubt: c.Doubt, hasKeys: s.acc.info.KeyTTL > 0, reconcileFor: s.acc.reconcileFor(), tries: c.Tries, claims: c.Claims, probe: look.Probe,
		maxAttempts: s.acc.MaxAttempts, lastAccepted: look.LastAccepted, first: c.First, now: c.At})
	s.logCall(c, g, v, err, time.Since(at.start))
	if v.outcome == ledger.CallOK {
		s.acc.slowStart.noteAccepted(time.Now())
	}
	next, st, err := s.applyVerdict(at, v, after)
	if look.Probe && v.outcome == "" {
		s.endProbe() // it has shown nothing of the account: let another call try at once
	}
	s.noteBalanceIn(results)
	return next, st, err
}

// call submits a batch; a panic in a provider costs that call and no more.
func callProvider(ctx context.Context, p providers.Provider, b providers.Batch) (results []providers.Result, err error) {
	defer func() {
		if r := recover(); r != nil {
			// The panic's own text could hold a body or a secret.
			results, err = nil, &providers.Error{Op: "send", Outcome: providers.Unknown, Scope: providers.Call,
				Cause: providers.CauseNoAnswer, Code: "panic", Err: fmt.Errorf("%T in the provider", r)}
		}
	}()
	return p.Send(ctx, b)
}

func (s *batchSender) sender() string {
	if s.camp.spec.From != "" {
		return s.camp.spec.From
	}
	return s.acc.Sender
}

func fill(n int, r ledger.Record) []ledger.Record {
	out := make([]ledger.Record, n)
	for i := range out {
		out[i] = r
	}
	return out
}
