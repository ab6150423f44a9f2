package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tuma-sms/tuma/internal/script"
)

// Errors of a retry.
var (
	// ErrNothingToRetry means that no recipient has a status that the retry selects.
	ErrNothingToRetry = errors.New("nothing to retry")
	// ErrBusy means that another retry of the campaign has not finished.
	ErrBusy = errors.New("another retry of this campaign is running")
	// ErrPlanning means that the campaign is still being planned.
	ErrPlanning = errors.New("the campaign is still being planned")
)

// RetryResult is the result of a retry.
type RetryResult struct {
	// Count is how many recipients get the message again. OptedOut is the number of further recipients
	// that the retry selected, but that have opted out. These keep their status.
	Count, OptedOut int
}

// LastRetry returns the result of the last finished retry of a campaign.
func (l *Ledger) LastRetry(ctx context.Context, id string) (RetryResult, error) {
	got, err := l.records.fields(ctx, id, fieldLastRetry)
	if err != nil {
		return RetryResult{}, fmt.Errorf("read last retry of %s: %w", id, err)
	}
	w := append(strings.Fields(script.Text(got[0])), "", "", "", "")
	return RetryResult{Count: script.Int(w[2]), OptedOut: script.Int(w[3])}, nil
}
