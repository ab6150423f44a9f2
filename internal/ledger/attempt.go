package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/tuma-sms/tuma/internal/attempts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// Attempt returns the attempt that the claim allows.
func (c *Claim) Attempt() attempts.Attempt {
	return attempts.Attempt{Campaign: c.id, Batch: c.batch, Call: c.gen.Call, Generation: c.gen.Number, At: c.At}
}

// AttemptTo returns the MSISDNs of all recipients of an attempt's call, including recipients
// outside the attempt's generation. It returns nil if the campaign no longer exists.
func (l *Ledger) AttemptTo(ctx context.Context, a attempts.Attempt) ([]sms.MSISDN, error) {
	to, _, err := l.recipientsOf(ctx, a, 0)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := make([]sms.MSISDN, len(to))
	for i, p := range to {
		out[i] = p.MSISDN
	}
	return out, nil
}

// recipientsOf reads the recipients of an attempt's call and the number of segments of one
// message. For a plain campaign it returns the parameter "plain" as the number of segments.
func (l *Ledger) recipientsOf(ctx context.Context, a attempts.Attempt, plain int) (to []campaign.Planned, segments int, err error) {
	b, err := l.records.batch(ctx, a.Campaign, a.Batch)
	if u := AsUnreadable(err); u != nil {
		return nil, 0, fmt.Errorf("read batch %s of %s: %w", a.Batch, a.Campaign, u.Err) // the error is not an Unreadable, because the worker that loads the batch quarantines the batch
	}
	if err != nil {
		return nil, 0, err
	}
	if a.Call >= len(b.Calls) {
		return nil, 0, fmt.Errorf("read call %d of batch %s of %s: %w", a.Call, a.Batch, a.Campaign, campaign.ErrRecord)
	}
	return b.call(a.Call), b.segments(a.Call, plain), nil
}

// Reconcile settles recipients as accepted because their messages were found at the gateway. The
// map "found" has the message id of each recipient, by MSISDN. Reconcile works even if the
// attempt's generation has changed or ended meanwhile. Numbers that are not in the call change
// nothing. The parameter "segments" is the number of segments of a plain campaign's message.
// Reconcile returns ErrNotFound if the campaign is gone.
func (l *Ledger) Reconcile(ctx context.Context, a attempts.Attempt, found map[sms.MSISDN]string, segments, openBatchLimit int) (Settled, error) {
	return reconcile(ctx, l, a, "", found, segments, openBatchLimit)
}

// reconcile does what Reconcile does, for a caller that knows the upload token of the attempt's
// campaign. If "upload" is empty, the token is not compared.
func reconcile(ctx context.Context, l *Ledger, a attempts.Attempt, upload string, found map[sms.MSISDN]string, segments, openBatchLimit int) (Settled, error) {
	to, segments, err := l.recipientsOf(ctx, a, segments)
	if err != nil {
		return Settled{}, fmt.Errorf("reconcile: %w", err)
	}
	g := &Generation{Call: a.Call, Number: a.Generation, CallSize: len(to), upload: upload}
	var records []campaign.Record
	var positions []byte
	for p, x := range to {
		if id, ok := found[x.MSISDN]; ok {
			g.To = append(g.To, x)
			positions = binary.BigEndian.AppendUint16(positions, uint16(p))
			records = append(records, campaign.Record{Status: campaign.Accepted, MessageID: id, Reason: campaign.ReasonReconciled})
		}
	}
	if len(records) == 0 {
		return Settled{}, nil
	}
	g.positions = string(positions)
	c := &Claim{Token: script.NewToken(), id: a.Campaign, batch: a.Batch, gen: g, openBatchLimit: openBatchLimit}
	return l.Settle(ctx, c, records, campaign.SettleAnswer, segments, 0)
}

// Found returns the records of a doubtful generation after a lookup at the gateway. Recipients
// whose numbers are in the map "found" are Accepted. All others are Unknown with the given
// reason.
func (g *Generation) Found(found map[sms.MSISDN]string, reason string) []campaign.Record {
	out := slices.Repeat([]campaign.Record{{Status: campaign.Unknown, Reason: reason}}, len(g.To))
	for i, p := range g.To {
		if id, ok := found[p.MSISDN]; ok {
			out[i] = campaign.Record{Status: campaign.Accepted, MessageID: id, Reason: campaign.ReasonReconciled}
		}
	}
	return out
}
