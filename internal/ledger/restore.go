package ledger

import (
	"context"
	"fmt"
)

// restoreTries is how many times a read or a change of a message is tried. Between two tries, another
// process may archive or restore the message.
const restoreTries = 8

// restore replaces the archive of a message by its full form. The parameter "upload" is the token of the
// message's upload. If it is empty, the message may have any token. If the result "again" is true, the
// message may have its full form now, and a script that did not find the message must run again. If
// "again" is false, the message has neither form.
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
// is already made. The message then keeps its full form.
func archiveAgain(ctx context.Context, l *Ledger, id string) { _, _ = Archive(ctx, l, id) }
