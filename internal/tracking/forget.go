package tracking

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// Forget removes the parked delivery reports about a number from all logins, and returns the number of these reports.
// If the parameter "dry" is true, Forget only counts the reports and removes nothing.
func Forget(ctx context.Context, r *script.Runner, number sms.MSISDN, dry bool) (int, error) {
	rdb, n := r.Redis(), 0
	logins, err := rdb.SMembers(ctx, loginsKey).Result()
	if err != nil {
		return 0, fmt.Errorf("read the list of logins that get delivery reports: %w", err)
	}
	for _, login := range logins {
		var ids []string
		scan := rdb.HScan(ctx, parkedKey(login), 0, "", 1000).Iterator()
		for scan.Next(ctx) {
			id := scan.Val()
			if !scan.Next(ctx) {
				break
			}
			if r, ok := parseParked(id, scan.Val()); ok && r.To == number {
				ids = append(ids, id)
			}
		}
		if err := scan.Err(); err != nil {
			return n, fmt.Errorf("read parked delivery reports: %w", err)
		}
		n += len(ids)
		if len(ids) == 0 || dry {
			continue
		}
		members := make([]any, len(ids))
		for i, id := range ids {
			members[i] = id
		}
		_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			p.HDel(ctx, parkedKey(login), ids...)
			p.ZRem(ctx, parkDueKey(login), members...)
			return nil
		})
		if err != nil {
			return n, fmt.Errorf("remove parked delivery reports: %w", err)
		}
	}
	return n, nil
}
