package dispatch

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/announce"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/drain"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/statusevent"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/internal/verdict"
	"github.com/tuma-sms/tuma/internal/wake"
)

// The type "endings" writes the end of each claim to the ledger.
type endings struct {
	ledger    *ledger.Ledger
	waker     *wake.Waker
	stop      *drain.Signals
	announcer *announce.Announcer
	statuses  *statusevent.Writer
	log       zerolog.Logger
}

// durableTries is how often a draining worker waits for its write to become durable.
const durableTries = 3

// The method "end" writes the end of a claim, and retries while Redis is away. The parameter "what" names
// the write in log lines. The method uses its own context and stops only when the worker is killed. After
// the write it queues the batches that the write opened, except the batch that the slot sends next.
func (e endings) end(b *batch, what string, write func(context.Context) (ledger.Settled, error)) error {
	wait := 50 * time.Millisecond
	for try := 1; ; try++ {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		out, err := write(ctx)
		if err == nil {
			err = e.waker.All(tracing.With(ctx, b.header), b.id, b.camp, b.follow(out.Wakes, e.stop))
			cancel()
			if err != nil {
				e.log.WithLevel(warnLevel(err)).Err(err).Str("campaign", b.id).Msg("could not queue the batches that were opened; the sweeper queues them")
			}
			if out.Done {
				e.campaignEnded(b)
			}
			return nil
		}
		cancel()
		if errors.Is(err, ledger.ErrNotFound) || errors.Is(err, ledger.ErrNewer) || ledger.AsUnreadable(err) != nil {
			return err
		}
		if errors.Is(err, script.ErrNotDurable) && e.stop.Draining() && try >= durableTries {
			return err // the end of the claim is written; the next worker waits until this write is durable
		}
		if try == 1 || try%20 == 0 {
			e.log.WithLevel(outage.Level(err, zerolog.ErrorLevel)).Err(err).Str("campaign", b.id).Str("batch", b.name).Func(tracing.LogID(b.trace.TraceID())).Int("try", try).Msg(what + " failed; retrying")
		}
		select {
		case <-e.stop.Killed():
			return err
		case <-time.After(wait/2 + rand.N(wait)):
		}
		wait = min(2*wait, 2*time.Second)
	}
}

// campaignEnded logs the end of the batch's campaign.
func (e endings) campaignEnded(b *batch) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	e.announcer.EndedNow(b.trace.Context(ctx), b.id, b.camp.Total)
}

// The method "release" releases a claim under which no call was made.
func (e endings) release(b *batch, c *ledger.Claim, wait time.Duration) error {
	return e.end(b, "release", func(ctx context.Context) (ledger.Settled, error) {
		out, err := e.ledger.Release(ctx, c, wait, ledger.ReleaseUnused)
		if errors.Is(err, script.ErrNotDurable) {
			err = nil // it does no harm if Redis loses the release of a claim
		}
		if err == nil {
			b.acc.Tracker.Forget(ctx, c)
		}
		return out, err
	})
}

// The method "abandon" settles a doubtful generation as unknown. The generation will not be submitted
// again.
func (e endings) abandon(b *batch, c *ledger.Claim, g *ledger.Generation, why string) error {
	records := verdict.SameForAll(len(g.To), campaign.Record{Status: campaign.Unknown, Reason: why})
	wait := verdict.BackOff(1) // the delay before a recipient of unknown outcome is resent
	return e.end(b, "abandon", func(ctx context.Context) (ledger.Settled, error) {
		out, err := e.ledger.Settle(ctx, c, records, campaign.SettleAbandon, b.segmentsOf(g), wait)
		if err == nil && !out.Stale {
			b.acc.Meter.Recorded(records)
			e.statuses.Call(b.camp, b.id, b.name, g.Call, g.CallSize)
		}
		return out, err
	})
}
