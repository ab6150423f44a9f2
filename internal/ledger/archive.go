package ledger

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// A single message that has ended, and whose text is deleted, takes several keys in Redis. A key costs more
// memory than its short contents. So the message is replaced by its archive, one short string with the same
// contents (archive_codec.go). The archive is stored under the key of the tombstone, where an enqueue
// with the ID of the message finds it.
//
// A message has either its archive or its full form, never both. Readers understand both forms
// (archive_read.go). A script that changes a campaign needs the full form. So the method "run" restores
// the full form first, and archives the message again afterwards.

// The type "archived" is a message in its full form. It has the fields of the ledger hash, the spec, the page of the
// overlay ("" if the message has no overlay) and the fields of the delays.
type archived struct {
	fields        map[string]string
	spec, overlay string
	delays        map[string]string
}

// archiveArgs and archivedField are the arguments of archive.lua and restore.lua.
type archiveArgs struct {
	Archive, Spec, Overlay string
	Fields, Delays         int
}

type archivedField struct{ Field, Value string }

// args returns the arguments that describe the full form of a message.
func (a *archived) args(archive string) []any {
	out := script.Args(archiveArgs{archive, a.spec, a.overlay, len(a.fields), len(a.delays)})
	for _, hash := range []map[string]string{a.fields, a.delays} {
		for _, name := range slices.Sorted(maps.Keys(hash)) {
			out = append(out, script.Args(archivedField{name, hash[name]})...)
		}
	}
	return out
}

// archiveKeys returns the keys of archive.lua and restore.lua.
func archiveKeys(id string) []string {
	return []string{ledgerKey(id), openKey(id), specKey(id), tombstoneKey(id), overlayKey(id, 0), delaysKey(id)}
}

// Archive replaces the full form of a single message by its archive, which has no text. It does so only if the
// message has ended with a known outcome, its text may be deleted, and its campaign has no quarantined records.
// done reports whether the message has an archive now. Archive changes nothing if the ID names a campaign that is not
// a single message.
func Archive(ctx context.Context, l *Ledger, id string) (done bool, err error) {
	full, err := l.records.full(ctx, id)
	if err != nil || full == nil {
		return false, err
	}
	after, ok := full.withoutText()
	if !ok {
		return false, nil
	}
	record, ok := encodeArchive(after)
	if !ok {
		return false, nil
	}
	out, err := l.scripts.Run(ctx, archiveScript, archiveKeys(id), append(full.args(string(record)), full.fields[fieldUpload])...)
	if _, err = checkAnswer(archiveScript, id, nil, out, err); err != nil {
		if errors.Is(err, ErrNotFound) { // another process has archived or removed the message
			return false, nil
		}
		return false, err
	}
	return out[0] == "archived", nil
}

// The method "full" reads the full form of a message. It returns nil if the message has no full form.
func (l recordReader) full(ctx context.Context, id string) (*archived, error) {
	var fields, delays *redis.MapStringStringCmd
	var spec, overlay *redis.StringCmd
	_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		fields, spec = p.HGetAll(ctx, ledgerKey(id)), p.Get(ctx, specKey(id))
		overlay, delays = p.GetRange(ctx, overlayKey(id, 0), 0, 2), p.HGetAll(ctx, delaysKey(id))
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("read message %s: %w", id, err)
	}
	if n := len(fields.Val()); n == 0 || n > mostArchivedFields || spec.Val() == "" {
		return nil, nil
	}
	return &archived{fields.Val(), spec.Val(), overlay.Val(), delays.Val()}, nil
}

// mostArchivedFields is the maximum number of fields of a message that is archived.
const mostArchivedFields = 100

// withoutText returns the message without its text, in the form that goes into the archive. ok is false if the message
// must not be archived.
func (a *archived) withoutText() (after *archived, ok bool) {
	f := a.fields
	for _, name := range []string{fieldRetry, fieldPending, fieldUnknown, fieldInFlight, fieldQuarantined, fieldQuarantinedWork, fieldExclusions} {
		if f[name] != "" {
			return nil, false
		}
	}
	if f[fieldFormat] != "1" || f[fieldTotal] != "1" || f[fieldFinished] == "" || f[fieldStop] == campaign.ReasonCancelled || len(a.overlay) > 2 {
		return nil, false // a cancelled message keeps its full form, because its ID may become free
	}
	spec, err := decodeSpec([]byte(a.spec))
	if err != nil || !spec.Message || !spec.PurgeBody || spec.Personalized() {
		return nil, false
	}
	after = &archived{maps.Clone(f), a.spec, a.overlay, a.delays}
	if spec.Purged == 0 {
		spec.Purged, spec.Body = max(1, spec.Segments()), ""
		record, err := encodeSpec(spec)
		if err != nil {
			return nil, false
		}
		after.spec, after.fields[fieldBare] = string(record), "1"
	}
	if hash := f[fieldContent]; len(hash) > archivedHash {
		after.fields[fieldContent] = hash[:archivedHash]
	}
	return after, true
}
