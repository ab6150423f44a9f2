package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// Errors of a retry.
var (
	// ErrNothingToRetry means that no recipient has a status that is to be retried.
	ErrNothingToRetry = errors.New("nothing to retry")
	// ErrBusy means that another retry of the campaign has not finished.
	ErrBusy = errors.New("another retry of this campaign is running")
	// ErrPlanning means that the campaign is still being planned.
	ErrPlanning = errors.New("the campaign is still being planned")
)

// Retry makes recipients that ended unknown or rejected pending again, and returns how many.
// Recipients that have opted out since stay as they are. The token names the retry: another call of
// Retry with the same token continues the same retry. If the caller dies, the sweeper finishes it.
// Retry skips batches that cannot be read. It then returns an error that names them, and the number
// of recipients in the other batches.
func (l *Ledger) Retry(ctx context.Context, id, token string, unknown, rejected bool) (int, error) {
	// An id in the index without a campaign would look like an upload in progress.
	if ok, err := l.rdb.HExists(ctx, ledgerKey(id), fieldFormat).Result(); err != nil {
		return 0, fmt.Errorf("retry %s: %w", id, err)
	} else if !ok {
		return 0, fmt.Errorf("retry %s: %w", id, ErrNotFound)
	}
	if err := l.index(ctx, id); err != nil {
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
		// From now on the sweeper and opt-outs can find the campaign, until the retry is complete.
		// An opt-out from here on is passed to the campaign; an earlier one is on a list that is
		// read below.
		if err := l.index(ctx, id); err != nil {
			return 0, err
		}
		count, err = l.retrySteps(ctx, id, out[1], out[2])
		if err != nil && AsUnreadable(err) == nil {
			return count, err
		}
	}
	// Index the campaign again, because the sweeper may have removed its entry before the script
	// ran.
	return count, errors.Join(err, l.index(ctx, id))
}

// RetryResult is the result of a retry.
type RetryResult struct {
	// Count is how many recipients are sent again. OptedOut is how many others matched, but have
	// opted out and stay as they are.
	Count, OptedOut int
}

// LastRetry returns the result of the last finished retry of a campaign.
func (l *Ledger) LastRetry(ctx context.Context, id string) (RetryResult, error) {
	got, err := l.rdb.HMGet(ctx, ledgerKey(id), fieldLastRetry).Result()
	if err != nil {
		return RetryResult{}, fmt.Errorf("read last retry of %s: %w", id, err)
	}
	w := append(strings.Fields(script.Text(got[0])), "", "", "", "")
	return RetryResult{Count: script.Int(w[2]), OptedOut: script.Int(w[3])}, nil
}

func (l *Ledger) retrySteps(ctx context.Context, id, op, batch string) (int, error) {
	lists, err := l.SuppressionListsOf(ctx, id)
	if err == nil {
		lists, err = l.optouts.NotEmpty(ctx, lists)
	}
	if err != nil {
		return 0, err
	}
	var bad error // errors of the first ten unreadable batches
	for passed := 0; ; {
		out, err := l.retryStep(ctx, id, op, batch, lists)
		if AsUnreadable(err) != nil {
			if passed++; passed <= 10 {
				bad = errors.Join(bad, err)
			}
			out, err = l.run(ctx, retryStepScript, id, nil, script.Args(retryStepArgs{Operation: op, Batch: batch})...)
		}
		if err != nil {
			return 0, err
		}
		if out[0] == "past" || len(out) < 3 {
			return 0, fmt.Errorf("retry %s: %w", id, ErrBusy) // the sweeper finished this retry, and another has started
		}
		count, err := strconv.Atoi(out[2])
		if err != nil {
			return 0, script.ErrAnswer
		}
		if out[0] == "ended" {
			return count, bad
		}
		batch = out[1]
	}
}

// retryStep reopens the recipients of one batch that a retry selects, except those on the lists.
func (l *Ledger) retryStep(ctx context.Context, id, op, batch string, lists []string) ([]string, error) {
	b, err := l.rdb.HGet(ctx, ledgerKey(id), batchField(batch)).Bytes()
	if err != nil {
		return nil, fmt.Errorf("retry %s batch %s: %w", id, batch, err)
	}
	calls, to, err := decodeBatch(b)
	if err != nil {
		return nil, unreadable(id, batchField(batch), string(b), err)
	}
	numbers := make([]sms.MSISDN, len(to))
	for i, p := range to {
		numbers[i] = p.MSISDN
	}
	on, err := l.optouts.Find(ctx, lists, numbers)
	if err != nil {
		return nil, err
	}
	var opted []byte
	for i, m := range numbers {
		if on[m] != "" {
			opted = binary.BigEndian.AppendUint16(opted, uint16(i))
		}
	}
	args := script.Args(retryStepArgs{Operation: op, Batch: batch, OptedOut: opted})
	for _, n := range calls {
		args = append(args, n)
	}
	return l.run(ctx, retryStepScript, id, nil, args...)
}

// FinishRetry continues a retry whose caller may have died. record is Summary.RetryRecord.
func (l *Ledger) FinishRetry(ctx context.Context, id, record string) error {
	var token, op, batch string
	var unknown, rejected, count int
	if _, err := fmt.Sscan(record, &token, &op, &unknown, &rejected, &batch, &count); err != nil {
		return unreadable(id, fieldRetry, record, campaign.ErrRecord)
	}
	_, err := l.retrySteps(ctx, id, op, batch)
	if errors.Is(err, ErrBusy) {
		return nil
	}
	return err
}

// retryOpenArgs are the arguments of retry_open.lua.
type retryOpenArgs struct {
	Token             string
	Unknown, Rejected bool
}

// retryStepArgs are the first arguments of retry_step.lua.
type retryStepArgs struct {
	Operation, Batch string
	OptedOut         []byte
}
