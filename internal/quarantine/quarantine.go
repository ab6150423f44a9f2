// Package quarantine moves unreadable records to a quarantine, so that work which needs such a
// record does not delay other work. The bytes of these records stay in Redis, for an operator.
package quarantine

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/pacing"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/wake"
)

// payloadTimeout is the maximum time for writing a task payload to the quarantine.
const payloadTimeout = 10 * time.Second

// Quarantine quarantines unreadable records and payloads. Its methods are safe for concurrent use.
type Quarantine struct {
	Ledger    *ledger.Ledger
	Campaigns *wake.Campaigns
	Waker     *wake.Waker
	Shares    *pacing.Shares
	Log       zerolog.Logger
}

// Unreadable handles an error. If err means that a record cannot be read, Unreadable
// quarantines the work that needs the record, so that other work can proceed. Workers do not
// try the quarantined work again until the campaign is resumed. Any other error is returned
// unchanged.
func (q *Quarantine) Unreadable(ctx context.Context, id, work string, err error) error {
	u := ledger.AsUnreadable(err)
	if u == nil {
		return err
	}
	return q.Record(ctx, id, work, u, true)
}

// Record adds an unreadable record to the campaign's quarantined records. It logs the record
// once, without its bytes, because the bytes may hold numbers or a message body. If the parameter
// "leave" is true, the work that needs the record is removed from the open set.
func (q *Quarantine) Record(ctx context.Context, id, work string, u *ledger.Unreadable, leave bool) error {
	c, openBatchLimit := &wake.Campaign{}, 0
	if _, err := campaign.BatchStream(work); err == nil && leave {
		if c, err = q.Campaigns.Get(ctx, id); err != nil {
			return err // the campaign's spec or planning snapshot is also unreadable, and the sweeper quarantines that record
		}
		if stream, err := c.Snapshot.StreamOf(work); err == nil {
			openBatchLimit = q.Shares.OpenBatchLimit(ctx, stream.Account.Name)
		}
	}
	wakes, first, err := q.Ledger.Quarantine(ctx, u, work, leave, openBatchLimit)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return errors.Join(u, err)
	}
	if first {
		q.Log.Error().Str("campaign", id).Str("record", u.Record).Str("work", work).Err(u.Err).Int("size", len(u.Bytes)).
			Str("kept_in", ledger.QuarantineKey(id)).Msg("record cannot be read: quarantined with its bytes in redis; other work continues; to retry it: tuma resume")
	}
	return q.Waker.All(ctx, id, c, wakes)
}

// Payload stores the payload of a task that cannot be decoded, for the given reason. If the task
// ID names an existing campaign, the payload is stored with this campaign. Otherwise it is stored
// globally. The sweeper queues the work of the task again.
func (q *Quarantine) Payload(ctx context.Context, taskType, taskID string, payload []byte, why error) error {
	ctx, cancel := context.WithTimeout(ctx, payloadTimeout)
	defer cancel()
	id := queue.CampaignOf(taskID)
	u := &ledger.Unreadable{Campaign: id, Record: "task:" + strings.TrimPrefix(taskID, id+":"), Bytes: payload, Err: why}
	if ledger.ValidID(id) {
		known, err := q.Ledger.Index().Exists(ctx, id)
		if err != nil {
			return err
		}
		if known {
			return q.Record(ctx, id, "", u, false)
		}
	}
	first, err := ledger.NewPayloads(q.Ledger.Runner()).Keep(ctx, taskID, payload, why)
	if err == nil && first {
		q.Log.Error().Str("task", taskType).Str("task_id", taskID).Err(why).Int("size", len(payload)).
			Str("kept_in", ledger.QuarantineKey("")).Msg("task payload cannot be read: quarantined with its bytes in redis")
	}
	return err
}
