package accounts

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// Holds returns the hold of every published account, by the account's name. An account that is not
// held has the zero Hold.
func (s *Store) Holds(ctx context.Context) (map[string]Hold, error) {
	names, err := s.rdb.SMembers(ctx, indexKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	answers := map[string]*redis.SliceCmd{}
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, name := range names {
			answers[name] = p.HMGet(ctx, Key(name), "hold", "hold_code", "hold_by", "hold_at", "hold_until", "hold_bulk")
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read holds: %w", err)
	}
	out := make(map[string]Hold, len(names))
	for name, answer := range answers {
		f := make([]string, 6)
		for i, v := range answer.Val() {
			f[i], _ = v.(string)
		}
		if out[name] = (Hold{Reason: f[0], Code: f[1], By: f[2], Since: script.Milli(f[3]), Until: script.Milli(f[4]), BulkOnly: f[5] == "1"}); f[0] == "" {
			out[name] = Hold{}
		}
	}
	return out, nil
}
