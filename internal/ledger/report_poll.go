package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// SentCall is a generation of a call that a gateway has answered.
type SentCall struct {
	BatchRef
	Call, Generation int
	// At is when the call was claimed, by Redis' clock.
	At time.Time
	// Rows are the rows of the recipients, from 1, in the order of the call.
	Rows []int
}

// Sent returns the call of the claim.
func (c *Claim) Sent() SentCall {
	s := SentCall{BatchRef: BatchRef{c.id, c.gen.upload, c.batch}, Call: c.gen.Call, Generation: c.gen.Number, At: c.At, Rows: make([]int, len(c.gen.To))}
	for i, to := range c.gen.To {
		s.Rows[i] = to.Row
	}
	return s
}

// AwaitedReport is an accepted message without a final delivery report. Position is the position of its recipient in
// the call. Row is the row of this recipient.
type AwaitedReport struct {
	Position, Row int
	To            sms.MSISDN
	MessageID     string
}

// Awaited returns the messages of one generation of a call that wait for a final delivery report, in the order of their
// positions. It returns only messages whose rows are in the campaign's sample of the given size (campaign.Sample; size
// 0 means all rows). It returns no messages if the campaign or the batch no longer exists. If the records cannot be
// read, it returns an error that wraps Unreadable.
func (x *Reports) Awaited(ctx context.Context, c SentCall, sample int) ([]AwaitedReport, error) {
	batches, err := x.Batches(ctx, []BatchRef{c.BatchRef})
	if err != nil || batches[0] == nil {
		return nil, err
	}
	b := batches[0]
	records, err := x.Records(ctx, c.Campaign, b, c.Call)
	if err != nil {
		return nil, err
	}
	taken, err := x.sample(ctx, c.Campaign, sample)
	if err != nil {
		return nil, err
	}
	var out []AwaitedReport
	var rows []Row
	for i, to := range b.call(c.Call) {
		if r := records[i]; r.Status == campaign.Accepted && r.Generation == c.Generation && r.MessageID != "" && taken.Has(to.Row) {
			out = append(out, AwaitedReport{i, to.Row, to.MSISDN, r.MessageID})
			rows = append(rows, Row{Row: to.Row, Record: r})
		}
	}
	if err := x.ledger.records.applyOverlay(ctx, c.Campaign, rows); err != nil {
		return nil, err
	}
	awaited := out[:0]
	for i, a := range out {
		if rows[i].Status == campaign.Accepted {
			awaited = append(awaited, a)
		}
	}
	return awaited, nil
}

// The method "sample" returns a sample of a campaign's rows. The parameter "size" is the number of rows; 0 means all
// rows.
func (x *Reports) sample(ctx context.Context, id string, size int) (campaign.Sample, error) {
	if size == 0 {
		return campaign.Sample{}, nil
	}
	got, err := x.ledger.records.fields(ctx, id, fieldTotal)
	if err != nil {
		return campaign.Sample{}, fmt.Errorf("read the number of recipients of %s: %w", id, err)
	}
	return campaign.NewSample(id, script.Int(got[0]), size), nil
}
