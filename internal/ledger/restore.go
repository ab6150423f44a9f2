package ledger

import (
	"context"
	"fmt"
)

// restoreTries is how often a change of a message restores it. Each time, another process may archive it
// again before the change.
const restoreTries = 8

// restore replaces the archive of a message by its full form. upload is the token of its upload, or empty
// for any. again reports whether the message may have its full form now, so that a script that did not
// find it must run again. It is false if there is neither form of such a message.
func restore(ctx context.Context, l *Ledger, id, upload string) (again bool, err error) {
	f, err := l.records.form(ctx, id)
	if err != nil || !f.full && f.archive == nil || upload != "" && f.upload != upload {
		return false, err
	}
	if f.full {
		return true, nil
	}
	if _, err := l.scripts.Run(ctx, restoreScript, archiveKeys(id), append(f.archive.args(f.record), "")...); err != nil {
		return false, fmt.Errorf("restore %s: %w", id, err)
	}
	return true, nil
}

// archiveAgain archives a message that was restored for a change. An error does not matter, because the change
// is made: the message then keeps its full form.
func archiveAgain(ctx context.Context, l *Ledger, id string) { _, _ = Archive(ctx, l, id) }
