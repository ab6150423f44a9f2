package wake

import (
	"context"
	"sync"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
)

// Campaign has the opt-outs of a campaign, and the facts that do not change after its planning
// has begun.
type Campaign struct {
	Upload   string // token of the campaign's upload: campaigns that had the same ID one after the other have different tokens
	Replaced bool   // another campaign had the ID before
	Spec     campaign.Spec
	Snapshot campaign.PlanSnapshot
	Total    int
	Opted    *ledger.Exclusions
}

// FirstQueue returns the queue of the campaign's planning task.
func (c *Campaign) FirstQueue() string {
	return queue.FirstQueue(c.Spec.Via, c.Spec.Class == campaign.Transactional, c.Total)
}

// QueueOf returns the queue of a batch. It depends on the batch's account and on the campaign's
// class. QueueOf returns an error if the campaign cannot have a batch with this name.
func (c *Campaign) QueueOf(batch string) (string, error) {
	stream, err := c.Snapshot.StreamOf(batch)
	if err != nil {
		return "", err
	}
	return queue.SendQueue(stream.Account.Name, c.Spec.Class == campaign.Transactional), nil
}

// Campaigns caches the campaigns that are being sent. A worker sends only a few campaigns at a
// time. Its methods are safe for concurrent use.
type Campaigns struct {
	Ledger *ledger.Ledger

	mu   sync.Mutex
	byID map[string]*Campaign
}

const cachedCampaigns = 256

// Get returns a campaign from the cache or from the ledger. If the campaign does not exist, it
// returns an error that wraps ledger.ErrNotFound.
func (c *Campaigns) Get(ctx context.Context, id string) (*Campaign, error) {
	if known := c.cached(id); known != nil {
		return known, nil
	}
	read, err := c.read(ctx, id)
	if err != nil {
		return nil, err
	}
	if len(read.Snapshot.Accounts) > 0 {
		c.put(id, read)
	}
	return read, nil
}

// The method "read" reads a campaign from the ledger. If another campaign takes the ID meanwhile,
// it reads again.
func (c *Campaigns) read(ctx context.Context, id string) (*Campaign, error) {
	upload, replaced, err := c.Ledger.Index().Upload(ctx, id)
	for err == nil {
		read := &Campaign{Upload: upload, Replaced: replaced, Opted: &ledger.Exclusions{}}
		if read.Spec, err = c.Ledger.Spec(ctx, id); err != nil {
			break
		}
		if read.Snapshot, read.Total, err = c.Ledger.Snapshot(ctx, id); err != nil {
			break
		}
		if upload, replaced, err = c.Ledger.Index().Upload(ctx, id); err == nil && upload == read.Upload {
			return read, nil
		}
	}
	return nil, err
}

// Forget removes a campaign from the cache, because another campaign has taken its ID.
func (c *Campaigns) Forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.byID, id)
}

func (c *Campaigns) cached(id string) *Campaign {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.byID[id]
}

func (c *Campaigns) put(id string, x *Campaign) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.byID) >= cachedCampaigns || c.byID == nil {
		c.byID = map[string]*Campaign{}
	}
	c.byID[id] = x
}
