package dispatch

import (
	"context"
	"errors"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/pacing"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/internal/wake"
)

// maxFaults is how often a batch is loaded again because a script found an unreadable record
// that was not found at the load. After that, the whole batch is quarantined.
const maxFaults = 3

// Send works on the batch of the wake-up p, at the batch's account, until none of its generations
// can be submitted right now. Its settles may open another batch of the campaign, and Send works
// on this batch next. All state is in the ledger, and the sweeper wakes batches that have work
// left.
func (s *Sender) Send(ctx context.Context, acc *Account, p queue.Pointer) error {
	camp, err := s.Campaigns.Get(ctx, p.Campaign)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	sl := newSlot(acc, p.Campaign, camp, &pacing.Waiter{Stop: s.Stop})
	sl.header = p.Trace
	traced := tracing.Campaign{Trace: camp.Spec.Trace, Upload: camp.Upload}
	defer s.reports.flush(acc)
	for {
		b := sl.newBatch(p)
		b.trace = s.Tracer.Batch(ctx, traced, p.Trace, acc.Name, acc.Info.Name)
		err := s.sendBatch(ctx, b)
		b.trace.End(err)
		if err := s.Quarantine.Unreadable(ctx, b.id, b.name, err); err != nil {
			return errors.Join(err, s.queueFollowing(ctx, sl))
		}
		if sl.following == nil {
			return nil
		}
		p.Batch, p.Wake, sl.following = sl.following.Batch, sl.following.Number, nil
	}
}

// sendBatch sends the calls of one batch until no further call can be made right now. If another
// campaign needs the slot first, sendBatch queues the batch again.
func (s *Sender) sendBatch(ctx context.Context, b *batch) error {
	b.waiter.KeepAlive = func(ctx context.Context, d time.Duration) error {
		return s.watches.extend(ctx, b, d+wake.Watch)
	}
	for faults := 0; ; {
		work, err := s.look(ctx, b)
		if err != nil || work == nil {
			return err
		}
		out, err := s.runPass(ctx, b, work)
		if faults++; ledger.AsUnreadable(err) != nil && faults <= maxFaults {
			continue // load the batch again, to find out which records are unreadable and which calls can be made
		}
		switch {
		case err != nil:
			return err
		case out.then == thenRequeue:
			return s.Waker.HandOver(b.pointer())
		case out.then != thenReload:
			return nil
		}
	}
}

// runPass tries each open generation that is due. It returns the outcome "reload",
// "leave" or "requeue".
func (s *Sender) runPass(ctx context.Context, b *batch, work *ledger.Work) (outcome, error) {
	var err error
	if b.schedule, err = s.readSchedule(ctx, b); err != nil {
		return leave, err
	}
	for p := newPass(work.Open); ; {
		n, err := s.next(ctx, b, p)
		if err != nil || n.gen == nil {
			return n.otherwise, err
		}
		b.tried = true
		out, err := s.try(ctx, b, p, n.gen)
		if err != nil {
			return leave, err
		}
		switch out.then {
		case thenTryOthers:
		case thenPostpone:
			p.postpone(out.due)
		default:
			return out, nil
		}
	}
}

// The method "try" takes one generation through the steps of a call, if nothing prevents it. If the
// settle also claims the next generation of the pass, the method submits that generation too, and
// so on.
func (s *Sender) try(ctx context.Context, b *batch, p *pass, g *ledger.Generation) (outcome, error) {
	admitted, err := s.admit(ctx, b, g)
	if err != nil || !admitted.ok {
		return admitted.otherwise, err
	}
	submitted := false
	defer func() {
		admitted.endTrial()
		if admitted.look.Probe && !submitted {
			s.probes.end(b.acc)
		}
	}()
	reserved, err := s.reserve(ctx, b, g, admitted)
	if err != nil || !reserved.ok {
		return reload, err // if the worker drains, the next pass hands the batch over to other workers
	}
	defer b.acc.slots.Leave()
	granted, err := s.claim(ctx, b, g, admitted, reserved)
	if err != nil || !granted.ok {
		return granted.otherwise, err
	}
	defer granted.leave()
	submitted = true
	for sub := granted.submission; ; {
		answered, traced := s.call(b, sub)
		v := s.judge(b, sub, answered)
		ended := traced.Settle(v.Action.String())
		settled, err := s.settle(b, p, sub, answered, v)
		ended(err)
		admitted.endTrial() // the trial call is over, so other slots need not wait for the further calls of this slot
		if err != nil || settled.next == nil {
			return settled.otherwise, err
		}
		sub = *settled.next
		p.submitted()
	}
}
