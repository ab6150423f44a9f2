package worker

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
)

// slice is how long a slot goes on with a batch while others wait for a slot. It then
// joins the end of the queue, so that a batch of many calls, each waiting for its turn,
// does not keep the other campaigns of its account waiting.
const sliceLength = 250 * time.Millisecond

// sliceOver says whether the slot should go to somebody who waits for it. A batch that
// was taken up gets at least one try.
func (s *batchSender) sliceOver(ctx context.Context) (bool, error) {
	if !s.tried || time.Since(s.startedAt) < sliceLength {
		return false, nil
	}
	if _, alone := s.share(ctx, s.acc.Name); alone {
		s.startedAt = time.Now() // who waits is of the same campaign
		return false, nil
	}
	n, err := s.queue.Length(ctx, queue.SendQueue(s.acc.Name, s.camp.spec.Class == ledger.Transactional))
	if n == 0 {
		s.startedAt = time.Now()
	}
	return n > 0, err
}

const (
	// shareWatch is how long a batch is left alone that is next beyond the share of its
	// campaign; the further beyond, the longer.
	shareWatch = 500 * time.Millisecond
	// mostShares is how many shares beyond make no difference any more.
	maxShares = 20
	// busyWatch is more than how far ahead a batch is watched that somebody works on or
	// that waits for a slot; one that is watched later backs off.
	busyWatch = 2 * wakeWatch
)

// beyondShare says whether other campaigns have joined since the batch was handed out,
// and its campaign has as many batches before it as it may have open now: then for how
// long to leave it alone, else 0.
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

// firstWindow is how many batches of an account planning hands out for each page. When ten
// campaigns come at once, the first must not have filled the queue before it is known that
// there are ten. The sweeper, and every batch that ends, top up to the window.
const firstOpenBatchLimit = 2

// shared is what one of so many campaigns has of a window.
func shared(openBatchLimit, campaigns int) int {
	campaigns = max(1, campaigns)
	return max(1, (openBatchLimit+campaigns-1)/campaigns)
}

// windowCache remembers for a moment how many batches of an account a campaign
// may have open.
type openBatchCache struct {
	mu sync.Mutex
	by map[string]accountShare
}

type accountShare struct {
	n     int
	alone bool
	// unit is how long all workers together take of the rate if each takes one unit of it.
	unit time.Duration
	at   time.Time
}

const shareCacheFor = time.Second / 2

// forget has the next question asked of the ledger.
func (c *openBatchCache) forget(account string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.by, account)
}

// window is how many batches of an account a campaign may have open: of about twice the
// calls that all live workers can have in flight, so that nobody waits for a wake-up call
// and the queue stays small, as much as every other campaign has.
func (w *Worker) openBatchLimit(ctx context.Context, account string) int {
	n, _ := w.share(ctx, account)
	return n
}

// share is the window, and whether the campaign has the account for itself.
func (w *Worker) share(ctx context.Context, account string) (openBatchLimit int, alone bool) {
	e := w.readShare(ctx, account)
	return e.n, e.alone
}

// fairGap is the time in which every worker can take n units of an account's rate.
func (w *Worker) fairGap(ctx context.Context, acc *account, n int) time.Duration {
	return time.Duration(n) * w.readShare(ctx, acc.Name).unit
}

// sharing is what is known of who shares an account.
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
		w.log.Warn().Err(err).Str("account", account).Msg("account cannot be read; the window stays small")
	}
	if w.openBatches.by == nil {
		w.openBatches.by = map[string]accountShare{}
	}
	w.openBatches.by[account] = e
	return e
}

// flows is which accounts each open campaign wants to send through, as the sweeper last
// saw it.
type campaignAccounts map[string][]string

// through is which accounts a campaign wants to send through right now.
func accountsInUse(sum ledger.Summary) []string {
	switch {
	case sum.PausedBy != "", sum.StoppedBy != "":
		return nil
	case len(sum.Accounts) == 0 && sum.State == ledger.Planning && sum.Spec.Via != "":
		return []string{sum.Spec.Via}
	case sum.Pending == 0 && sum.State != ledger.Planning:
		return nil
	}
	return sum.Accounts
}

// note remembers what a sweep has seen of a campaign.
func (s *sweeper) note(id string, sum ledger.Summary) {
	if s.flows == nil {
		s.flows = campaignAccounts{}
	}
	s.flows[id] = accountsInUse(sum)
}

// count is how many campaigns share each account. One that no sweep has looked at yet
// counts everywhere, for as long as that takes.
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

// joins tells all workers at once that a campaign wants to send through these accounts;
// the next sweep counts.
func (w *Worker) joinAccounts(ctx context.Context, f ledger.PlanSnapshot) error {
	for _, a := range f.Accounts {
		if err := w.ledger.AddCampaign(ctx, a.Name); err != nil {
			return err
		}
		w.openBatches.forget(a.Name)
	}
	return nil
}

// shareOut tells all workers how many campaigns share each account.
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
