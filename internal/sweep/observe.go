package sweep

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

const (
	// deepCheckEvery is the minimum time between two comparisons of a campaign's counts with its results.
	deepCheckEvery = 10 * time.Second
	// deepCheckMost is the largest number of recipients of a campaign whose counts are compared with its results.
	deepCheckMost = 2000
)

// invariantCheck remembers the campaigns whose counts were wrong, and the time of the last comparison with
// results.
type invariantCheck struct {
	breached map[string]bool
	deepAt   time.Time
}

// The method "observe" checks the counts of a campaign, and counts the campaign in the census.
func (s *Sweeper) observe(ctx context.Context, sum ledger.Summary) error {
	c := sum.Counts
	if c.Pending+c.Accepted+c.Delivered+c.Undelivered+c.Rejected+c.Unknown+c.Skipped != c.Total || anyNegative(c) {
		s.breach(sum.ID, "the counts of a campaign do not add up to its recipients")
	}
	if !s.counting {
		return nil
	}
	return s.Census.Note(ctx, sum)
}

func anyNegative(c campaign.Counts) bool {
	return min(c.Pending, c.Accepted, c.Delivered, c.Undelivered, c.Rejected, c.Unknown, c.Skipped) < 0
}

// The method "breach" counts and logs the first breach of a campaign.
func (s *Sweeper) breach(id, what string) {
	if s.invariant.breached[id] {
		return
	}
	if s.invariant.breached == nil {
		s.invariant.breached = map[string]bool{}
	}
	s.invariant.breached[id] = true
	s.Meter.Breached()
	s.Log.Error().Str("campaign", id).Msg(what + ": keep the campaign and its Redis, and report this as a bug of Tuma")
}

// The method "ended" counts the skipped recipients of a campaign that has ended, and removes the
// campaign from the open index. It also compares the counts of a small campaign with the results, at
// most once in ten seconds (deepCheckEvery).
func (s *Sweeper) ended(ctx context.Context, e ledger.IndexEntry, sum ledger.Summary, now time.Time) error {
	if sum.Total <= deepCheckMost && now.Sub(s.invariant.deepAt) >= deepCheckEvery {
		s.invariant.deepAt = now
		if err := s.checkResults(ctx, sum); err != nil {
			return err
		}
	}
	remove, err := s.shrink(ctx, sum)
	if err != nil {
		return err
	}
	if err := remove(ctx, e); err != nil {
		return err
	}
	for name, n := range s.skips.of(sum) {
		a, err := s.Accounts.Account(ctx, name)
		if err != nil && !errors.Is(err, accounts.ErrNoAccount) {
			return err
		}
		s.Meter.Skipped(name, a.Provider, n)
	}
	return nil
}

// The method "shrink" deletes the text of a campaign that has ended, if its spec asks for the deletion and every
// outcome is known. It archives a single message whose text it may delete. The result "remove" is the function that
// removes the campaign from the open index.
func (s *Sweeper) shrink(ctx context.Context, sum ledger.Summary) (remove func(context.Context, ledger.IndexEntry) error, err error) {
	index := s.Ledger.Index()
	if sum.Archived {
		return index.RemoveArchived, nil
	}
	if !sum.Spec.PurgeBody || sum.Unknown > 0 {
		return index.Remove, nil
	}
	if sum.Spec.Message {
		if done, err := ledger.Archive(ctx, s.Ledger, sum.ID); err != nil || done {
			return index.RemoveArchived, err
		}
	}
	if sum.Spec.Purged == 0 {
		if _, err := ledger.PurgeBody(ctx, s.Ledger, sum.ID); err != nil {
			return nil, err
		}
	}
	return index.Remove, nil
}

// checkResults reads the results of a campaign that has ended, and counts them by status. If the
// stored counts differ from these numbers and have not changed meanwhile, it reports a breach.
func (s *Sweeper) checkResults(ctx context.Context, before ledger.Summary) error {
	var found campaign.Counts
	by := map[campaign.Status]*int{campaign.Pending: &found.Pending, campaign.Accepted: &found.Accepted, campaign.Delivered: &found.Delivered,
		campaign.Undelivered: &found.Undelivered, campaign.Rejected: &found.Rejected, campaign.Unknown: &found.Unknown, campaign.Skipped: &found.Skipped}
	for row, err := range s.Ledger.ResultsAfter(ctx, before.ID, 0) {
		if ledger.AsUnreadable(err) != nil {
			return nil
		}
		if err != nil {
			return err
		}
		found.Total++
		if n := by[row.Status]; n != nil {
			*n++
		}
	}
	after, err := s.Ledger.Summary(ctx, before.ID)
	if err != nil {
		return err
	}
	if found != after.Counts && before.Counts == after.Counts && before.Upload == after.Upload && before.Quarantined == 0 {
		s.breach(before.ID, "the results of a campaign differ from its counts")
	}
	return nil
}

// skipCount remembers, for each campaign that has ended, how many of its skipped recipients were
// counted. After a retry, a campaign ends for the second time. Then only newly skipped recipients
// must be counted.
type skipCount struct{ counted map[string]int }

// maxSkipCounts is how many campaigns a skipCount remembers.
const maxSkipCounts = 100_000

// The method "of" returns, for each account, how many recipients of a campaign were skipped. It leaves out recipients
// that it counted at an earlier end of the campaign. A recipient without an account, such as an invalid number, is
// counted for the first account of the campaign.
func (c *skipCount) of(sum ledger.Summary) map[string]int {
	if sum.Skipped == 0 {
		return nil
	}
	if c.counted == nil || len(c.counted) >= maxSkipCounts {
		c.counted = map[string]int{}
	}
	left, out := sum.Skipped-c.counted[sum.ID], map[string]int{}
	c.counted[sum.ID] = sum.Skipped
	for _, a := range sum.ByAccount {
		n := min(left, a.Skipped)
		out[a.Account] += n
		left -= n
	}
	first := sum.Spec.Via
	if len(sum.Accounts) > 0 {
		first = cmp.Or(first, sum.Accounts[0])
	}
	if first != "" {
		out[first] += left
	}
	return out
}
