package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
)

// writeOffAfter is how long a stopped campaign waits for calls whose records are unreadable. It is
// longer than any lease.
func (w *Worker) writeOffAfter() time.Duration {
	longest := 2 * time.Minute
	for _, a := range w.accounts {
		longest = max(longest, a.Timeout+2*leaseMargin)
	}
	return longest
}

// orQuarantine returns err, unless err means that a record cannot be read. In that case it
// quarantines the work that needs the record, so that other work can proceed. That work is not
// tried again until the campaign is resumed.
func (w *Worker) orQuarantine(ctx context.Context, id, work string, err error) error {
	u := ledger.AsUnreadable(err)
	if u == nil {
		return err
	}
	return w.quarantine(ctx, id, work, u, true)
}

// quarantine stores an unreadable record among the campaign's quarantined records. It logs the
// record once, without the record's bytes, because they may hold numbers or a message body. If
// leave is true, the work that needs the record leaves the open set.
func (w *Worker) quarantine(ctx context.Context, id, work string, u *ledger.Unreadable, leave bool) error {
	c, openBatchLimit := &loadedCampaign{}, 0
	if _, err := campaign.BatchStream(work); err == nil && leave {
		if c, err = w.campaign(ctx, id); err != nil {
			return err // the campaign's main record is unreadable too: the sweeper quarantines it
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
			Str("kept_in", ledger.QuarantineKey(id)).Msg("record cannot be read: quarantined with its bytes in redis; other work continues; to retry it: tuma resume")
	}
	return w.wakeAll(ctx, id, c.snapshot, c.spec, wakes)
}

// quarantineUnreadable quarantines the unreadable records of a batch. left reports whether the
// batch has left the open set, because no readable generation of it was open.
func (s *batchSender) quarantineUnreadable(ctx context.Context, work *ledger.Work) (left bool, err error) {
	left = len(work.Open) == 0
	for _, u := range work.Bad {
		if err := s.quarantine(ctx, s.id, s.batch, u, left); err != nil {
			return left, err
		}
	}
	return left, nil
}

// keepAnswer quarantines the answer to a call that cannot be settled, because its records have
// become unreadable. An operator may still need the answer.
func (s *batchSender) keepAnswer(c *ledger.Claim, g *ledger.Generation, v verdict, err error) {
	u := ledger.AsUnreadable(err)
	if u == nil {
		return
	}
	answer := struct {
		UUID    string            `json:"uuid"`
		Deed    string            `json:"deed"`
		Records []campaign.Record `json:"records"`
	}{c.IdempotencyKey.String(), v.action.String(), v.records}
	b, err := json.Marshal(answer)
	if err != nil {
		b = fmt.Appendf(nil, "%s %s", answer.UUID, answer.Deed)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	lost := &ledger.Unreadable{Campaign: s.id, Record: fmt.Sprintf("answer:%s.%d.%d", s.batch, g.Call, g.Number), Bytes: b,
		Err: fmt.Errorf("the answer to a call could not be settled: %w", u)}
	if err := s.quarantine(ctx, s.id, s.batch, lost, false); err != nil {
		s.log.Error().Err(err).Str("campaign", s.id).Str("uuid", answer.UUID).Msg("could not quarantine the answer to a call")
	}
}

// quarantinePayload stores a task payload that cannot be decoded. It stores the payload under the
// campaign named in the task ID if that campaign exists, otherwise globally. The sweeper queues the
// work of that task again.
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
			Str("kept_in", ledger.QuarantineKey("")).Msg("task payload cannot be read: quarantined with its bytes in redis")
	}
	return err
}
