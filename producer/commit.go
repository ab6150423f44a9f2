package producer

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
)

// commit commits an upload. If the campaign starts now and the commit takes only one round trip, commit
// also queues the planning task in this round trip. The result "woken" is true if it has queued the task.
// The planning task does nothing if the campaign was not committed, or needs no planning.
func commit(ctx context.Context, c *Client, u *ledger.Upload, first string, spec campaign.Spec) (receipt ledger.Receipt, woken bool, err error) {
	task, wake := queue.Prepared{}, !spec.StartAt.After(c.now())
	if wake {
		if task, err = c.queue.Prepare(ctx, first, queue.Pointer{Campaign: u.ID(), Wake: 1, Trace: spec.Trace}); err != nil {
			return receipt, false, err
		}
	}
	receipt, done, err := u.CommitAtOnce(ctx, func(p redis.Pipeliner) { task.Add(ctx, p) })
	if !done && err == nil {
		receipt, err = u.Commit(ctx)
		return receipt, false, err
	}
	if done && wake {
		task.Done()
	}
	return receipt, done && wake, err
}
