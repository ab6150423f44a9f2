package producer

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"
)

// ListOptions select the campaigns that ListCampaigns yields. The zero value selects all campaigns.
type ListOptions struct {
	// States are the states of the campaigns. Empty means all states.
	States []State
	// If Since is set, ListCampaigns leaves out campaigns that were created before it.
	Since time.Time
	// Limit is the maximum number of campaigns. 0 means no limit.
	Limit int
	// SkipSingle leaves out campaigns of one recipient, such as tests and single messages. If Skipped
	// is not nil, ListCampaigns calls Skipped with the ID of each campaign that it leaves out for this
	// reason.
	SkipSingle bool
	// After is the ID of the last campaign of an earlier call: the list continues after that
	// campaign. If that campaign no longer exists, ListCampaigns yields ErrNotFound.
	After string
	// Messages adds single messages (Client.Send) to the list. Without it, the list has no single
	// messages.
	Messages bool
	Skipped  func(id string)
}

// List yields the status of every campaign, like ListCampaigns with the zero ListOptions.
func (c *Client) List(ctx context.Context) iter.Seq2[Status, error] {
	return c.ListCampaigns(ctx, ListOptions{})
}

// listStep is how many campaigns ListCampaigns reads from Redis at once.
const listStep = 100

// uploadLife is longer than the longest upload. The index has the time at which the upload of a
// campaign began. But o.Since is compared with the creation time, at which the upload ended. So a
// campaign may have been created up to uploadLife after its time in the index.
const uploadLife = 25 * time.Hour

// ListCampaigns yields the status of the campaigns that o selects, the newest first. In these statuses,
// BlockedBy, ETA and Rate are not set. From is empty if the campaign names no sender ID. Campaigns that
// are removed during the call may be missing. An unknown state or a negative limit is an ErrInvalid.
func (c *Client) ListCampaigns(ctx context.Context, o ListOptions) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		if err := o.check(); err != nil {
			yield(Status{}, err)
			return
		}
		for id, err := range c.listed(ctx, o) {
			if err != nil {
				yield(Status{}, err)
				return
			}
			sum, err := c.ledger.Summary(ctx, id)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			s := statusOf(sum)
			if err == nil && (len(o.States) > 0 && !slices.Contains(o.States, s.State) || s.CreatedAt.Before(o.Since)) {
				continue
			}
			if !yield(s, err) {
				return
			}
			if o.Limit--; o.Limit == 0 {
				return
			}
		}
	}
}

// The method "listed" yields the IDs of campaigns, newest first. It leaves out campaigns of one recipient if
// o.SkipSingle is set, and stops at campaigns that are surely older than o.Since.
func (c *Client) listed(ctx context.Context, o ListOptions) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		var ids []string
		flush := func() bool {
			totals := make([]int, len(ids))
			if o.SkipSingle {
				var err error
				if totals, err = c.ledger.Index().Totals(ctx, ids); err != nil {
					yield("", err)
					return false
				}
			}
			for i, id := range ids {
				if totals[i] == 1 {
					if o.Skipped != nil {
						o.Skipped(id)
					}
					continue
				}
				if !yield(id, nil) {
					return false
				}
			}
			ids = ids[:0]
			return true
		}
		from, err := c.ledger.Index().PositionOf(ctx, o.After)
		if err != nil {
			yield("", err)
			return
		}
		entries := c.ledger.Index().Newest(ctx, from)
		if o.Messages {
			entries = c.ledger.Index().NewestOfBoth(ctx, from)
		}
		for e, err := range entries {
			if err != nil {
				yield("", err)
				return
			}
			if e.Since.Before(o.Since.Add(-uploadLife)) {
				break
			}
			if ids = append(ids, e.ID); len(ids) == listStep && !flush() {
				return
			}
		}
		flush()
	}
}

func (o ListOptions) check() error {
	for _, s := range o.States {
		if !slices.Contains(states, s) {
			return &FieldError{Field: "state", Problem: "must be uploading, scheduled, planning, sending, paused, cancelled or done"}
		}
	}
	if o.Limit < 0 {
		return &FieldError{Field: "limit", Problem: "must not be negative"}
	}
	return nil
}

var states = []State{Uploading, Scheduled, Planning, Sending, Paused, Cancelled, Done}
