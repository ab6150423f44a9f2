package accounts

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// ConfirmRun records at the named accounts that the worker has repeated its recent settles to this
// run of Redis. run identifies the run: its value changes when Redis restarts or fails over.
func (s *Store) ConfirmRun(ctx context.Context, worker, run string, names []string) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, name := range names {
			p.HSet(ctx, Key(name), "r:"+worker, run)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record that settles were repeated to redis: %w", err)
	}
	return nil
}

// Unconfirmed returns the other workers that serve one of the named accounts now and have confirmed
// another run of Redis, but not this one. The list is sorted. Workers of a release that confirms no
// run are left out.
func (s *Store) Unconfirmed(ctx context.Context, worker, run string, names []string) ([]string, error) {
	now, err := s.scripts.Now(ctx)
	if err != nil {
		return nil, err
	}
	var late []string
	for _, name := range names {
		f, err := s.rdb.HGetAll(ctx, Key(name)).Result()
		if err != nil {
			return nil, fmt.Errorf("read workers of account %s: %w", name, err)
		}
		for k, v := range f {
			other, ok := strings.CutPrefix(k, "w:")
			confirmed := f["r:"+other]
			if ok && other != worker && serves(v, now) && confirmed != "" && confirmed != run {
				late = append(late, other)
			}
		}
	}
	slices.Sort(late)
	return slices.Compact(late), nil
}

// serves reports whether a worker serves the account now. v is the worker's record, from the field
// w:<worker> of the account.
func serves(v string, now time.Time) bool {
	at, _, _ := strings.Cut(v, " ")
	return now.Sub(script.Milli(at)) < WorkerLife
}
