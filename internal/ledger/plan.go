package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// planWatch is how long a planner may stay silent before the sweeper wakes another.
const planWatch = 20 * time.Second

// Plan is a campaign's planning, picked up where it stands. Not safe for concurrent use.
type Plan struct {
	ID       string
	Spec     Spec
	Snapshot PlanSnapshot
	// Total and Pages are the size of the upload, Next the page to go on with.
	Total, Pages, Next int
	// Carry are the calls, by lane, that earlier pages left over, without their bodies.
	Carry  [][]Call
	ledger *Ledger
}

// Wake is a batch to be queued: its name and the number of the wake.
type Wake struct {
	Batch  string
	Number int
}

// StartPlan begins or takes up planning. want is what planning depends on if it
// has not begun; what is frozen wins. Nil without an error means that there is
// nothing to plan: planned already, or stopped.
func (l *Ledger) StartPlan(ctx context.Context, id string, want func(Spec) (PlanSnapshot, error)) (*Plan, error) {
	spec, err := l.Spec(ctx, id)
	if err != nil {
		return nil, err
	}
	snapshot, err := want(spec)
	if err != nil {
		return nil, err
	}
	record, err := snapshot.encode()
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", id, err)
	}
	out, err := l.run(ctx, planStartScript, id, nil, record, planWatch.Milliseconds(), encodeSendingHours(snapshot.SendingHours), snapshot.countedStreams())
	if err != nil || out[0] != "go" {
		return nil, err
	}
	if len(out) < 5 {
		return nil, errAnswer
	}
	p := &Plan{ID: id, Spec: spec, ledger: l}
	if p.Snapshot, err = decodeSnapshot(out[1], out[4]); err != nil {
		return nil, unreadable(id, "frozen", out[1], err)
	}
	if p.Next, err = strconv.Atoi(out[2]); err != nil {
		return nil, unreadable(id, "cur", out[2], errRecord)
	}
	if p.Carry, err = decodeCarry([]byte(out[3]), p.Snapshot.Streams(), spec.Personalized()); err != nil {
		return nil, unreadable(id, "carry", out[3], err)
	}
	sizes, err := l.rdb.HMGet(ctx, ledgerKey(id), "total", "pg").Result()
	if err != nil {
		return nil, fmt.Errorf("plan %s: %w", id, err)
	}
	p.Total, p.Pages = fieldInt(sizes[0]), fieldInt(sizes[1])
	return p, nil
}

// Spec reads what a campaign's producer asked for.
func (l *Ledger) Spec(ctx context.Context, id string) (Spec, error) {
	b, err := l.rdb.Get(ctx, specKey(id)).Bytes()
	if errors.Is(err, redis.Nil) {
		return Spec{}, fmt.Errorf("read campaign %s: %w", id, ErrNotFound)
	}
	if err != nil {
		return Spec{}, fmt.Errorf("read campaign %s: %w", id, err)
	}
	s, err := decodeSpec(b)
	return s, unreadable(id, specRecord, string(b), err)
}

// Page is a run of recipients as uploaded; First is the row of the first, from 1.
type Page struct {
	Number, First int
	Inputs        []string
	// Values are those of the spec's fields, a list for each of the Inputs, of which nil
	// stands for such as are too long; nil in a plain campaign.
	Values [][]string
}

// ReadPages reads pages from one on, several in a round trip. first is the row
// with which the first page begins.
func (l *Ledger) ReadPages(ctx context.Context, id string, from, to, first int) iter.Seq2[Page, error] {
	const step = 8
	return func(yield func(Page, error) bool) {
		for at := from; at < to; at += step {
			var fields []string
			for n := at; n < min(at+step, to); n++ {
				fields = append(fields, "p"+strconv.Itoa(n))
			}
			got, err := l.rdb.HMGet(ctx, ledgerKey(id), fields...).Result()
			if err != nil {
				yield(Page{}, fmt.Errorf("read pages of %s: %w", id, err))
				return
			}
			for i, v := range got {
				inputs, values, err := decodeRows([]byte(fieldString(v)))
				if err != nil {
					yield(Page{}, unreadable(id, fields[i], fieldString(v), err))
					return
				}
				if !yield(Page{Number: at + i, First: first, Inputs: inputs, Values: values}, nil) {
					return
				}
				first += len(inputs)
			}
		}
	}
}

// PlannedPage is what came of planning one page.
type PlannedPage struct {
	Page    int
	First   int // row of the page's first recipient, from 1
	Skipped []SkippedRecipient
	Batches []PlannedBatch
	Carry   [][]Call
	// Windows say how many batches may be open at once, by lane.
	OpenBatchLimits map[int]int
}

// PlannedBatch is a batch of recipients for one lane, cut into calls. Bodies are the
// calls', none in a plain campaign.
type PlannedBatch struct {
	Lane   int
	Calls  []int
	To     []Planned
	Bodies []string
}

// records are what is kept of a batch: itself, and its bodies.
func (b PlannedBatch) records() (batch, bodies []byte) {
	if len(b.Bodies) == 0 {
		return encodeBatch(b.Calls, b.To), nil
	}
	return encodeBatchAs(formatOwn, b.Calls, b.To), encodeBodies(b.Bodies)
}

// Fill makes a batch for one of an account's lanes of the first of some calls, as many as
// there is room for in it, and says how many these are: one at least.
func (a SnapshotAccount) Fill(stream int, calls []Call) (b PlannedBatch, n int) {
	b.Lane = stream
	text := 0
	for _, c := range calls {
		text += len(c.Body)
		if n > 0 && (len(b.To)+len(c.To) > a.BatchSize || a.Calls > 0 && n == a.Calls || text+4*(n+2) > MaxBodies) {
			break
		}
		if n++; n == 1 {
			b.To = c.To[:len(c.To):len(c.To)] // as a rule it is the only one
		} else {
			b.To = append(b.To, c.To...)
		}
		b.Calls = append(b.Calls, len(c.To))
		if c.Body != "" {
			b.Bodies = append(b.Bodies, c.Body)
		}
	}
	return b, n
}

// PackedPage is a planned page in the form in which it is written.
type PackedPage struct {
	page  int
	carry [][]Call
	args  []any // without the token
}

// Pack packs a planned page. It may be called while another page is committed.
func (page PlannedPage) Pack() PackedPage {
	carry := encodeCarry(page.Carry)
	args := []any{page.Page, encodeSkipped(page.First-1, page.Skipped), carry, planWatch.Milliseconds()}
	reasons := map[string]int{}
	for _, x := range page.Skipped {
		reasons[x.Reason]++
	}
	args = append(args, len(reasons))
	for reason, n := range reasons {
		args = append(args, reason, n)
	}
	args = append(args, len(page.OpenBatchLimits))
	for a, n := range page.OpenBatchLimits {
		args = append(args, a, n)
	}
	for _, b := range page.Batches {
		batch, bodies := b.records()
		args = append(args, b.Lane, len(b.Calls), len(b.To), batch, bodies)
	}
	return PackedPage{page: page.Page, carry: page.Carry, args: args}
}

// CommitPage writes a planned page, as Commit does.
func (p *Plan) CommitPage(ctx context.Context, token string, page PlannedPage) (wakes []Wake, done bool, err error) {
	return p.Commit(ctx, token, page.Pack())
}

// Commit writes a page in one step, if planning still stands where p read it, and
// moves p on. It returns the batches to queue and whether the campaign is done
// with it. ErrMoved: another planner was there first. The token makes trying again
// after an error safe.
func (p *Plan) Commit(ctx context.Context, token string, page PackedPage) (wakes []Wake, done bool, err error) {
	out, err := p.ledger.run(ctx, planPageScript, p.ID, nil, append([]any{token}, page.args...)...)
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

// ErrMoved: another planner has planned this page.
var ErrMoved = errors.New("another planner was there first")

// answerWakes reads {word, done, 'batch:wake'…}.
func answerWakes(out []string) ([]Wake, bool, error) {
	if len(out) < 2 {
		return nil, false, errAnswer
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

// PlannedNumbers yields every recipient that is planned so far, for a planner
// that takes up another's work and must not plan a number twice.
func (p *Plan) PlannedNumbers(ctx context.Context) iter.Seq2[Planned, error] {
	return func(yield func(Planned, error) bool) {
		for a := range p.Snapshot.Streams() {
			for b, err := range p.ledger.batches(ctx, p.ID, a, false) {
				if err != nil {
					yield(Planned{}, err)
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

// PlannedSegments are the segments of all messages in batches so far, of a campaign with
// merge fields.
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

// FirstRow counts the recipients of the pages before p.Next and returns the row
// that p.Next begins with.
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

func fieldString(v any) string {
	s, _ := v.(string)
	return s
}

func fieldInt(v any) int {
	n, err := strconv.Atoi(fieldString(v))
	if err != nil {
		return 0
	}
	return n
}
