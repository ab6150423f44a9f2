package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// planWatch is how long a planner may make no progress before the sweeper wakes another planner.
const planWatch = 20 * time.Second

// Plan is the planning of a campaign. It continues where the stored planning stopped. Not safe for
// concurrent use.
type Plan struct {
	ID       string
	Spec     campaign.Spec
	Snapshot campaign.PlanSnapshot
	// Total is the number of uploaded recipients, Pages the number of pages. Next is the page to
	// plan next.
	Total, Pages, Next int
	// Carry are the calls that earlier pages left over, by stream, without their bodies.
	Carry  [][]campaign.Call
	ledger *Ledger
}

// Wake is a wake-up call of a batch: the batch to queue, and the number of the wake.
type Wake struct {
	Batch  string
	Number int
}

// StartPlan starts or continues planning. want returns the snapshot to store if planning has not
// started; otherwise the stored snapshot is used. StartPlan returns nil without an error if there
// is nothing to plan: the campaign is planned already, or stopped.
func (l *Ledger) StartPlan(ctx context.Context, id string, want func(campaign.Spec) (campaign.PlanSnapshot, error)) (*Plan, error) {
	spec, err := l.Spec(ctx, id)
	if err != nil {
		return nil, err
	}
	snapshot, err := want(spec)
	if err != nil {
		return nil, err
	}
	record, err := encodeSnapshot(snapshot)
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", id, err)
	}
	out, err := l.run(ctx, planStartScript, id, nil,
		script.Args(planStartArgs{Snapshot: record, Watch: planWatch, SendingHours: encodeSendingHours(snapshot.SendingHours), Streams: snapshot.CountedStreams()})...)
	if err != nil || out[0] != "go" {
		return nil, err
	}
	if len(out) < 5 {
		return nil, script.ErrAnswer
	}
	p := &Plan{ID: id, Spec: spec, ledger: l}
	if p.Snapshot, err = decodeSnapshot(out[1], out[4]); err != nil {
		return nil, unreadable(id, fieldSnapshot, out[1], err)
	}
	if p.Next, err = strconv.Atoi(out[2]); err != nil {
		return nil, unreadable(id, fieldNextPage, out[2], campaign.ErrRecord)
	}
	if p.Carry, err = decodeCarry([]byte(out[3]), p.Snapshot.Streams(), spec.Personalized()); err != nil {
		return nil, unreadable(id, fieldCarry, out[3], err)
	}
	sizes, err := l.rdb.HMGet(ctx, ledgerKey(id), fieldTotal, fieldPages).Result()
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", id, err)
	}
	p.Total, p.Pages = script.Int(sizes[0]), script.Int(sizes[1])
	return p, nil
}

// planStartArgs are the arguments of plan_start.lua.
type planStartArgs struct {
	Snapshot     []byte
	Watch        time.Duration
	SendingHours string
	Streams      int
}

// Spec reads the spec of a campaign. It returns ErrNotFound if there is none.
func (l *Ledger) Spec(ctx context.Context, id string) (campaign.Spec, error) {
	b, err := l.rdb.Get(ctx, specKey(id)).Bytes()
	if errors.Is(err, redis.Nil) {
		return campaign.Spec{}, fmt.Errorf("read campaign %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return campaign.Spec{}, fmt.Errorf("read campaign %s: %w", id, err)
	}
	s, err := decodeSpec(b)
	return s, unreadable(id, specRecord, string(b), err)
}

// ReadPages yields the pages from one number up to another, which is not included, eight in a round
// trip. first is the row of the first page's first recipient.
func (l *Ledger) ReadPages(ctx context.Context, id string, from, to, first int) iter.Seq2[campaign.Page, error] {
	const step = 8
	return func(yield func(campaign.Page, error) bool) {
		for at := from; at < to; at += step {
			var fields []string
			for n := at; n < min(at+step, to); n++ {
				fields = append(fields, pageField(n))
			}
			got, err := l.rdb.HMGet(ctx, ledgerKey(id), fields...).Result()
			if err != nil {
				yield(campaign.Page{}, fmt.Errorf("read pages of %s: %w", id, err))
				return
			}
			for i, v := range got {
				inputs, values, err := decodeRows([]byte(script.Text(v)))
				if err != nil {
					yield(campaign.Page{}, unreadable(id, fields[i], script.Text(v), err))
					return
				}
				if !yield(campaign.Page{Number: at + i, First: first, Inputs: inputs, Values: values}, nil) {
					return
				}
				first += len(inputs)
			}
		}
	}
}

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
	args  []any // the first is the token, which argsWith sets
}

// planPageArgs are the first arguments of plan_page.lua.
type planPageArgs struct {
	Token          string
	Page           int
	Skipped, Carry []byte
	Watch          time.Duration
	Reasons        int
}

// plannedBatchArgs are the arguments of plan_page.lua for each batch.
type plannedBatchArgs struct {
	Stream, Calls, Recipients int
	Record, Bodies            []byte
}

// PackPage encodes a planned page. It may run while another page is committed.
func PackPage(page campaign.PlannedPage) PackedPage {
	reasons := map[string]int{}
	for _, x := range page.Skipped {
		reasons[x.Reason]++
	}
	args := script.Args(planPageArgs{
		Page: page.Page, Skipped: encodeSkipped(page.First-1, page.Skipped), Carry: encodeCarry(page.Carry),
		Watch: planWatch, Reasons: len(reasons),
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

// argsWith returns the arguments of plan_page.lua, with a token.
func (p PackedPage) argsWith(token string) []any { return append([]any{token}, p.args[1:]...) }

// CommitPage packs and commits a planned page.
func (p *Plan) CommitPage(ctx context.Context, token string, page campaign.PlannedPage) (wakes []Wake, done bool, err error) {
	return p.Commit(ctx, token, PackPage(page))
}

// Commit writes a page in one step, if planning has not advanced since p was read, and advances p.
// Commit returns the batches to queue, and whether the campaign is done. It returns ErrMoved if
// another planner committed the page first, and ErrStopped if the campaign is stopped. After an
// error, Commit may be repeated with the same token.
func (p *Plan) Commit(ctx context.Context, token string, page PackedPage) (wakes []Wake, done bool, err error) {
	out, err := p.ledger.run(ctx, planPageScript, p.ID, nil, page.argsWith(token)...)
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

// answerWakes parses an answer of the form {word, done, 'batch:wake'…}.
func answerWakes(out []string) ([]Wake, bool, error) {
	if len(out) < 2 {
		return nil, false, script.ErrAnswer
	}
	wakes := make([]Wake, 0, len(out)-2)
	for _, s := range out[2:] {
		w, err := parseWake(s)
		if err != nil {
			return nil, false, err
		}
		wakes = append(wakes, w)
	}
	return wakes, out[1] == "1", nil
}

// PlannedNumbers yields every recipient that is planned so far. A planner that continues another
// planner's work reads them, so that it plans no number twice.
func (p *Plan) PlannedNumbers(ctx context.Context) iter.Seq2[campaign.Planned, error] {
	return func(yield func(campaign.Planned, error) bool) {
		for a := range p.Snapshot.Streams() {
			for b, err := range p.ledger.batches(ctx, p.ID, a, false) {
				if err != nil {
					yield(campaign.Planned{}, err)
					return
				}
				for _, x := range b.To {
					if !yield(x, nil) {
						return
					}
				}
			}
		}
		for _, c := range p.Carry {
			for _, x := range c {
				for _, to := range x.To {
					if !yield(to, nil) {
						return
					}
				}
			}
		}
	}
}

// PlannedSegments returns the segments of all messages in batches so far, in a campaign with merge
// fields.
func (p *Plan) PlannedSegments(ctx context.Context) (sum int, err error) {
	for a := range p.Snapshot.Streams() {
		for b, err := range p.ledger.batches(ctx, p.ID, a, true) {
			if err != nil {
				return 0, err
			}
			for k, n := range b.Calls {
				sum += n * b.segments(k, 0)
			}
		}
	}
	return sum, nil
}

// FirstRow returns the row of the first recipient of page p.Next.
func (p *Plan) FirstRow(ctx context.Context) (int, error) {
	row := 1
	for page, err := range p.ledger.ReadPages(ctx, p.ID, 0, p.Next, 1) {
		if err != nil {
			return 0, err
		}
		row += len(page.Inputs)
	}
	return row, nil
}
