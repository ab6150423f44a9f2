package dispatch

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/verdict"
	"github.com/tuma-sms/tuma/providers"
)

// settled is the result of the method "settle". The field "next" is the next generation of the
// pass, if the settle claimed it. If it is nil, the field "otherwise" defines how the slot
// continues.
type settled struct {
	next      *submission
	otherwise outcome
}

// The method "settle" writes the verdict on the call to Redis. The verdict must not be lost, so
// the other contents of the answer are stored after it.
func (s *Sender) settle(b *batch, p *pass, sub submission, a answer, v verdict.Verdict) (settled, error) {
	began := time.Now()
	done, err := s.settleCall(b, p, sub, v)
	b.acc.Meter.Settled(time.Since(began))
	if sub.look.Probe && v.Outcome == "" {
		s.probes.end(b.acc) // the call showed nothing about the account, so another call may probe at once
	}
	s.storeBalance(b, a.results)
	return done, err
}

// settleCall settles a submitted call in the ledger, with the outcome in v. After a successful call, the
// script that settles it may also claim the next call that the slot sends.
func (s *Sender) settleCall(b *batch, p *pass, sub submission, v verdict.Verdict) (settled, error) {
	c, g := sub.claim, sub.gen
	var count sync.Once // the function "write" may run again after Redis has restarted
	write := func(ctx context.Context) (ledger.Settled, error) {
		if err := b.noteSent(ctx, c, v.Records); err != nil {
			return ledger.Settled{}, err
		}
		out, recorded, err := s.writeVerdict(ctx, b, sub, v)
		if err == nil {
			b.acc.Tracker.End(ctx, c, b.segmentsOf(g), v)
			b.reported(ctx, v.Records)
			if !out.Stale {
				count.Do(func() {
					b.acc.Meter.Recorded(recorded)
					s.noteStatuses(b, g, recorded)
				})
			}
		}
		return out, err
	}
	if v.Action == verdict.Settle || isLookedUpLater(b, v) {
		// Remember the verdict before writing it. If Redis restarts right after the write, the
		// verdict must be written again.
		s.Guard.Remember(len(g.To), func(ctx context.Context) error {
			_, err := write(ctx)
			return err
		})
	}
	followed := s.settleAndClaimNext(b, p, sub, v)
	var err error
	if followed.settled {
		count.Do(func() {
			b.acc.Meter.Recorded(v.Records)
			s.noteStatuses(b, g, v.Records)
		})
	} else {
		err = s.endings.end(b, "settle", write)
	}
	s.keepAnswer(b, sub, v, err)
	if v.Action == verdict.Settle && err == nil {
		if s.blacklist.note(b, g, v.Records) {
			s.pauseCampaign(b, pauseBlacklisted)
		}
	}
	switch {
	case err != nil:
		return settled{otherwise: reload}, err
	case followed.unused != nil:
		return settled{otherwise: reload}, s.endings.release(b, followed.unused, 0)
	case v.Final(b.resends()):
		return settled{next: followed.next, otherwise: tryOthers}, nil
	}
	return settled{otherwise: reload}, nil
}

// noteStatuses notes an event for the recipients of a call, because they have new statuses.
func (s *Sender) noteStatuses(b *batch, g *ledger.Generation, records []campaign.Record) {
	if len(records) > 0 {
		s.Statuses.Call(b.camp, b.id, b.name, g.Call, g.CallSize)
	}
}

// writeVerdict writes the verdict to the ledger. This ends the claim. The result "recorded" has the
// outcomes that were written, and may be empty.
func (s *Sender) writeVerdict(ctx context.Context, b *batch, sub submission, v verdict.Verdict) (out ledger.Settled, recorded []campaign.Record, err error) {
	c, g := sub.claim, sub.gen
	settle := func(records []campaign.Record, reason campaign.SettleReason, wait time.Duration) (ledger.Settled, []campaign.Record, error) {
		out, err := s.Ledger.Settle(ctx, c, records, reason, b.segmentsOf(g), wait)
		return out, recordedBy(reason, records), err
	}
	switch v.Action {
	case verdict.Settle:
		return settle(v.Records, v.SettleReason, v.BackOff)
	case verdict.Release:
		of := ledger.ReleaseUnsent
		if v.Renew {
			of = ledger.ReleaseAnswered
		}
		if out, err = s.Ledger.Release(ctx, c, v.BackOff, of); err == nil && out.Stale {
			// The lease ended meanwhile, and the call may have been settled as unknown. Even then,
			// Tuma records that the call was certainly not sent.
			return settle(verdict.SameForAll(len(g.To), campaign.Record{Reason: campaign.ReasonNotSent, Code: v.Code}), campaign.SettleVerdict, 0)
		}
		return out, nil, err
	case verdict.Split:
		if out, err = s.Ledger.Split(ctx, c); err == nil && out.Stale {
			out, err = s.Ledger.Doubt(ctx, c, v.BackOff, true)
		}
		return out, nil, err
	}
	out, err = s.Ledger.Doubt(ctx, c, v.BackOff, v.Count)
	if err == nil && out.Stale && isLookedUpLater(b, v) {
		// Redis may have lost the claim, and the generation may be ready to be submitted again. The
		// gateway has no idempotency keys, so the recipients become unknown. If the generation was
		// settled or claimed meanwhile, the settle changes nothing.
		return settle(verdict.SameForAll(len(g.To), campaign.Record{Status: campaign.Unknown, Reason: v.Reason, Code: v.Code}), campaign.SettleVerdict, verdict.BackOff(1))
	}
	if err == nil && out.Count >= b.acc.MaxAttempts {
		return settle(verdict.SameForAll(len(g.To), campaign.Record{Status: campaign.Unknown, Reason: v.Reason, Code: v.Code}), campaign.SettleAbandon, 0)
	}
	return out, nil, err
}

// isLookedUpLater reports whether a verdict keeps a call doubtful at a gateway without idempotency
// keys. The call's messages are looked up at the gateway later, and the call is never repeated.
func isLookedUpLater(b *batch, v verdict.Verdict) bool {
	return v.Action == verdict.Doubt && b.acc.Info.KeyTTL == 0
}

// keepAnswer quarantines the answer to a call. The call cannot be settled, because its records
// have become unreadable. An operator may still need the answer.
func (s *Sender) keepAnswer(b *batch, sub submission, v verdict.Verdict, err error) {
	u := ledger.AsUnreadable(err)
	if u == nil {
		return
	}
	answer := struct {
		UUID    string            `json:"uuid"`
		Deed    string            `json:"deed"`
		Records []campaign.Record `json:"records"`
	}{sub.claim.IdempotencyKey.String(), v.Action.String(), v.Records}
	text, err := json.Marshal(answer)
	if err != nil {
		text = fmt.Appendf(nil, "%s %s", answer.UUID, answer.Deed)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	lost := &ledger.Unreadable{Campaign: b.id, Record: fmt.Sprintf("answer:%s.%d.%d", b.name, sub.gen.Call, sub.gen.Number), Bytes: text,
		Err: fmt.Errorf("the answer to a call could not be settled: %w", u)}
	if err := s.Quarantine.Record(ctx, b.id, b.name, lost, false); err != nil {
		s.Log.Error().Err(err).Str("campaign", b.id).Str("uuid", answer.UUID).Msg("could not quarantine the answer to a call")
	}
}

// storeBalance stores the balance in the answer to a call, if the answer contains one. A failure
// is only logged.
func (s *Sender) storeBalance(b *batch, results []providers.Result) {
	i := slices.IndexFunc(results, func(r providers.Result) bool { return r.Balance != nil })
	if i < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	s.Balances.Store(ctx, b.acc.Name, *results[i].Balance)
}
