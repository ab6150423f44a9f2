package ledger

import (
	"context"
	"fmt"

	"github.com/tuma-sms/tuma/internal/script"
)

// storedForm is the form in which Redis has a campaign: the full form, an archive, or neither.
type storedForm struct {
	// full is true if the campaign has its full form. Only then, the field "upload" has the token of the
	// campaign's upload.
	full   bool
	upload string
	// archive is the archive of a message, or nil. record is the stored form of the archive.
	archive *archived
	record  string
}

// form reads which form a campaign has. It uses a script to read all keys at one moment, because a full Redis
// refuses a transaction, but not this script.
func (l recordReader) form(ctx context.Context, id string) (f storedForm, err error) {
	out, err := l.scripts.Run(ctx, formScript, []string{ledgerKey(id), tombstoneKey(id)})
	if err == nil && len(out) != 2 {
		err = script.ErrAnswer
	}
	if err != nil {
		return f, fmt.Errorf("read %s: %w", id, err)
	}
	switch {
	case out[0] == "full":
		return storedForm{full: true, upload: out[1]}, nil
	case !isArchive(out[1]):
		return f, nil
	}
	if f.archive, err = decodeArchive(out[1]); err != nil {
		return f, fmt.Errorf("read message %s: %w", id, unreadable(id, archiveRecord, out[1], err))
	}
	f.record, f.upload = out[1], f.archive.fields[fieldUpload]
	return f, nil
}
