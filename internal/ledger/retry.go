package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/sms"
)

// Errors of a retry.
var (
	// ErrNothing: no recipient has the status that is to be retried.
	ErrNothingToRetry = errors.New("nothing to retry")
	// ErrBusy: another retry of the campaign is not through yet.
	ErrBusy = errors.New("another retry of this campaign is under way")
	// ErrPlanning: the campaign is still being planned.
	ErrPlanning = errors.New("the campaign is still being planned")
)

// Retry sends again, on purpose, what ended unknown or rejected, and returns how
// many recipients that are; who has opted out since is left as it is. The token names the operation: the same one again
// goes on with it. The sweeper finishes one whose caller died. Batches that cannot be
// read are passed over, and named in an error beside the count of the others.
func (l *Ledger) Retry(ctx context.Context, id, token string, unknown, rejected bool) (int, error) {
	// An id in the index without a campaign would read as an upload under way.
	if ok, err := l.rdb.HExists(ctx, ledgerKey(id), "v").Result(); err != nil {
		return 0, fmt.Errorf("retry %s: %w", id, err)
	} else if !ok {
		return 0, fmt.Errorf("retry %s: %w", id, ErrNotFound)
	}
	if err := l.index(ctx, id); err != nil {
		return 0, err
	}
	out, err := l.run(ctx, retryOpenScript, id, nil, token, boolArg(unknown), boolArg(rejected))
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
		return 0, errAnswer
	}
	count, err := strconv.Atoi(out[3])
	if err != nil {
		return 0, errAnswer
	}
	if out[0] == "open" {
		// Findable from now on until it is through: who opts out meanwhile is told to it, and
		// who did before is on a list that is read below.
		if err := l.index(ctx, id); err != nil {
			return 0, err
		}
		count, err = l.retrySteps(ctx, id, out[1], out[2])
		if err != nil && AsUnreadable(err) == nil {
			return count, err
		}
	}
	// The sweeper may have closed the entry between the first index and the script.
	return count, errors.Join(err, l.index(ctx, id))
}

// Retried is what a retry came to.
type RetryResult struct {
	// Count is how many recipients are sent to again, OptedOut how many were to be, and are
	// left as they are.
	Count, OptedOut int
}

// LastRetry is what the last retry of a campaign that is through came to.
func (l *Ledger) LastRetry(ctx context.Context, id string) (RetryResult, error) {
	got, err := l.rdb.HMGet(ctx, ledgerKey(id), "rlast").Result()
	if err != nil {
		return RetryResult{}, fmt.Errorf("last retry of %s: %w", id, err)
	}
	w := append(strings.Fields(fieldString(got[0])), "", "", "", "")
	return RetryResult{Count: fieldInt(w[2]), OptedOut: fieldInt(w[3])}, nil
}

func (l *Ledger) retrySteps(ctx context.Context, id, op, batch string) (int, error) {
	lists, err := l.SuppressionListsOf(ctx, id)
	if err == nil {
		lists, err = l.HaveOptOuts(ctx, lists)
	}
	if err != nil {
		return 0, err
	}
	var bad error // the first few of what cannot be read
	for passed := 0; ; {
		out, err := l.retryStep(ctx, id, op, batch, lists)
		if AsUnreadable(err) != nil {
			if passed++; passed <= 10 {
				bad = errors.Join(bad, err)
			}
			out, err = l.run(ctx, retryStepScript, id, nil, op, batch)
		}
		if err != nil {
			return 0, err
		}
		if out[0] == "past" || len(out) < 3 {
			return 0, fmt.Errorf("retry %s: %w", id, ErrBusy) // the sweeper finished it, and there is another
		}
		count, err := strconv.Atoi(out[2])
		if err != nil {
			return 0, errAnswer
		}
		if out[0] == "ended" {
			return count, bad
		}
		batch = out[1]
	}
}

// retryStep opens again what a retry asks for of one batch, but for who is on the lists.
func (l *Ledger) retryStep(ctx context.Context, id, op, batch string, lists []string) ([]string, error) {
	b, err := l.rdb.HGet(ctx, ledgerKey(id), "b"+batch).Bytes()
	if err != nil {
		return nil, fmt.Errorf("retry %s batch %s: %w", id, batch, err)
	}
	calls, to, err := decodeBatch(b)
	if err != nil {
		return nil, unreadable(id, "b"+batch, string(b), err)
	}
	numbers := make([]sms.MSISDN, len(to))
	for i, p := range to {
		numbers[i] = p.MSISDN
	}
	on, err := l.OptedOut(ctx, lists, numbers)
	if err != nil {
		return nil, err
	}
	var opted []byte
	for i, m := range numbers {
		if on[m] != "" {
			opted = binary.BigEndian.AppendUint16(opted, uint16(i))
		}
	}
	args := []any{op, batch, opted}
	for _, n := range calls {
		args = append(args, n)
	}
	return l.run(ctx, retryStepScript, id, nil, args...)
}

// FinishRetry goes on with a retry whose caller may have died.
func (l *Ledger) FinishRetry(ctx context.Context, id, record string) error {
	var token, op, batch string
	var unknown, rejected, count int
	if _, err := fmt.Sscan(record, &token, &op, &unknown, &rejected, &batch, &count); err != nil {
		return unreadable(id, "rt", record, errRecord)
	}
	_, err := l.retrySteps(ctx, id, op, batch)
	if errors.Is(err, ErrBusy) {
		return nil
	}
	return err
}

func boolArg(b bool) int {
	if b {
		return 1
	}
	return 0
}
