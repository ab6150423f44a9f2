package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
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
	upload string // token of the campaign's upload
}

// Wake is a wake-up call of a batch: the batch to queue, and the number of the wake.
type Wake struct {
	Batch  string
	Number int
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

// ReadPages yields the pages with the numbers firstPage to endPage-1, eight in a round trip. row is
// the row of the first recipient in page firstPage.
func (l *Ledger) ReadPages(ctx context.Context, id string, firstPage, endPage, row int) iter.Seq2[campaign.Page, error] {
	const step = 8
	return func(yield func(campaign.Page, error) bool) {
		for at := firstPage; at < endPage; at += step {
			var fields []string
			for n := at; n < min(at+step, endPage); n++ {
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
				if !yield(campaign.Page{Number: at + i, First: row, Inputs: inputs, Values: values}, nil) {
					return
				}
				row += len(inputs)
			}
		}
	}
}

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

// PlannedMessage is a recipient that is planned. Body is the recipient's text. It is empty in a
// plain campaign, and for a recipient that is carried over to the next page.
type PlannedMessage struct {
	campaign.Planned
	Body string
}

// PlannedMessages yields every recipient that is planned so far. A planner that continues another
// planner's work reads them, so that it plans no message twice.
func (p *Plan) PlannedMessages(ctx context.Context) iter.Seq2[PlannedMessage, error] {
	return func(yield func(PlannedMessage, error) bool) {
		for a := range p.Snapshot.Streams() {
			for b, err := range p.ledger.records.batches(ctx, p.ID, a, p.Spec.Personalized()) {
				if err != nil {
					yield(PlannedMessage{}, err)
					return
				}
				for k := range b.Calls {
					for _, x := range b.call(k) {
						if !yield(PlannedMessage{Planned: x, Body: b.body(k)}, nil) {
							return
						}
					}
				}
			}
		}
		for _, c := range p.Carry {
			for _, x := range c {
				for _, to := range x.To {
					if !yield(PlannedMessage{Planned: to}, nil) {
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
		for b, err := range p.ledger.records.batches(ctx, p.ID, a, true) {
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
