package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// lateResult carries the outcome "accepted" for recipients that are not in the generation's batch
// any more. Either they moved to another batch because Tuma was certain that they were not sent,
// or Redis lost their move to this batch. The result is applied to the batch that has these
// recipients now, so that they are not sent again.
type lateResult struct {
	claim    *Claim
	origin   string // the generation, as "batch.call.number"
	uuid     string // the generation's idempotency key in base64, or "-" if it is not known
	records  map[int]campaign.Record
	segments int
	out      Settled
	applied  bool
}

// applyElsewhere applies the accepted records of a settle to the batches that have the recipients
// now. It starts at the batches that the parameter "origins" names.
func (l *Ledger) applyElsewhere(ctx context.Context, c *Claim, records []campaign.Record, segments int, origins []string) (*lateResult, error) {
	g := c.gen
	w := &lateResult{claim: c, origin: c.batch + "." + generationName(g.Call, g.Number), uuid: shortUUID(c.IdempotencyKey), records: map[int]campaign.Record{}, segments: segments}
	for i, r := range records {
		if r.Status >= campaign.Accepted {
			w.records[g.To[i].Row] = r
		}
	}
	if len(w.records) == 0 {
		return w, nil
	}
	if c.IdempotencyKey == (Claim{}).IdempotencyKey {
		record, err := l.records.fields(ctx, c.id, generationField(c.batch, generationName(g.Call, g.Number)))
		if err != nil {
			return w, fmt.Errorf("apply late result of generation %s of campaign %s: %w", w.origin, c.id, err)
		}
		w.uuid = noWord
		if open, settled := splitGeneration(script.Text(record[0])); settled != nil && settled.UUID != "" {
			w.uuid = settled.UUID
		} else if open.Claims != "" {
			w.uuid = open.UUID
		}
	}
	for _, name := range origins {
		if err := l.applyAt(ctx, w, name); err != nil {
			return w, err
		}
	}
	return w, nil
}

// applyAt settles a late result in one batch, and in the batches to which its recipients have moved.
func (l *Ledger) applyAt(ctx context.Context, w *lateResult, name string) error {
	b, err := l.records.batch(ctx, w.claim.id, name)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	further := false
	for k := range b.Calls {
		var positions, blob []byte
		for p, to := range b.call(k) {
			if r, ok := w.records[to.Row]; ok {
				positions = binary.BigEndian.AppendUint16(positions, uint16(p))
				blob = appendRecord(blob, r)
			}
		}
		if len(positions) == 0 {
			continue
		}
		out, err := l.runOn(ctx, settleScript, w.claim.id, w.claim.gen.upload, nil, script.Args(settleArgs{
			Token: w.claim.Token, Batch: name, Call: k, Generation: 0, CallSize: b.Calls[k],
			Positions: string(positions), Records: blob, Reason: campaign.SettleAnswer, OpenBatchLimit: w.claim.openBatchLimit, Segments: w.segments,
			Lookups: -1, Origin: w.origin, OriginKey: w.uuid,
		})...)
		if err != nil {
			return err
		}
		further = further || out[0] == "forward"
		s, err := parseSettled(out, nil)
		if err != nil {
			return err
		}
		w.out.Wakes, w.out.Done, w.applied = append(w.out.Wakes, s.Wakes...), s.Done, true
	}
	if !further {
		return nil
	}
	more, err := l.records.movedTo(ctx, w.claim.id, name)
	if err != nil {
		return err
	}
	for _, next := range more {
		if err := l.applyAt(ctx, w, next); err != nil {
			return err
		}
	}
	return nil
}

// settleLate completes a settle whose recipients are in other batches. The parameter "out" is
// the answer of settle.lua.
func (l *Ledger) settleLate(ctx context.Context, c *Claim, records []campaign.Record, segments int, out []string) (Settled, error) {
	s, err := parseSettled(out, nil)
	if err != nil {
		return s, err
	}
	var from []string
	if out[0] == "lost" {
		// Start at the batch in which the recipients were most recently. Skip batches that Redis
		// has lost.
		for _, name := range c.gen.from {
			n, err := l.rdb.HExists(ctx, ledgerKey(c.id), batchField(name)).Result()
			if err != nil {
				return s, fmt.Errorf("apply late result to batch %s of campaign %s: %w", name, c.id, err)
			}
			if n {
				from = []string{name}
				break
			}
		}
	} else if from, err = l.records.movedTo(ctx, c.id, c.batch); err != nil {
		return s, err
	}
	w, err := l.applyElsewhere(ctx, c, records, segments, from)
	if err != nil {
		return s, err
	}
	if w.applied {
		s.Wakes, s.Done, s.Stale = append(s.Wakes, w.out.Wakes...), w.out.Done, false
	}
	return s, nil
}
