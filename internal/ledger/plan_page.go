package ledger

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// batchRecords returns the records that Redis stores for a batch: the batch itself, and its bodies.
func batchRecords(b campaign.PlannedBatch) (batch, bodies []byte) {
	if len(b.Bodies) == 0 {
		return encodeBatch(b.Calls, b.To), nil
	}
	return encodeBatchAs(formatOwn, b.Calls, b.To), encodeBodies(b.Bodies)
}

// PackedPage is a planned page, encoded for writing.
type PackedPage struct {
	page  int
	carry [][]campaign.Call
	args  []any // argsWith sets the first two arguments: the token and the snapshot
}

// planPageArgs are the first arguments of plan_page.lua.
type planPageArgs struct {
	Token          string
	Snapshot       string
	Page           int
	Skipped, Carry []byte
	Watch          time.Duration
	OtherText      int
	Reasons        int
}

// plannedBatchArgs are the arguments of plan_page.lua for each batch.
type plannedBatchArgs struct {
	Stream, Calls, Recipients int
	Record, Bodies            []byte
}

// PackPage encodes a planned page. It may run while another page is committed.
func PackPage(page campaign.PlannedPage) PackedPage {
	reasons, otherText := map[string]int{}, 0
	for _, x := range page.Skipped {
		reasons[x.Reason]++
		if x.Code == campaign.CodeOtherText {
			otherText++
		}
	}
	args := script.Args(planPageArgs{
		Page: page.Page, Skipped: encodeSkipped(page.First-1, page.Skipped), Carry: encodeCarry(page.Carry),
		Watch: planWatch, OtherText: otherText, Reasons: len(reasons),
	})
	for reason, n := range reasons {
		args = append(args, reason, n)
	}
	args = append(args, len(page.OpenBatchLimits))
	for a, n := range page.OpenBatchLimits {
		args = append(args, a, n)
	}
	for _, b := range page.Batches {
		batch, bodies := batchRecords(b)
		args = append(args, script.Args(plannedBatchArgs{Stream: b.Stream, Calls: len(b.Calls), Recipients: len(b.To), Record: batch, Bodies: bodies})...)
	}
	return PackedPage{page: page.Page, carry: page.Carry, args: args}
}

// argsWith returns the arguments of plan_page.lua, with a token and the record of the plan's snapshot.
func (p PackedPage) argsWith(token, snapshot string) []any {
	return append([]any{token, snapshot}, p.args[2:]...)
}

// CommitPage packs and commits a planned page.
func (p *Plan) CommitPage(ctx context.Context, token string, page campaign.PlannedPage) (wakes []Wake, done bool, err error) {
	return p.Commit(ctx, token, PackPage(page))
}

// Commit writes a page in one step and advances p. It does so only if planning has not advanced since p was read.
// Commit returns the batches to queue, and whether the campaign is done. It returns ErrMoved if another planner
// committed the page first, or if planning uses another snapshot. It returns ErrStopped if the campaign is stopped,
// and ErrNotFound if another campaign has taken the ID. After an error, Commit may be repeated with the same token.
func (p *Plan) Commit(ctx context.Context, token string, page PackedPage) (wakes []Wake, done bool, err error) {
	out, err := p.ledger.runOn(ctx, planPageScript, p.ID, p.upload, nil, page.argsWith(token, p.record)...)
	if err != nil {
		return nil, false, err
	}
	switch out[0] {
	case "moved":
		return nil, false, fmt.Errorf("plan %s page %d: %w", p.ID, page.page, ErrMoved)
	case "stopped":
		return nil, false, fmt.Errorf("plan %s: %w", p.ID, ErrStopped)
	}
	p.Next, p.Carry = page.page+1, page.carry
	return answerWakes(out)
}

// ErrMoved means that another planner has planned this page.
var ErrMoved = errors.New("another planner has planned this page")
