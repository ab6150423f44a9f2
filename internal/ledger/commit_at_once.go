package ledger

import (
	"context"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// CommitAtOnce does in one round trip what Commit does in several, for an upload of one page. The
// function "further" adds the caller's commands to the same pipeline. These commands run even if
// the commit is refused.
//
// The result "done" is false if the commit was not possible in one round trip, or if a command
// failed. The caller then calls Commit, which finds the finished steps. If done is true, the
// other results are those of Commit, and every command of "further" has run without an error.
func (u *Upload) CommitAtOnce(ctx context.Context, further func(redis.Pipeliner)) (receipt Receipt, done bool, err error) {
	if u.total == 0 || u.pages > 0 || !u.ledger.scripts.Pipelines() {
		return Receipt{}, false, nil
	}
	refs := u.refs.b
	staging, fields := stagingKey(u.id, u.token), u.pageFields(0, uploadPage{rows: u.page, refs: refs})
	u.pages = 1
	if refs != nil {
		u.refPages = 1
	}
	if err := u.noteRefs(); err != nil {
		return Receipt{}, false, err
	}
	args := u.commitArgs()
	u.pages, u.refPages = 0, 0 // so that Commit writes the page again
	pipe := u.ledger.rdb.Pipeline()
	// The index entry is written before the campaign, as in Commit. If the campaign is then not committed, the
	// entry does no harm: it only costs the sweeper a lookup.
	indexed := indexScript.Queue(ctx, pipe, []string{openIndex, listOf(u.spec.Message)}, script.Args(indexArgs{ID: u.id})...)
	pipe.HSet(ctx, staging, fields...)
	pipe.Expire(ctx, staging, stagingLife)
	committed := commitScript.Queue(ctx, pipe, append([]string{ledgerKey(u.id), openKey(u.id)}, u.commitKeys()...), append(args, "")...)
	further(pipe)
	if _, err := pipe.Exec(ctx); err != nil || indexed.Err() != nil {
		return Receipt{}, false, nil //nolint:nilerr // Commit meets the error again, or finds the campaign
	}
	out, err := script.Answer(committed)
	if out, err = checkAnswer(commitScript, u.id, args, out, err); err != nil {
		return Receipt{}, true, err
	}
	receipt, err = u.receipt(ctx, out)
	return receipt, true, err
}
