package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/tuma-sms/tuma/internal/script"
)

// Retry makes recipients that ended as unknown or rejected pending again, and returns their number. The parameters
// "unknown" and "rejected" select the statuses. Recipients that have opted out in the meantime keep their status.
// The token names the retry. A second call of Retry with the same token continues the same retry. If the caller dies,
// the sweeper finishes the retry. Retry skips batches that cannot be read. It then returns an error that names these
// batches, and the number of recipients in the other batches.
func (l *Ledger) Retry(ctx context.Context, id, token string, unknown, rejected bool) (int, error) {
	// If the campaign does not exist, its id must not enter the index: the id would look like an upload in progress.
	if head, err := l.records.fields(ctx, id, fieldFormat); err != nil {
		return 0, fmt.Errorf("retry %s: %w", id, err)
	} else if head[0] == nil {
		return 0, fmt.Errorf("retry %s: %w", id, ErrNotFound)
	}
	if _, err := l.Index().addOpen(ctx, id); err != nil {
		return 0, err
	}
	out, err := l.run(ctx, retryOpenScript, id, nil, script.Args(retryOpenArgs{Token: token, Unknown: unknown, Rejected: rejected})...)
	if err != nil {
		return 0, err
	}
	switch out[0] {
	case "busy":
		err = ErrBusy
	case "planning":
		err = ErrPlanning
	case "stopped":
		err = ErrStopped
	case "nothing":
		err = ErrNothingToRetry
	case "bare":
		err = ErrPurged
	}
	if err != nil {
		return 0, fmt.Errorf("retry %s: %w", id, err)
	}
	if len(out) < 4 {
		return 0, script.ErrAnswer
	}
	count, err := strconv.Atoi(out[3])
	if err != nil {
		return 0, script.ErrAnswer
	}
	if out[0] == "open" {
		// With this entry the sweeper and opt-outs find the campaign until the retry is complete.
		// A later opt-out is passed to the campaign. An earlier opt-out is on a suppression list,
		// which is read below.
		if _, err := l.Index().addOpen(ctx, id); err != nil {
			return 0, err
		}
		count, err = l.retrySteps(ctx, id, out[1], out[2])
		if err != nil && AsUnreadable(err) == nil {
			return count, err
		}
	}
	// Enter the campaign in the index again, because the sweeper may have removed its entry
	// before the script ran.
	_, again := l.Index().addOpen(ctx, id)
	return count, errors.Join(err, again)
}

// retryOpenArgs are the arguments of retry_open.lua.
type retryOpenArgs struct {
	Token             string
	Unknown, Rejected bool
}
