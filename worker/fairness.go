package worker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
)

// sliceLength is how long a slot works on a batch while other campaigns wait for a slot. The batch
// then joins the end of the queue. Without this limit, a batch of many calls that each wait for a
// turn would delay the other campaigns of the account.
const sliceLength = 250 * time.Millisecond

// sliceOver reports whether the slot must be given to another campaign. It returns false until the
// slot has tried at least one call of the batch.
func (s *batchSender) sliceOver(ctx context.Context) (bool, error) {
	if !s.tried || time.Since(s.startedAt) < sliceLength {
		return false, nil
	}
	if _, alone := s.share(ctx, s.acc.Name); alone {
		s.startedAt = time.Now() // all waiting tasks belong to this campaign
		return false, nil
	}
	n, err := s.queue.Length(ctx, queue.SendQueue(s.acc.Name, s.camp.spec.Class == campaign.Transactional))
	if n == 0 {
		s.startedAt = time.Now()
	}
	return n > 0, err
}

const (
	// shareWatch is how long a batch beyond its campaign's share is left alone. A batch that is
	// several shares behind waits that long for each of them.
	shareWatch = 500 * time.Millisecond
	// maxShares is the maximum number of shares that are counted ahead of a batch.
	maxShares = 20
	// busyWatch is longer than the watch of a batch that is being worked on or waits for a slot. A
	// batch whose watch is longer than busyWatch is backing off.
	busyWatch = 2 * wakeWatch
)

// beyondShare returns how long to leave the batch alone because other campaigns share the account.
// It returns 0 unless the campaign already has as many batches ahead of this one as it may have
// open.
func (s *batchSender) beyondShare(ctx context.Context) (time.Duration, error) {
	share, alone := s.share(ctx, s.acc.Name)
	if alone || s.tried {
		return 0, nil
	}
	n, err := s.ledger.BatchesAhead(ctx, s.id, s.batch, time.Now().Add(busyWatch), maxShares*share)
	if err != nil {
		return 0, err
	}
	return time.Duration(n/share) * shareWatch, nil
}

// firstOpenBatchLimit is how many batches of an account planning opens for each page. If ten
// campaigns start at once, the first must not fill the queue before the others are known. Later the
// sweeper, and each settle that ends a batch, open more batches, up to the open-batch limit.
const firstOpenBatchLimit = 2

// shared returns each campaign's share of an open-batch limit, rounded up, and at least 1.
func shared(openBatchLimit, campaigns int) int {
	campaigns = max(1, campaigns)
	return max(1, (openBatchLimit+campaigns-1)/campaigns)
}

// openBatchCache caches, for the duration shareCacheFor, how each account is shared.
type openBatchCache struct {
	mu sync.Mutex
	by map[string]accountShare
}

type accountShare struct {
	n     int
	alone bool
	// unit is the time in which the account's rate yields one unit for every worker.
	unit time.Duration
	at   time.Time
}

const shareCacheFor = time.Second / 2

// forget drops an account from the cache, so that readShare reads the ledger the next time.
func (c *openBatchCache) forget(account string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.by, account)
}

// openBatchLimit returns how many batches of an account one campaign may have open, that is, queued
// or being sent. All campaigns together get about twice the calls that all live workers can have in
// flight. That is enough to keep every slot busy, and it keeps the queue short.
func (w *Worker) openBatchLimit(ctx context.Context, account string) int {
	n, _ := w.share(ctx, account)
	return n
}

// share returns the open-batch limit. alone reports whether no other campaign uses the account.
func (w *Worker) share(ctx context.Context, account string) (openBatchLimit int, alone bool) {
	e := w.readShare(ctx, account)
	return e.n, e.alone
}

// fairGap returns the time in which every worker can take n units of an account's rate.
func (w *Worker) fairGap(ctx context.Context, acc *account, n int) time.Duration {
	return time.Duration(n) * w.readShare(ctx, acc.Name).unit
}

// readShare returns how an account is shared, from the cache or the ledger.
func (w *Worker) readShare(ctx context.Context, account string) accountShare {
	const least = 4
	w.openBatches.mu.Lock()
	defer w.openBatches.mu.Unlock()
	if e, ok := w.openBatches.by[account]; ok && time.Since(e.at) < shareCacheFor {
		return e
	}
	e := accountShare{n: least, alone: true, at: time.Now()}
	if a, err := w.ledger.Account(ctx, account); err == nil {
		e.n, e.alone = shared(max(least, 2*a.Slots), a.Campaigns), a.Campaigns < 2
		if a.Rate > 0 {
			workers := max(1, float64(a.Slots)/float64(max(1, a.Concurrency)))
			e.unit = time.Duration(workers / a.Rate * float64(time.Second))
		}
	} else {
		w.log.Warn().Err(err).Str("account", account).Msg("could not read account; using the smallest open-batch limit")
	}
	if w.openBatches.by == nil {
		w.openBatches.by = map[string]accountShare{}
	}
	w.openBatches.by[account] = e
	return e
}

// campaignAccounts maps each open campaign to the accounts that it used at the last sweep.
type campaignAccounts map[string][]string

// accountsInUse returns the accounts that a campaign wants to send through right now.
func accountsInUse(sum ledger.Summary) []string {
	switch {
	case sum.PausedBy != "", sum.StoppedBy != "":
		return nil
	case len(sum.Accounts) == 0 && sum.State == campaign.Planning && sum.Spec.Via != "":
		return []string{sum.Spec.Via}
	case sum.Pending == 0 && sum.State != campaign.Planning:
		return nil
	}
	return sum.Accounts
}

// note records the accounts that a sweep found in use by the campaign with this ID.
func (s *sweeper) note(id string, sum ledger.Summary) {
	if s.flows == nil {
		s.flows = campaignAccounts{}
	}
	s.flows[id] = accountsInUse(sum)
}

// count returns how many campaigns share each account. A campaign that no sweep has seen yet counts
// as one that uses every account.
func (f campaignAccounts) count(open []ledger.IndexEntry, own map[string]*account) map[string]int {
	n, unseen := map[string]int{}, 0
	for _, e := range open {
		accounts, known := f[e.ID]
		if !known {
			unseen++
		}
		for _, a := range accounts {
			n[a]++
		}
	}
	if unseen == 0 {
		return n
	}
	everywhere := map[string]int{}
	for _, a := range slices.Concat(slices.Collect(maps.Keys(own)), slices.Collect(maps.Keys(n))) {
		everywhere[a] = n[a] + unseen
	}
	return everywhere
}

// joinAccounts adds a campaign at once to the number of campaigns that share each of its accounts.
// The next sweep counts all campaigns again.
func (w *Worker) joinAccounts(ctx context.Context, f campaign.PlanSnapshot) error {
	for _, a := range f.Accounts {
		if err := w.ledger.AddCampaign(ctx, a.Name); err != nil {
			return err
		}
		w.openBatches.forget(a.Name)
	}
	return nil
}

// publishCampaignCounts stores in Redis, for all workers, how many campaigns share each account.
func (w *Worker) publishCampaignCounts(ctx context.Context, open []ledger.IndexEntry) error {
	now := w.sweeper.flows.count(open, w.accounts)
	for a := range w.sweeper.publishedCounts {
		if _, ok := now[a]; !ok {
			now[a] = 0
		}
	}
	for a, n := range now {
		if n == 0 && w.sweeper.publishedCounts[a] == 0 {
			delete(now, a)
			continue
		}
		if err := w.ledger.SetCampaigns(ctx, a, n); err != nil {
			return err
		}
		w.openBatches.forget(a)
	}
	w.sweeper.publishedCounts = now
	ids := make(map[string]bool, len(open))
	for _, e := range open {
		ids[e.ID] = true
	}
	maps.DeleteFunc(w.sweeper.flows, func(id string, _ []string) bool { return !ids[id] })
	return nil
}
