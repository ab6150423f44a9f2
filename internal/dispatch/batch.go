package dispatch

import (
	"cmp"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/drain"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/pacing"
	"github.com/tuma-sms/tuma/internal/planning"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/internal/wake"
	"github.com/tuma-sms/tuma/sms"
)

// slot is the work on one wake-up. A slot sends the calls of one batch. When it settles these
// calls, other batches may become open, and the slot sends their calls next. Only one goroutine
// uses a slot.
type slot struct {
	acc      *Account
	id       string // the campaign's ID
	camp     *wake.Campaign
	segments int // segments of one message of a plain campaign
	// The field "from" is the sender ID. The sender ID does not change while the slot exists, because the
	// idempotency key of a call is computed from it before the call.
	from   string
	header string // the traceparent of the task; the slot adds it to the tasks of the batches that it opens
	waiter *pacing.Waiter
	// The field "following" is a batch that a settle opened and that this slot sends next. The slot may go
	// from one batch to the next until chainUntil.
	following  *ledger.Wake
	chainUntil time.Time
}

// batch is the work of a slot on one batch.
type batch struct {
	*slot
	name string
	wake int // the number of the wake-up
	// schedule has the times at which the batch may be sent, for the current pass over the
	// batch. It is nil if the batch may be sent at any time.
	schedule *schedule
	// startedAt is the time at which the slot began the batch, or last found that no other
	// campaign waits for a slot. The field "tried" is true if the slot has tried a call of the
	// batch since it began the batch.
	startedAt time.Time
	tried     bool
	// stopped is true if the campaign was stopped before the batch was loaded.
	stopped bool
	trace   tracing.Batch
}

// chainFor is how long a slot may continue with further batches of one campaign. After that time
// the slot takes a wake-up from the queue. This wake-up may belong to another campaign.
const chainFor = time.Second

// newSlot returns a slot for a wake-up of the campaign with the given ID.
func newSlot(acc *Account, id string, camp *wake.Campaign, waiter *pacing.Waiter) *slot {
	s := &slot{acc: acc, id: id, camp: camp, waiter: waiter, chainUntil: time.Now().Add(chainFor),
		from: cmp.Or(camp.Spec.From, acc.Gateway().Sender)}
	s.segments, _ = sms.Segments(camp.Spec.Body)
	return s
}

// atItsAccount reports whether the slot's account is the account that the plan chose for the batch.
func (b *batch) atItsAccount() bool {
	stream, err := b.camp.Snapshot.StreamOf(b.name)
	return err == nil && stream.Account.Name == b.acc.Name
}

// newBatch returns the slot's work on a batch. The wake-up p names the batch.
func (s *slot) newBatch(p queue.Pointer) *batch {
	return &batch{slot: s, name: p.Batch, wake: p.Wake, startedAt: time.Now()}
}

// The method "pointer" returns the payload of a task that wakes the batch.
func (b *batch) pointer() queue.Pointer {
	return queue.Pointer{Campaign: b.id, Batch: b.name, Wake: b.wake, Trace: b.header}
}

// lane returns the part of the account's rate that the campaign's class uses; see pacing.Lane.
func (s *slot) lane() *pacing.Lane { return s.acc.lane(s.camp.Spec.Class) }

// queueName returns the queue of the campaign's batches at this account.
func (s *slot) queueName() string {
	return queue.SendQueue(s.acc.Name, s.camp.Spec.Class == campaign.Transactional)
}

// sender returns the sender ID of the campaign's messages.
func (s *slot) sender() string { return s.from }

// body returns the message body of a generation.
func (s *slot) body(g *ledger.Generation) string {
	if g.Body != "" {
		return g.Body
	}
	return s.camp.Spec.Body
}

// segmentsOf returns how many segments one message of a generation has.
func (s *slot) segmentsOf(g *ledger.Generation) int {
	if g.Body == "" {
		return s.segments
	}
	n, _ := sms.Segments(g.Body)
	return n
}

// units returns how many units of the account's rate the call of the generation g takes.
func (s *slot) units(g *ledger.Generation) int {
	n := len(g.To)
	switch s.acc.unit() {
	case campaign.UnitRequests:
		return 1
	case campaign.UnitSegments:
		return n * max(1, s.segmentsOf(g))
	}
	return n
}

// The method "follow" chooses one newly opened batch of this account, which this slot will send next.
// It returns the other batches, and the caller queues them.
func (s *slot) follow(wakes []ledger.Wake, stop *drain.Signals) []ledger.Wake {
	if s.following != nil || stop.Draining() || time.Now().After(s.chainUntil) {
		return wakes
	}
	for i, x := range wakes {
		if stream, err := s.camp.Snapshot.StreamOf(x.Batch); err == nil && stream.Account.Name == s.acc.Name {
			s.following = &x
			return append(wakes[:i:i], wakes[i+1:]...)
		}
	}
	return wakes
}

// The method "resends" reports whether a recipient with an unknown outcome is submitted once more.
// This is a setting of the plan snapshot. At a gateway with idempotency keys the result is always
// false. There the worker repeats the call under the same key. The repeated call is safe, and its answer
// has the outcome.
func (s *slot) resends() bool {
	n := planning.AccountNumber(s.camp.Snapshot, s.acc.Name)
	return n >= 0 && s.camp.Snapshot.Accounts[n].Resend && s.acc.Info.KeyTTL == 0
}

func numbersOf(to []campaign.Planned) []sms.MSISDN {
	out := make([]sms.MSISDN, len(to))
	for i, p := range to {
		out[i] = p.MSISDN
	}
	return out
}
