package worker

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
)

// wakeAll queues the wake-ups of batches that the ledger has opened. If a wake-up gets lost, the
// sweeper queues it again.
func (w *Worker) wakeAll(ctx context.Context, id string, f campaign.PlanSnapshot, spec campaign.Spec, wakes []ledger.Wake) error {
	for _, x := range wakes {
		name, err := queueOf(f, spec, x.Batch)
		if err != nil {
			return fmt.Errorf("wake %s: %w", id, err)
		}
		if err := w.queue.Wake(ctx, name, queue.Pointer{Campaign: id, Batch: x.Batch, Wake: x.Number}); err != nil {
			return err
		}
	}
	return nil
}

// queueOf returns the queue of a batch. It depends on the batch's account and on the campaign's
// class.
func queueOf(f campaign.PlanSnapshot, spec campaign.Spec, batch string) (string, error) {
	stream, err := f.StreamOf(batch)
	if err != nil {
		return "", err
	}
	return queue.SendQueue(stream.Account.Name, spec.Class == campaign.Transactional), nil
}

// handOver queues a new wake-up for work that this slot leaves unfinished, because the worker
// drains or other campaigns come first.
func (w *Worker) handOver(p queue.Pointer) error {
	ctx, cancel := context.WithTimeout(context.Background(), w.cfg.SweepEvery+5*time.Second)
	defer cancel()
	lost := ledger.Wake{Batch: p.Batch, Number: p.Wake}
	if p.Batch == "" {
		lost.Batch = ledger.PlanWork
	}
	next, ok, err := w.ledger.RaiseWake(ctx, p.Campaign, lost, wakeWatch)
	if err != nil || !ok {
		return err
	}
	c, err := w.campaign(ctx, p.Campaign)
	if err != nil {
		return err
	}
	return w.wakeOne(ctx, p.Campaign, c, next)
}

// wakeOne queues the wake-up x: of a batch, or of the campaign's planning.
func (w *Worker) wakeOne(ctx context.Context, id string, c *loadedCampaign, x ledger.Wake) error {
	if x.Batch == ledger.PlanWork {
		return w.queue.Wake(ctx, c.firstQueue(), queue.Pointer{Campaign: id, Wake: x.Number})
	}
	return w.wakeAll(ctx, id, c.snapshot, c.spec, []ledger.Wake{x})
}

// wakeWatch is how long a wake-up may wait, or its worker may be silent, before the sweeper looks
// for the wake-up.
const wakeWatch = 5 * time.Second

// campaign holds the facts about a campaign that do not change after its planning has begun, and
// its opt-outs.
type loadedCampaign struct {
	spec     campaign.Spec
	snapshot campaign.PlanSnapshot
	total    int
	opted    *ledger.Exclusions
}

// firstQueue returns the queue of the campaign's planning task.
func (c *loadedCampaign) firstQueue() string {
	return queue.FirstQueue(c.spec.Via, c.spec.Class == campaign.Transactional, c.total)
}

// campaignCache caches the campaigns that are being sent. A worker sends only a few campaigns at a
// time.
type campaignCache struct {
	mu   sync.Mutex
	byID map[string]*loadedCampaign
}

const cachedCampaigns = 256

func (c *campaignCache) get(id string) *loadedCampaign {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byID[id]
}

func (c *campaignCache) put(id string, x *loadedCampaign) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byID) >= cachedCampaigns || c.byID == nil {
		c.byID = map[string]*loadedCampaign{}
	}
	c.byID[id] = x
}

// campaign returns a campaign's spec and plan snapshot, from the cache or the ledger.
func (w *Worker) campaign(ctx context.Context, id string) (*loadedCampaign, error) {
	if c := w.campaigns.get(id); c != nil {
		return c, nil
	}
	spec, err := w.ledger.Spec(ctx, id)
	if err != nil {
		return nil, err
	}
	snapshot, total, err := w.ledger.Snapshot(ctx, id)
	if err != nil {
		return nil, err
	}
	c := &loadedCampaign{spec: spec, snapshot: snapshot, total: total, opted: &ledger.Exclusions{}}
	if len(snapshot.Accounts) > 0 {
		w.campaigns.put(id, c)
	}
	return c, nil
}
