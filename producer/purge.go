package producer

import (
	"context"
	"fmt"
	"time"
)

// Purge deletes an ended campaign at once: its numbers, texts, results and quarantined records. Without Purge, they are
// deleted when the retention is over. After Purge, Status returns ErrNotFound. If the campaign has not ended or a retry
// is in progress, Purge returns ErrNotEnded and changes nothing. Then cancel the campaign, and wait until no call is in
// flight.
//
// The ID stays in use for a year, without any number or text. So an Enqueue with the same content still changes
// nothing, and an Enqueue with other content is an ErrConflict. Only a campaign that was cancelled before any message
// of it was submitted frees its ID (see Enqueue). Suppression lists, the inbox and the gateway's own records are not
// changed, and Usage still counts the campaign's messages. Purge is safe for concurrent use, and may be repeated after
// an error.
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
