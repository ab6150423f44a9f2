package worker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

const (
	// leaseMargin is how much longer the lease of a claim is than the maximum duration of its call.
	leaseMargin = 3 * time.Second
	// missedSlot is how long after its start a reserved turn may still be used.
	missedSlot = 100 * time.Millisecond
	// heldWatch is how often the sweeper checks whether the hold of an account is over.
	heldWatch = 2 * time.Second
	// fullWatch is how long to wait when Redis has no room for another claim.
	fullWatch = 2 * time.Second
	// maxFaults is how often a batch is loaded again after a script met an unreadable record that
	// loading did not find. After that, the whole batch is quarantined.
	maxFaults = 3
)

// batchSender handles one wake-up: it sends the calls of one batch, and then those of the batches
// that become open when it settles these calls. Only the goroutine of one slot uses it.
type batchSender struct {
	*Worker
	acc      *account
	id       string
	batch    string
	pointer  queue.Pointer
	camp     *loadedCampaign
	segments int // segments of one message of a plain campaign
	// next is a batch that a settle opened and that this slot sends next. The slot may go from one
	// batch to the next until chainUntil.
	next       *ledger.Wake
	chainUntil time.Time
	// schedule holds the times at which the current batch may be sent. nil means that it may be
	// sent at any time.
	schedule *schedule
	// startedAt is when the slot began the batch, or last found that no other campaign waits for a
	// slot. tried reports whether the slot has tried a call of the batch since then.
	startedAt time.Time
	tried     bool
	// requeue reports whether the batch must join the end of the queue.
	requeue bool
	// watched is when the slot last extended the batch's watch while it waited.
	watched time.Time
	// dials is the number of connections to Redis when the last claim was requested.
	// countedInFlight reports whether that claim is counted in restartGuard.inFlight.
	dials           int64
	countedInFlight bool
	// exclusionVersion is the version of the campaign's opt-outs that have been applied to the
	// current generation.
	exclusionVersion string
}

// chainFor is how long a slot goes from one batch to the next of the same campaign. Then the queue
// chooses the next campaign again.
const chainFor = time.Second

// send works on a batch until none of its generations can be submitted right now. Then it works on
// the next batch of the campaign that its settles opened. The ledger holds all state, and the
// sweeper wakes the batches that are left.
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

// keepNext keeps one newly opened batch of this account for this slot. It returns the other
// batches, which the caller queues.
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

// queueNext queues the batch that keepNext kept. It is used when this slot cannot continue.
func (s *batchSender) queueNext(ctx context.Context) error {
	if s.next == nil {
		return nil
	}
	return s.wakeAll(ctx, s.id, s.camp.snapshot, s.camp.spec, []ledger.Wake{*s.next})
}

func (s *batchSender) watch(ctx context.Context, at time.Time) error {
	return s.ledger.Watch(ctx, s.id, s.batch, at)
}

// watchIn extends the watch of the batch until d from now, by Redis' clock.
func (s *batchSender) watchIn(ctx context.Context, d time.Duration) error {
	now, err := s.ledger.Now(ctx)
	if err != nil {
		return err
	}
	return s.watch(ctx, now.Add(d))
}

// tryGeneration submits one generation if nothing prevents it. The steps are: check the account,
// reserve rate, claim, call, settle. If the settle also claims the next generation, tryGeneration
// submits that one too, and so on. It removes the submitted generations from after.
func (s *batchSender) tryGeneration(ctx context.Context, g *ledger.Generation, after *[]*ledger.Generation) (step, time.Time, error) {
	if s.memory.full() {
		return stepLeave, time.Time{}, s.watchIn(ctx, fullWatch)
	}
	if narrowed, err := s.excludeOptOuts(ctx, g); err != nil || narrowed {
		return stepAgain, time.Time{}, err
	}
	if g.Doubtful && s.acc.info.KeyTTL == 0 {
		return s.claimExpectingRefusal(ctx, g) // this generation will not be submitted again, so it need not wait for a turn or for the end of a hold
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
		return stepAgain, time.Time{}, err // if the worker drains, the next pass hands the batch over to other workers
	}
	defer s.acc.leave()
	if held, err := s.heldMeanwhile(ctx, look, looked); err != nil || held {
		if err == nil {
			err = s.limiter().Return(ctx, units, time.Until(turn))
		}
		return stepAgain, time.Time{}, err
	}
	// The time limit of the call starts before the first try of the claim. If the answer to the
	// claim is late, less time is left for the call. So the call ends within its lease.
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
		// The claim may have been granted by a new Redis that lacks recent settles.
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
		done() // the call is over, so calls of other slots need not wait for the next calls of this one
		if next == nil || err != nil {
			return st, time.Time{}, err
		}
		at, *after = *next, (*after)[1:]
	}
}

// whileHeld leaves the batch until the hold is over. If the campaign was stopped, its doubtful
// calls end now, because their claims would be refused even without the hold.
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

// refused acts on a claim that the ledger refused.
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

// whilePaused leaves the batch until the campaign is resumed. Resuming makes the batch due at once.
// If the campaign was resumed after the claim was refused, the batch is loaded again.
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

// abandon settles a doubtful generation as unknown. It will not be submitted again.
func (s *batchSender) abandon(c *ledger.Claim, g *ledger.Generation, why string) error {
	records := fill(len(g.To), campaign.Record{Status: campaign.Unknown, Reason: why})
	wait := backOff(1) // delay before recipients are resent
	return s.endClaim("abandon", func(ctx context.Context) (ledger.Settled, error) {
		return s.ledger.Settle(ctx, c, records, campaign.SettleAbandon, s.segmentsOf(g), wait)
	})
}

// submission is a call whose claim was granted.
type submission struct {
	claim *ledger.Claim
	gen   *ledger.Generation
	look  ledger.AccountCheck
	start time.Time // when the time limit of the call started
}

// submitCall makes the call and ends its claim. If the settle also claims one of the generations in
// after, submitCall returns that generation as the next submission.
//
// submitCall uses its own contexts. The task's context ends at shutdown, when its lease is lost,
// and at a timeout of the queue. None of these may give a call in flight an unknown outcome.
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
	if v.outcome == campaign.CallOK {
		s.acc.slowStart.noteAccepted(time.Now())
	}
	next, st, err := s.applyVerdict(at, v, after)
	if look.Probe && v.outcome == "" {
		s.endProbe() // the call showed nothing about the account, so another call may probe at once
	}
	s.noteBalanceIn(results)
	return next, st, err
}

// callProvider submits a batch. It returns a panic of the provider as an error of unknown outcome.
func callProvider(ctx context.Context, p providers.Provider, b providers.Batch) (results []providers.Result, err error) {
	defer func() {
		if r := recover(); r != nil {
			// The panic's text could contain a message body or a secret.
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

func fill(n int, r campaign.Record) []campaign.Record {
	out := make([]campaign.Record, n)
	for i := range out {
		out[i] = r
	}
	return out
}
