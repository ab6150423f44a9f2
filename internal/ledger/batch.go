package ledger

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// Batch is a planned batch. It never changes.
type Batch struct {
	Name  string
	Calls []int // number of recipients of each call
	To    []campaign.Planned
	// Bodies are the message bodies, one for each call. It is nil in a plain campaign.
	Bodies []string
}

// readBatch decodes the record of a batch and, in a campaign with merge fields, the record of its
// bodies. If one of the two records cannot be read, it returns an Unreadable. If a newer release
// wrote the record, it returns ErrNewer.
func readBatch(id, name string, record, bodies any) (*Batch, error) {
	b, raw := &Batch{Name: name}, script.Text(record)
	var err error
	if b.Calls, b.To, err = decodeBatch([]byte(raw)); err != nil {
		return nil, unreadable(id, batchField(name), raw, err)
	}
	if raw[0] == formatOwn {
		if b.Bodies, err = decodeBodies([]byte(script.Text(bodies)), len(b.Calls)); err != nil {
			return nil, unreadable(id, bodiesField(name), script.Text(bodies), err)
		}
	}
	return b, nil
}

// body returns the body of call k. It returns "" in a plain campaign, because all calls send the
// campaign's body.
func (b *Batch) body(k int) string {
	if b.Bodies == nil {
		return ""
	}
	return b.Bodies[k]
}

// segments returns the number of segments of one message of call k. The parameter "plain" is the
// result for a plain campaign.
func (b *Batch) segments(k, plain int) int {
	if b.Bodies == nil {
		return plain
	}
	n, _ := sms.Segments(b.Bodies[k])
	return n
}

// call returns the recipients of call k.
func (b *Batch) call(k int) []campaign.Planned {
	at := 0
	for i := range k {
		at += b.Calls[i]
	}
	return b.To[at : at+b.Calls[k]]
}

// batches yields the planned batches of a stream in order. The parameter "bodies" is true if the
// caller needs the bodies of a campaign with merge fields.
func (l recordReader) batches(ctx context.Context, id string, stream int, bodies bool) iter.Seq2[*Batch, error] {
	const step = 8
	return func(yield func(*Batch, error) bool) {
		n, err := l.fields(ctx, id, plannedField(stream))
		if err != nil {
			yield(nil, fmt.Errorf("read batches of %s: %w", id, err))
			return
		}
		for at, end := 0, script.Int(n[0]); at < end; at += step {
			var names, fields []string
			for s := at; s < min(at+step, end); s++ {
				names = append(names, campaign.BatchName(stream, s))
				fields = append(fields, batchField(names[len(names)-1]))
			}
			if bodies {
				for _, name := range names {
					fields = append(fields, bodiesField(name))
				}
			}
			got, err := l.fields(ctx, id, fields...)
			if err != nil {
				yield(nil, fmt.Errorf("read batches of %s: %w", id, err))
				return
			}
			for i, v := range got[:len(names)] {
				var b *Batch
				if bodies {
					b, err = readBatch(id, names[i], v, got[len(names)+i])
				} else {
					b = &Batch{Name: names[i]}
					b.Calls, b.To, err = decodeBatch([]byte(script.Text(v)))
					err = unreadable(id, fields[i], script.Text(v), err)
				}
				if err != nil {
					yield(nil, err)
					return
				}
				if !yield(b, nil) {
					return
				}
			}
		}
	}
}

// Generation is one attempt set of a call: recipients that are submitted together under one
// idempotency key. A call starts with generation 0. Recipients that must be submitted again form
// later generations.
type Generation struct {
	Call, Number int
	// Revision changes whenever the next submission must be a different request, with another
	// idempotency key.
	Revision string
	// To are the generation's recipients. positions holds their positions in the call.
	To []campaign.Planned
	// Body is the text of the recipients' message. It is empty in a plain campaign.
	Body string
	// CallSize is how many recipients the whole call has.
	CallSize int
	// Due is the earliest time of the next claim. The zero time means now.
	Due time.Time
	// Doubtful is true if an earlier submission may have reached the gateway.
	Doubtful bool
	// Ready is true if certainly no submission has reached the gateway, and no claim is held.
	Ready     bool
	positions string // two bytes for each position; an empty string means all positions of the call
	// The field "first" is the number of recipients in the batch's earlier calls. batchSize is the number
	// of all recipients of the batch.
	first, batchSize int
	upload           string // token of the campaign's upload
	claimed          bool
	token            string // token of the generation's last claim
	// from are the batches that the recipients were in before they moved to this one, the most
	// recent first.
	from []string
}
