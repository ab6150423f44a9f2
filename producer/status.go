package producer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// badID is the FieldError.Problem of an ID that no campaign can have.
const badID = "must be 1 to 128 of A-Z a-z 0-9 . _ : -"

// Status reads the state of a campaign. It returns ErrNotFound if no campaign has the given ID.
func (c *Client) Status(ctx context.Context, id string) (Status, error) {
	if !ledger.ValidID(id) {
		return Status{}, &FieldError{Field: "id", Problem: badID}
	}
	sum, err := c.ledger.Summary(ctx, id)
	if err != nil {
		return Status{}, err
	}
	s := statusOf(sum)
	if err := c.unreadable(ctx, sum, &s); err != nil {
		return s, err
	}
	if s.State == Done || s.State == Cancelled || s.State == Uploading {
		return s, nil
	}
	return s, c.explainBlocks(ctx, sum, &s)
}

// namedUnreadable is the maximum number of quarantined records that a status describes.
const namedUnreadable = 5

// unreadable sets the field Unreadable of s. If work waits for quarantined records, it also adds a
// Block.
func (c *Client) unreadable(ctx context.Context, sum ledger.Summary, s *Status) error {
	if s.Quarantined == 0 {
		return nil
	}
	if u := sum.Unreadable; u != nil {
		s.Unreadable = append(s.Unreadable, u.Record+": "+u.Err.Error())
	}
	records, err := c.ledger.QuarantinedRecords(ctx, sum.ID)
	if err != nil {
		return err
	}
	for _, r := range records {
		if len(s.Unreadable) < namedUnreadable && (sum.Unreadable == nil || r.Record != sum.Unreadable.Record) {
			s.Unreadable = append(s.Unreadable, r.Record+": "+r.Why)
		}
	}
	if !s.Ended() && (sum.QuarantinedWork > 0 || sum.Unreadable != nil) {
		s.BlockedBy = append(s.BlockedBy, Block{Reason: "set_aside"})
	}
	return nil
}

// List yields the status of every campaign, the newest first, without BlockedBy, ETA and Rate.
// Campaigns that are removed during the call may be missing.
func (c *Client) List(ctx context.Context) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		for id, err := range c.ledger.Index().Campaigns(ctx) {
			if err != nil {
				yield(Status{}, err)
				return
			}
			sum, err := c.ledger.Summary(ctx, id)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if !yield(statusOf(sum), err) {
				return
			}
		}
	}
}

// Wait blocks until the campaign has ended (Status.Ended) and returns its last status. Wait returns
// an error if ctx ends first or Redis cannot be read. A paused campaign has not ended.
func (c *Client) Wait(ctx context.Context, id string) (Status, error) {
	for s, err := range c.Watch(ctx, id) {
		if err != nil || s.Ended() {
			return s, err
		}
	}
	return Status{}, fmt.Errorf("wait for %s: %w", id, context.Cause(ctx))
}

// Watch yields the status at once and then after every poll interval (WithPollInterval). It stops
// when the caller stops, when ctx ends, or after it has yielded an error.
func (c *Client) Watch(ctx context.Context, id string) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		tick := time.NewTicker(c.poll)
		defer tick.Stop()
		for {
			s, err := c.Status(ctx, id)
			if !yield(s, err) || err != nil {
				return
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
			if ctx.Err() != nil { // if ctx has ended at the same time, select may still choose the tick
				return
			}
		}
	}
}
