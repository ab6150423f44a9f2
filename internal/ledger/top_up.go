package ledger

import "context"

// TopUp hands out batches of each stream until the open-batch limit of the stream is reached. A stream
// may be below its limit after a crash, or if the limit was raised. TopUp also ends a campaign that
// has expired. openBatchLimits has the open-batch limit of each stream.
func (l *Ledger) TopUp(ctx context.Context, id string, openBatchLimits map[int]int) (wakes []Wake, done bool, err error) {
	var args []any
	for a, n := range openBatchLimits {
		args = append(args, a, n)
	}
	out, err := l.run(ctx, topUpScript, id, nil, args...)
	if err != nil {
		return nil, false, err
	}
	return answerWakes(out)
}
