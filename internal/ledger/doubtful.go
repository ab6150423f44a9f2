package ledger

import (
	"context"
	"fmt"

	"github.com/tuma-sms/tuma/internal/script"
)

// maxDoubtfulBatches is how many open batches of a campaign DoubtfulCalls reads.
const maxDoubtfulBatches = 256

// DoubtfulCalls returns, for each account, how many calls of a campaign are doubtful: the account's gateway
// may have taken the call, and its outcome is not known. DoubtfulCalls reads at most 256 open batches. It
// ignores a batch that cannot be read.
func DoubtfulCalls(ctx context.Context, l *Ledger, id string) (map[string]int, error) {
	names, err := l.rdb.ZRange(ctx, openKey(id), 0, maxDoubtfulBatches-1).Result()
	if err != nil {
		return nil, fmt.Errorf("count doubtful calls of %s: %w", id, err)
	}
	fields, err := l.rdb.HMGet(ctx, ledgerKey(id), fieldSnapshot, fieldSendingHours).Result()
	if err != nil {
		return nil, fmt.Errorf("count doubtful calls of %s: %w", id, err)
	}
	snapshot, err := decodeSnapshot(script.Text(fields[0]), script.Text(fields[1]))
	if err != nil {
		return map[string]int{}, nil //nolint:nilerr // the sweeper quarantines the snapshot
	}
	out := map[string]int{}
	works, err := l.records.loadWorks(ctx, id, names)
	if err != nil {
		return nil, err
	}
	for _, w := range works {
		stream, err := snapshot.StreamOf(w.Batch.Name)
		if err != nil {
			continue
		}
		for _, g := range w.Open {
			if g.Doubtful {
				out[stream.Account.Name]++
			}
		}
	}
	return out, nil
}
