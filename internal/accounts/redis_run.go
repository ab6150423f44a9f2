package accounts

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// ConfirmRun records at the named accounts that the worker has replayed its recent settles to this
// run of Redis. The parameter "run" identifies the run of Redis. It changes when Redis restarts or
// fails over. longestCall is the maximum time from the claim of a call to its settle in this
// worker.
func (s *Store) ConfirmRun(ctx context.Context, worker, run string, longestCall time.Duration, names []string) error {
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, name := range names {
			p.HSet(ctx, Key(name), "r:"+worker, run, "l:"+worker, longestCall.Milliseconds())
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("record in redis that this worker has replayed its recent settles: %w", err)
	}
	return nil
}

// Unconfirmed returns, sorted, the other workers that serve one of the named accounts now and have
// not confirmed the given run of Redis. It omits workers of early releases, because they never
// confirm a run. longestCall is the longest time for which a call of the returned workers may last.
// It is 0 if one of these workers has a release that does not record this time.
func (s *Store) Unconfirmed(ctx context.Context, worker, run string, names []string) (late []string, longestCall time.Duration, err error) {
	now, err := s.scripts.Now(ctx)
	if err != nil {
		return nil, 0, err
	}
	recorded := true
	for _, name := range names {
		f, err := s.rdb.HGetAll(ctx, Key(name)).Result()
		if err != nil {
			return nil, 0, fmt.Errorf("read workers of account %s: %w", name, err)
		}
		for k, v := range f {
			other, ok := strings.CutPrefix(k, "w:")
			confirmed := f["r:"+other]
			if ok && other != worker && serves(v, now) && confirmed != "" && confirmed != run {
				late = append(late, other)
				ms, err := strconv.ParseInt(f["l:"+other], 10, 64)
				recorded = recorded && err == nil
				longestCall = max(longestCall, time.Duration(ms)*time.Millisecond)
			}
		}
	}
	if !recorded {
		longestCall = 0
	}
	slices.Sort(late)
	return slices.Compact(late), longestCall, nil
}

// The function "serves" reports whether a worker serves the account now. v is the worker's record,
// from the field w:<worker> of the account.
func serves(v string, now time.Time) bool {
	at, _, _ := strings.Cut(v, " ")
	return now.Sub(script.Milli(at)) < WorkerLife
}
