package redisguard

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// A worker remembers its recent settles, and replays them to a Redis that has lost the writes of
// its last seconds. These constants limit how many recipients and settles the worker remembers,
// and for how long.
const (
	keptRecipients = 50_000
	keptSettles    = 5_000
	// The worker normally keeps a settle for the duration of the longest call plus keptFor. If Redis
	// may have restarted since the last replay, the worker keeps its settles for keptUnconfirmed.
	keptFor         = 30 * time.Second
	keptUnconfirmed = time.Hour
)

// settles are the recent settles of this worker.
type settles struct {
	mu         sync.Mutex // guards all other fields
	kept       []rememberedSettle
	recipients int
}

// rememberedSettle is a settle that was written or is about to be written. If the settle is
// written again, nothing changes.
type rememberedSettle struct {
	at         time.Time
	recipients int
	write      func(context.Context) error
}

// remember stores a settle for replay. If too many settles are stored, it drops the oldest. It
// also drops settles that are older than the parameter "keep".
func (s *settles) remember(recipients int, keep time.Duration, write func(context.Context) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.kept = append(s.kept, rememberedSettle{at: time.Now(), recipients: recipients, write: write})
	s.recipients += recipients
	old := time.Now().Add(-keep)
	first := 0
	for len(s.kept)-first > 1 && (s.recipients > keptRecipients || len(s.kept)-first > keptSettles || s.kept[first].at.Before(old)) {
		s.recipients -= s.kept[first].recipients
		s.kept[first] = rememberedSettle{}
		first++
	}
	s.kept = s.kept[first:]
}

// The method "replay" writes settles to Redis again. It writes the settles that were remembered at
// the time "since" or later; the zero time means all settles. A settle that Redis already has changes
// nothing. The result is the number of written settles.
func (s *settles) replay(ctx context.Context, since time.Time) (int, error) {
	s.mu.Lock()
	kept := slices.Clone(s.kept)
	s.mu.Unlock()
	kept = slices.DeleteFunc(kept, func(k rememberedSettle) bool { return k.at.Before(since) })
	for _, k := range kept {
		err := k.write(ctx)
		if err != nil && !errors.Is(err, ledger.ErrNotFound) && !errors.Is(err, ledger.ErrNewer) && ledger.AsUnreadable(err) == nil {
			return 0, err
		}
	}
	return len(kept), nil
}
