package tracking

import (
	"context"
	"sync"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// located is a place in a batch, together with the recipient at that place. The field "of" is
// the index of the recipient's report in the list that is being matched.
type located struct {
	Place
	of, call, position int // position is the recipient's place in the call
	to                 campaign.Planned
	sent               ledger.BatchRef // the batch that the index names; the recipient may have moved to another batch meanwhile
}

// report returns a delivery report in the ledger's form.
func (x located) report(r Report) ledger.Report {
	reason, state := r.Reason, r.Status.State
	if reason == "" {
		reason = state
	}
	return ledger.Report{Batch: x.Name, Call: x.call, Position: x.position, Row: x.to.Row, MessageID: r.MessageID,
		Delivered: r.Status.Delivered, Reason: reason, State: state, At: r.At}
}

// applied returns the record of a delivery report that was applied to this recipient.
func (x located) applied(r Report) Applied {
	return Applied{BatchRef: x.sent, DLR: r.DLR, Batch: x.Name, Call: x.call, Position: x.position}
}

// locateAll returns the recipients at the candidate places of each report.
func (t *Tracker) locateAll(ctx context.Context, candidates [][]Place) ([]located, error) {
	var refs []ledger.BatchRef
	for _, places := range candidates {
		for _, p := range places {
			refs = append(refs, p.BatchRef)
		}
	}
	if err := t.batches.load(ctx, t.reports, refs); err != nil {
		return nil, err
	}
	var out []located
	for i, places := range candidates {
		for _, p := range places {
			x, ok, err := t.locate(ctx, p)
			if err != nil {
				return nil, err
			}
			if x.of = i; ok {
				out = append(out, x)
			}
		}
	}
	return out, nil
}

// locate returns the recipient at a place. ok is false if no recipient is found there. That can
// happen because the index is not exact, or because the campaign was removed or replaced.
func (t *Tracker) locate(ctx context.Context, p Place) (x located, ok bool, err error) {
	b, err := t.batches.get(ctx, t.reports, p.BatchRef)
	if err != nil || b == nil || p.Position < 0 || p.Position >= len(b.To) {
		return x, false, err
	}
	x = located{Place: p, to: b.To[p.Position], position: p.Position, sent: p.BatchRef}
	for _, n := range b.Calls {
		if x.position < n {
			break
		}
		x.position -= n
		x.call++
	}
	return x, true, nil
}

// The method "follow" returns the places where a recipient may be after it has moved to another batch.
func (t *Tracker) follow(ctx context.Context, x located) (out []located, err error) {
	names, err := t.reports.MovedTo(ctx, x.Campaign, x.Name)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		p := x.Place
		p.Name = name
		b, err := t.batches.get(ctx, t.reports, p.BatchRef)
		if err != nil {
			return nil, err
		}
		if b == nil {
			continue
		}
		for i, to := range b.To {
			if to.Row != x.to.Row {
				continue
			}
			p.Position = i
			next, ok, err := t.locate(ctx, p)
			if err != nil {
				return nil, err
			}
			if next.of, next.sent = x.of, x.sent; ok {
				out = append(out, next)
			}
		}
	}
	return out, nil
}

// positionOf returns the position of a number among the recipients of a call in its batch, or -1.
func positionOf(b *ledger.Batch, call int, number sms.MSISDN) int {
	at := 0
	for k, n := range b.Calls {
		for i := range n {
			if k == call && b.To[at+i].MSISDN == number {
				return at + i
			}
		}
		at += n
	}
	return -1
}

// batchCache keeps batches, which never change, in memory. It is safe for concurrent use.
type batchCache struct {
	mu    sync.Mutex
	byRef map[ledger.BatchRef]*ledger.Batch
}

// cachedBatches is the maximum number of cached batches. A batch has at most some hundred recipients,
// and each recipient takes 16 bytes.
const cachedBatches = 4000

// get returns a batch from the cache or from the ledger. It returns nil if the batch does not exist or
// cannot be read.
func (c *batchCache) get(ctx context.Context, l *ledger.Reports, r ledger.BatchRef) (*ledger.Batch, error) {
	if b := c.cached(r); b != nil {
		return b, nil
	}
	got, err := l.Batches(ctx, []ledger.BatchRef{r})
	if err != nil {
		return nil, err
	}
	c.put(r, got[0])
	return got[0], nil
}

// load reads the batches that are not in the cache, in one round trip.
func (c *batchCache) load(ctx context.Context, l *ledger.Reports, refs []ledger.BatchRef) error {
	var missing []ledger.BatchRef
	asked := map[ledger.BatchRef]bool{}
	for _, r := range refs {
		if !asked[r] && c.cached(r) == nil {
			missing = append(missing, r)
		}
		asked[r] = true
	}
	if len(missing) == 0 {
		return nil
	}
	got, err := l.Batches(ctx, missing)
	if err != nil {
		return err
	}
	for i, b := range got {
		c.put(missing[i], b)
	}
	return nil
}

func (c *batchCache) cached(r ledger.BatchRef) *ledger.Batch {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byRef[r]
}

func (c *batchCache) put(r ledger.BatchRef, b *ledger.Batch) {
	if b == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byRef == nil {
		c.byRef = map[ledger.BatchRef]*ledger.Batch{}
	}
	for old := range c.byRef {
		if len(c.byRef) < cachedBatches {
			break
		}
		delete(c.byRef, old)
	}
	c.byRef[r] = b
}
