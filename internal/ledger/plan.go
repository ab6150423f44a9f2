package ledger

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// planWatch is how long a planner may make no progress before the sweeper wakes another planner.
const planWatch = 20 * time.Second

// Plan is the planning of a campaign. It continues where the stored planning stopped. A Plan is
// not safe for concurrent use.
type Plan struct {
	ID       string
	Spec     campaign.Spec
	Snapshot campaign.PlanSnapshot
	// Total is the number of uploaded recipients. Pages is the number of pages. Next is the
	// number of the page to plan next.
	Total, Pages, Next int
	// Carry has the calls that earlier pages carried over, by stream, without their bodies.
	Carry  [][]campaign.Call
	ledger *Ledger
	upload string // token of the campaign's upload
	record string // the stored snapshot, a space, and the stored sending hours
}

// Upload returns the token of the campaign's upload.
func (p *Plan) Upload() string { return p.upload }

// Wake is a wake-up call of a batch: the batch to queue, and the number of the wake.
type Wake struct {
	Batch  string
	Number int
}

// Spec reads the spec of a campaign. It returns ErrNotFound if the spec does not exist.
func (l *Ledger) Spec(ctx context.Context, id string) (campaign.Spec, error) {
	record, err := l.records.specOf(ctx, id)
	if err == nil && record == "" {
		err = ErrNotFound
	}
	if err != nil {
		return campaign.Spec{}, fmt.Errorf("read campaign %s: %w", id, err)
	}
	s, err := decodeSpec([]byte(record))
	return s, unreadable(id, specRecord, record, err)
}

// ReadPages yields the pages with the numbers firstPage to endPage-1, eight in a round trip. row is
// the row of the first recipient in page firstPage.
func (l *Ledger) ReadPages(ctx context.Context, id string, firstPage, endPage, row int) iter.Seq2[campaign.Page, error] {
	return l.records.pages(ctx, id, firstPage, endPage, row, false)
}

// The method "pages" does what Ledger.ReadPages does. If the parameter "refs" is true, the pages also have the
// recipients' references.
func (l recordReader) pages(ctx context.Context, id string, firstPage, endPage, row int, refs bool) iter.Seq2[campaign.Page, error] {
	const step = 8
	return func(yield func(campaign.Page, error) bool) {
		for at := firstPage; at < endPage; at += step {
			var fields []string
			for n := at; n < min(at+step, endPage); n++ {
				fields = append(fields, pageField(n))
			}
			n := len(fields)
			for i := 0; refs && i < n; i++ {
				fields = append(fields, refsField(at+i))
			}
			got, err := l.fields(ctx, id, fields...)
			if err != nil {
				yield(campaign.Page{}, fmt.Errorf("read pages of %s: %w", id, err))
				return
			}
			for i, v := range got[:n] {
				inputs, values, err := decodeRows([]byte(script.Text(v)))
				if err != nil {
					yield(campaign.Page{}, unreadable(id, fields[i], script.Text(v), err))
					return
				}
				page := campaign.Page{Number: at + i, First: row, Inputs: inputs, Values: values}
				if refs && got[n+i] != nil {
					if page.Refs, err = decodeRefs([]byte(script.Text(got[n+i])), len(inputs)); err != nil {
						yield(campaign.Page{}, unreadable(id, fields[n+i], script.Text(got[n+i]), err))
						return
					}
				}
				if !yield(page, nil) {
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
// plain campaign. It is also empty for a recipient that is carried over to the next page.
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

// PlannedSegments returns how many segments the messages in the planned batches have together. It is
// for campaigns with merge fields.
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
