package ledger

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

func (l *Ledger) retrySteps(ctx context.Context, id, op, batch string) (int, error) {
	lists, err := l.suppressionListsOf(ctx, id)
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

// retryStep makes recipients of one batch pending again: those whose status the retry selects. The
// parameter "op" is the number of the retry. Recipients on the given suppression lists keep their
// status.
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

// retryStepArgs are the first arguments of retry_step.lua.
type retryStepArgs struct {
	Operation, Batch string
	OptedOut         []byte
}
