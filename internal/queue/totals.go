package queue

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// TaskStates are the states of tasks that Totals counts.
var TaskStates = []string{"pending", "retry", "archived"}

// Totals returns, by state, how many tasks are in the planning queues and in the queues of the named
// accounts together.
func (q *Queue) Totals(ctx context.Context, accounts []string) (map[string]int, error) {
	names := []string{PlanSmall, PlanLarge}
	for _, a := range accounts {
		now, bulk := SendQueues(a)
		names = append(names, now, bulk)
	}
	var answers []*redis.IntCmd
	_, err := q.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, n := range names {
			answers = append(answers, p.LLen(ctx, pendingKey(n)), p.ZCard(ctx, "asynq:{"+n+"}:retry"), p.ZCard(ctx, "asynq:{"+n+"}:archived"))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("count tasks: %w", err)
	}
	out := map[string]int{}
	for i, a := range answers {
		out[TaskStates[i%len(TaskStates)]] += int(a.Val())
	}
	return out, nil
}
