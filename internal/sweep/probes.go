package sweep

import (
	"context"
	"errors"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/wake"
)

// probeTurns decides which batch may probe a held account. Each batch may probe once before any
// batch may probe a second time. So if the calls of one batch are always refused, other batches
// can still show that the account works.
type probeTurns struct {
	since   time.Time // start of the hold
	tried   map[string]bool
	chosen  bool // in this sweep, a batch was chosen for the probe
	skipped bool // in this sweep, a batch was skipped because it has probed before
}

// The method "next" reports whether a batch may probe in this sweep. The parameter "work" is the
// name of the batch. If the result is true, the method adds the batch to the field "tried".
func (p *probeTurns) next(work string) bool {
	if p.chosen {
		return false
	}
	if p.tried[work] {
		p.skipped = true
		return false
	}
	p.chosen, p.tried[work] = true, true
	return true
}

// newSweep prepares for another sweep. If every waiting batch has probed once, all batches may
// probe again.
func (p *probeTurns) newSweep() {
	if p.skipped && !p.chosen {
		clear(p.tried)
	}
	p.chosen, p.skipped = false, false
}

// stillHeld reports whether the sweep must not wake a batch, because the batch's account is held.
// If the hold has expired, each sweep wakes one batch for the probe. It does not wake a batch of a
// paused campaign, because such a batch could not make the call. For a batch of a stopped campaign
// stillHeld returns false: that campaign only ends its doubtful calls, and needs no account for it.
func (s *Sweeper) stillHeld(ctx context.Context, sum ledger.Summary, c *wake.Campaign, batch string, now time.Time) (bool, error) {
	if sum.StoppedBy != "" {
		return false, nil
	}
	stream, err := c.Snapshot.StreamOf(batch)
	if err != nil {
		return false, err
	}
	name := stream.Account.Name
	a, err := s.Accounts.Account(ctx, name)
	if errors.Is(err, accounts.ErrNoAccount) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if !a.Hold.Held() {
		delete(s.probes, name)
	}
	if !a.Hold.Stops(c.Spec.Class) {
		return false, nil
	}
	if a.Hold.Until.IsZero() || now.Before(a.Hold.Until) || sum.PausedBy != "" {
		return true, nil
	}
	p := s.probes[name]
	if p == nil || !p.since.Equal(a.Hold.Since) {
		p = &probeTurns{since: a.Hold.Since, tried: map[string]bool{}}
		if s.probes == nil {
			s.probes = map[string]*probeTurns{}
		}
		s.probes[name] = p
	}
	return !p.next(sum.ID + " " + batch), nil
}
