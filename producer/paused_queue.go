package producer

import (
	"context"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
)

// A queue of the campaign's tasks may be paused with asynq's own tools. pausedQueues adds a Block for
// each such queue. The parameter "waiting" lists the accounts that still have recipients to send to.
func (c *Client) pausedQueues(ctx context.Context, sum ledger.Summary, s *Status, waiting []string) error {
	transactional := sum.Spec.Class == campaign.Transactional
	var names []string
	accountOf := map[string]string{}
	for _, account := range waiting {
		name := queue.SendQueue(account, transactional)
		names, accountOf[name] = append(names, name), account
	}
	if s.State == Scheduled || s.State == Planning {
		if name := queue.FirstQueue(sum.Spec.Via, transactional, sum.Total); accountOf[name] == "" {
			names = append(names, name)
		}
	}
	paused, err := c.queue.Paused(ctx, names)
	if err != nil {
		return err
	}
	for _, name := range names {
		if since, ok := paused[name]; ok {
			s.BlockedBy = append(s.BlockedBy, Block{Account: accountOf[name], Reason: "queue_paused", Queue: name, Since: timeOrNil(since)})
		}
	}
	return nil
}
