package ledger

import (
	"context"
	"fmt"

	"github.com/tuma-sms/tuma/internal/script"
)

// storedForm is what Redis has of a campaign: its full form, an archive, or neither.
type storedForm struct {
	// full reports whether the campaign has its full form, and upload is the token of its upload.
	full   bool
	upload string
	// archive is the archive of a message, or nil, and record its stored form.
	archive *archived
	record  string
}

// form reads which form a campaign has, at one moment. A full Redis refuses a transaction, but not this script.
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
