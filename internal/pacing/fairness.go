package pacing

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/outage"
)

// Shares divides each account among the campaigns that use it. It keeps values from Redis in a cache
// for the time shareCacheFor. Its methods are safe for concurrent use.
type Shares struct {
	Accounts interface {
		Account(ctx context.Context, name string) (accounts.Account, error)
	}
	Log zerolog.Logger

	mu sync.Mutex
	by map[string]accountShare
}

type accountShare struct {
	n     int
	alone bool
	// The field "unit" is the time in which the account's rate allows each live worker to take one unit.
	unit time.Duration
	at   time.Time
}

const shareCacheFor = time.Second / 2

// OpenBatchLimit returns how many batches of an account one campaign may have open, that is, queued
// or being sent. All campaigns together get about twice the number of calls that all live workers
// can have in flight. This number keeps every slot busy, and keeps the queue short.
func (s *Shares) OpenBatchLimit(ctx context.Context, account string) int {
	return s.read(ctx, account).n
}

// Share returns the open-batch limit. The result "alone" is true if no other campaign uses the
// account.
func (s *Shares) Share(ctx context.Context, account string) (openBatchLimit int, alone bool) {
	e := s.read(ctx, account)
	return e.n, e.alone
}

// FairGap returns the time in which an account's rate allows each live worker to take n units.
func (s *Shares) FairGap(ctx context.Context, account string, n int) time.Duration {
	return time.Duration(n) * s.read(ctx, account).unit
}

// Forget removes an account from the cache, so that the next call reads its share again.
func (s *Shares) Forget(account string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.by, account)
}

// The method "read" returns how an account is shared, from the cache or from Redis.
func (s *Shares) read(ctx context.Context, account string) accountShare {
	const least = 4
	s.mu.Lock()
	defer s.mu.Unlock()
	if e, ok := s.by[account]; ok && time.Since(e.at) < shareCacheFor {
		return e
	}
	e := accountShare{n: least, alone: true, at: time.Now()}
	if a, err := s.Accounts.Account(ctx, account); err == nil {
		e.n, e.alone = divide(max(least, 2*a.Slots), a.Campaigns), a.Campaigns < 2
		if a.Rate > 0 {
			workers := max(1, float64(a.Slots)/float64(max(1, a.Concurrency)))
			e.unit = time.Duration(workers / a.Rate * float64(time.Second))
		}
	} else {
		s.Log.WithLevel(outage.Level(err, zerolog.WarnLevel)).Err(err).Str("account", account).Msg("could not read account; using the smallest open-batch limit")
	}
	if s.by == nil {
		s.by = map[string]accountShare{}
	}
	s.by[account] = e
	return e
}

// divide returns each campaign's share of an open-batch limit. The result is rounded up and at
// least 1.
func divide(openBatchLimit, campaigns int) int {
	campaigns = max(1, campaigns)
	return max(1, (openBatchLimit+campaigns-1)/campaigns)
}
