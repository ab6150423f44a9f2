package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
)

// writeOffAfter is how long a stopped campaign waits for calls whose records cannot be
// read: longer than any lease.
func (w *Worker) writeOffAfter() time.Duration {
	longest := 2 * time.Minute
	for _, a := range w.accounts {
		longest = max(longest, a.Timeout+2*leaseMargin)
	}
	return longest
}

// orSetAside takes an error of working on a batch, or on planning, and if it is that a
// record cannot be read, sets the work aside: it gives its place to others, and nothing
// comes back to it before the campaign is resumed. Any other error is returned.
func (w *Worker) orQuarantine(ctx context.Context, id, work string, err error) error {
	u := ledger.AsUnreadable(err)
	if u == nil {
		return err
	}
	return w.quarantine(ctx, id, work, u, true)
}

// setAside enters a record among those that cannot be read, and says so once; not with
// its bytes, which may hold numbers or a text. With leave, the work that needs it leaves
// the open set.
func (w *Worker) quarantine(ctx context.Context, id, work string, u *ledger.Unreadable, leave bool) error {
	c, openBatchLimit := &campaign{}, 0
	if _, err := ledger.BatchStream(work); err == nil && leave {
		if c, err = w.campaign(ctx, id); err != nil {
			return err // the campaign itself: it is for the sweeper to set aside
		}
		if stream, err := c.snapshot.StreamOf(work); err == nil {
			openBatchLimit = w.openBatchLimit(ctx, stream.Account.Name)
		}
	}
	wakes, first, err := w.ledger.Quarantine(ctx, u, work, leave, openBatchLimit)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return errors.Join(u, err)
	}
	if first {
		w.log.Error().Str("campaign", id).Str("record", u.Record).Str("work", work).Err(u.Err).Int("size", len(u.Bytes)).
			Str("kept_in", ledger.QuarantineKey(id)).Msg("a record cannot be read: set aside with its bytes, in redis; all else goes on, tuma resume tries it again")
	}
	return w.wakeAll(ctx, id, c.snapshot, c.spec, wakes)
}

// setAsideBad enters what of a batch cannot be read, and says whether that is all there
// is left of it: then it has left the open set.
func (s *batchSender) quarantineUnreadable(ctx context.Context, work *ledger.Work) (left bool, err error) {
	left = len(work.Open) == 0
	for _, u := range work.Bad {
		if err := s.quarantine(ctx, s.id, s.batch, u, left); err != nil {
			return left, err
		}
	}
	return left, nil
}

// keepAnswer sets aside what a call came to if its generation's records cannot be read
// any more, so that it cannot be written down: the operator may still want to know.
func (s *batchSender) keepAnswer(c *ledger.Claim, g *ledger.Generation, v verdict, err error) {
	u := ledger.AsUnreadable(err)
	if u == nil {
		return
	}
	answer := struct {
		UUID    string          `json:"uuid"`
		Deed    string          `json:"deed"`
		Records []ledger.Record `json:"records"`
	}{c.IdempotencyKey.String(), v.action.String(), v.records}
	b, err := json.Marshal(answer)
	if err != nil {
		b = fmt.Appendf(nil, "%s %s", answer.UUID, answer.Deed)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	lost := &ledger.Unreadable{Campaign: s.id, Record: fmt.Sprintf("answer:%s.%d.%d", s.batch, g.Call, g.Number), Bytes: b,
		Err: fmt.Errorf("the answer to a call cannot be written down: %w", u)}
	if err := s.quarantine(ctx, s.id, s.batch, lost, false); err != nil {
		s.log.Error().Err(err).Str("campaign", s.id).Str("uuid", answer.UUID).Msg("the answer to a call cannot be written down")
	}
}

// setPayloadAside keeps a task's payload that cannot be read, at the campaign that its
// task id names or else for all. The sweeper wakes again what it may have meant.
func (w *Worker) quarantinePayload(ctx context.Context, t *asynq.Task, why error) error {
	task, _ := asynq.GetTaskID(ctx)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	id := queue.CampaignOf(task)
	u := &ledger.Unreadable{Campaign: id, Record: "task:" + strings.TrimPrefix(task, id+":"), Bytes: t.Payload(), Err: why}
	if ledger.ValidID(id) {
		known, err := w.ledger.Exists(ctx, id)
		if err != nil {
			return err
		}
		if known {
			return w.quarantine(ctx, id, "", u, false)
		}
	}
	first, err := w.ledger.QuarantinePayload(ctx, task, t.Payload(), why)
	if err == nil && first {
		w.log.Error().Str("task", t.Type()).Str("task_id", task).Err(why).Int("size", len(t.Payload())).
			Str("kept_in", ledger.QuarantineKey("")).Msg("a task's payload cannot be read: set aside with its bytes, in redis")
	}
	return err
}
