package producer

import (
	"context"
	"fmt"
	"time"
)

// Purge deletes an ended campaign at once, as retention does later: its numbers, texts, results and
// quarantined records. Afterwards Status returns ErrNotFound. A campaign that has not ended, or whose
// retry is in progress, is an ErrNotEnded and stays unchanged: cancel it first, and wait until no call is
// in flight.
//
// The ID stays in use for a year, without any number or text: an Enqueue with the same content still
// changes nothing, and other content is an ErrConflict. Only a campaign that was cancelled before any
// message of it was submitted frees its ID (see Enqueue). Suppression lists, the inbox and the gateway's
// own records are not changed, and what the campaign has sent stays in Usage. Purge is safe for concurrent use, and may be repeated after an error.
func (c *Client) Purge(ctx context.Context, id string) error {
	sum, err := c.ledger.Summary(ctx, id)
	if err != nil {
		return err
	}
	if sum.FinishedAt.IsZero() {
		return fmt.Errorf("purge %s: %w", id, ErrNotEnded)
	}
	now, err := c.ledger.Now(ctx)
	if err != nil {
		return err
	}
	purged, err := c.usage.Purge(ctx, id, now.Add(time.Millisecond))
	if err == nil && !purged {
		err = fmt.Errorf("purge %s: %w", id, ErrNotEnded)
	}
	return err
}
