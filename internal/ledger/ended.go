package ledger

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// EndedCount is the state of a count of ended campaigns. Done and Cancelled are the results of the last
// complete count. During the first count, both have the numbers that this count has found so far.
type EndedCount struct {
	Done, Cancelled int

	done, cancelled int // ended campaigns that the count in progress has found
	at              Position
	complete        bool // a count was completed before
}

// CountEnded continues a count with at most "step" campaigns, from the newest to the oldest. After
// the oldest campaign it begins again with the newest. The zero EndedCount begins the first count.
func (x *Index) CountEnded(ctx context.Context, c EndedCount, step int) (EndedCount, error) {
	var ids []string
	for e, err := range x.Newest(ctx, c.at) {
		if err != nil {
			return c, err
		}
		ids, c.at = append(ids, e.ID), Position{At: e.Since, ID: e.ID}
		if len(ids) == step {
			break
		}
	}
	answers := make([]*redis.SliceCmd, len(ids))
	if len(ids) > 0 {
		_, err := x.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, id := range ids {
				answers[i] = p.HMGet(ctx, ledgerKey(id), fieldStop, fieldFinished)
			}
			return nil
		})
		if err != nil {
			return c, fmt.Errorf("count ended campaigns: %w", err)
		}
	}
	for _, a := range answers {
		switch v := a.Val(); {
		case script.Text(v[0]) == campaign.ReasonCancelled:
			c.cancelled++
		case v[1] != nil:
			c.done++
		}
	}
	if len(ids) < step {
		c.Done, c.Cancelled, c.complete = c.done, c.cancelled, true
		c.done, c.cancelled, c.at = 0, 0, Position{}
	} else if !c.complete {
		c.Done, c.Cancelled = c.done, c.cancelled
	}
	return c, nil
}
