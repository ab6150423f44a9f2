package tracking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/attempts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// prove settles a message of unknown outcome as accepted, because a report shows that the gateway
// took the message. It reports whether it has settled a message. A report proves a message in one of
// two ways:
//
//   - The index has the report's message ID at a recipient with the number of the report. Then a worker had
//     the answer to the call, and was killed before it settled the call.
//   - Exactly one call of the last hour to the number has an unknown outcome, and no worker has received the
//     message ID in an answer.
//
// The parameter "places" has the places of the ID in the index at which no message is settled. The
// parameter "now" is the time by Redis' clock. If the recipient's call is in flight, the method does
// nothing, because the answer to the call is the better proof.
func (t *Tracker) prove(ctx context.Context, r Report, places []Place, now time.Time) (bool, error) {
	if r.To == 0 || r.MessageID == "" || t.calls == nil || !t.calls.Tracked() {
		return false, nil
	}
	for _, p := range places {
		x, ok, err := t.locate(ctx, p)
		if err != nil {
			return false, err
		}
		if !ok || x.to.MSISDN != r.To {
			continue
		}
		a, ok, err := t.unknownAt(ctx, p.BatchRef, attempts.Attempt{Campaign: x.Campaign, Batch: x.Name, Call: x.call}, x.position)
		if err != nil {
			return false, err
		}
		if ok {
			return t.accept(ctx, p.Upload, a, r)
		}
	}
	return t.proveByNumber(ctx, r, now)
}

// proveByNumber tries the second way of the method "prove": it searches for the message by the recipient's number,
// because no worker has received the message's ID.
func (t *Tracker) proveByNumber(ctx context.Context, r Report, now time.Time) (bool, error) {
	open, err := t.calls.UnresolvedTo(ctx, r.To, now)
	if err != nil || len(open) == 0 || !ofOneCall(open) {
		return false, err
	}
	upload, _, err := t.ledger.Index().Upload(ctx, open[0].Campaign)
	if err != nil {
		return false, err
	}
	ref := ledger.BatchRef{Campaign: open[0].Campaign, Upload: upload, Name: open[0].Batch}
	b, err := t.batches.get(ctx, t.reports, ref)
	if err != nil || b == nil {
		return false, err
	}
	x, ok, err := t.locate(ctx, Place{ref, positionOf(b, open[0].Call, r.To)})
	if err != nil || !ok {
		return false, err
	}
	a := open[0]
	if len(open) == 1 {
		_, ok, err = t.unknownAt(ctx, ref, a, x.position)
	} else {
		a, ok, err = t.partOf(ctx, ref, open, x.position)
	}
	if err != nil || !ok {
		return false, err
	}
	if known, err := t.calls.Knows(ctx, r.MessageID, now); err != nil || known {
		return false, err
	}
	// Call NoteProved, which writes the index, before NoteReported. After NoteReported, a report with
	// this ID can prove the message only if the ID is in the index.
	if err := t.NoteProved(ctx, upload, a, r.To, r.MessageID); err != nil {
		return false, err
	}
	if err := t.calls.NoteReported(ctx, a, r.DLR); err != nil {
		return false, err
	}
	return t.accept(ctx, upload, a, r)
}

// ofOneCall reports whether all attempts are generations of one call.
func ofOneCall(open []attempts.Attempt) bool {
	return !slices.ContainsFunc(open, func(a attempts.Attempt) bool {
		return a.Campaign != open[0].Campaign || a.Batch != open[0].Batch || a.Call != open[0].Call
	})
}

// partOf returns the attempt that has an unknown outcome for a recipient. The attempts are generations of one call, such
// as the parts of a call that was split, and each of them names all recipients of the call. The record of the recipient
// has the generation of the last attempt that may have sent the message. If a retry is in flight, partOf returns false.
func (t *Tracker) partOf(ctx context.Context, ref ledger.BatchRef, open []attempts.Attempt, position int) (attempts.Attempt, bool, error) {
	rec, ok, err := t.recordAt(ctx, ref, open[0], position)
	if err != nil || !ok || rec.Status != campaign.Unknown {
		return attempts.Attempt{}, false, err
	}
	i := slices.IndexFunc(open, func(a attempts.Attempt) bool { return a.Generation == rec.Generation })
	if i < 0 {
		return attempts.Attempt{}, false, nil
	}
	return open[i], true, nil
}

// NoteProved writes the ID of a message to the index. The outcome of this message was unknown, and a
// delivery report has proved that the gateway accepted it. The parameter "to" is the recipient of the
// message, and "upload" is the token of the campaign's upload. After NoteProved, the caller settles
// the recipient as accepted. The entry in the index lets the next report about the message find the
// recipient.
func (t *Tracker) NoteProved(ctx context.Context, upload string, a attempts.Attempt, to sms.MSISDN, messageID string) error {
	ref := ledger.BatchRef{Campaign: a.Campaign, Upload: upload, Name: a.Batch}
	b, err := t.batches.get(ctx, t.reports, ref)
	if err != nil || b == nil {
		return err
	}
	at := positionOf(b, a.Call, to)
	if at < 0 {
		return nil
	}
	n := noteOf(Sent{BatchRef: ref, BatchSize: len(b.To), IDs: []string{messageID}, Positions: []int{at}})
	return t.index.Enter(ctx, t.login, []note{n}, t.life)
}

// unknownAt reports whether the outcome of a recipient is unknown, or was unknown before a retry or a
// resend. It returns the attempt with the generation of that outcome.
func (t *Tracker) unknownAt(ctx context.Context, ref ledger.BatchRef, a attempts.Attempt, position int) (attempts.Attempt, bool, error) {
	rec, ok, err := t.recordAt(ctx, ref, a, position)
	if err != nil || !ok {
		return a, false, err
	}
	if rec.Status == campaign.Pending && rec.Before != nil {
		rec = *rec.Before
	}
	a.Generation = rec.Generation
	return a, rec.Status == campaign.Unknown, nil
}

// recordAt returns the record of a recipient of a call. It returns false if the batch or the record does not exist or
// cannot be read.
func (t *Tracker) recordAt(ctx context.Context, ref ledger.BatchRef, a attempts.Attempt, position int) (campaign.Record, bool, error) {
	b, err := t.batches.get(ctx, t.reports, ref)
	if err != nil || b == nil {
		return campaign.Record{}, false, err
	}
	records, err := t.reports.Records(ctx, a.Campaign, b, a.Call)
	if ledger.AsUnreadable(err) != nil {
		return campaign.Record{}, false, nil //nolint:nilerr // the worker that loads the batch quarantines the record
	}
	if err != nil || position >= len(records) {
		return campaign.Record{}, false, err
	}
	return records[position], true, nil
}

// accept settles one recipient of the attempt "a" as accepted: the recipient that the report "r" names.
func (t *Tracker) accept(ctx context.Context, upload string, a attempts.Attempt, r Report) (bool, error) {
	err := t.reports.Prove(ctx, upload, a, r.To, r.MessageID)
	if errors.Is(err, ledger.ErrNotFound) || ledger.AsUnreadable(err) != nil {
		return false, nil //nolint:nilerr // such a campaign has nothing to prove
	}
	if err != nil {
		return false, fmt.Errorf("settle a message as accepted, after its delivery report: %w", err)
	}
	t.log.Debug().Str("campaign", a.Campaign).Str("batch", a.Batch).Msg("a delivery report resolved a message of unknown outcome")
	return true, nil
}
