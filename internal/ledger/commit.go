package ledger

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

// Commit turns the upload into a campaign. If a campaign with the same id exists, Commit compares the
// contents. If they are equal, Commit returns the receipt of the existing campaign. If they differ,
// it returns ErrConflict. There is one exception: if the existing campaign was cancelled before any of
// its messages was submitted, the new campaign replaces it. After an error that is not ErrConflict, the
// caller does not know whether the campaign was committed, and may safely enqueue it again.
func (u *Upload) Commit(ctx context.Context) (Receipt, error) {
	if u.total == 0 {
		return Receipt{}, fmt.Errorf("commit %s: no recipients", u.id)
	}
	// Before the commit, the campaign gets a new entry in the index, so that the sweeper can find it.
	// The first entry may be hours old, and the sweeper removes old entries.
	if err := u.waitForWrite(); err != nil {
		return Receipt{}, err
	}
	u.indexed = false
	u.stopKeepAlive()
	if err := u.flush(ctx, 1); err != nil {
		return Receipt{}, err
	}
	if err := u.waitForWrite(); err != nil { // the write in progress reads the spec, which noteRefs will change
		return Receipt{}, err
	}
	if err := u.noteRefs(); err != nil {
		return Receipt{}, err
	}
	if !u.indexed {
		if err := u.ledger.Index().add(ctx, u.id, u.spec.Message); err != nil {
			return Receipt{}, err
		}
	}
	out, err := u.ledger.run(ctx, commitScript, u.id, u.commitKeys(), u.commitArgs()...)
	if err != nil {
		return Receipt{}, err
	}
	return u.receipt(ctx, out)
}

// commitKeys returns the keys of commit.lua that follow the keys of every campaign script.
func (u *Upload) commitKeys() []string {
	return []string{stagingKey(u.id, u.token), specKey(u.id), tombstoneKey(u.id), uploadsKey(u.id), quarantineKey(u.id), quarantineWorkKey(u.id)}
}

// commitArgs returns the arguments of commit.lua for what was added so far.
func (u *Upload) commitArgs() []any {
	return script.Args(commitArgs{
		Token: u.token, Content: u.digest.Sum(), Spec: u.record, Total: u.total, Pages: u.pages, Fields: u.pages + u.refPages,
		StartAt: u.spec.StartAt, ExpiresAt: u.spec.ExpiresAt, FailureThreshold: u.ledger.thresholdRecord(u.spec),
	})
}

// receipt returns the receipt or the error for the answer of commit.lua.
func (u *Upload) receipt(ctx context.Context, out []string) (Receipt, error) {
	if len(out) == 2 && out[0] == "archived" {
		return u.archivedReceipt(out[1])
	}
	if len(out) < 3 {
		return Receipt{}, fmt.Errorf("commit %s: %w", u.id, script.ErrAnswer)
	}
	if strings.HasPrefix(out[0], "past") {
		// The upload entered the id in the indexes again, but the campaign no longer exists.
		if err := u.ledger.Index().drop(ctx, u.id); err != nil {
			return Receipt{}, err
		}
	}
	switch out[0] {
	case "conflict", "past_conflict":
		return Receipt{}, fmt.Errorf("commit %s: %w", u.id, ErrConflict)
	case "lost":
		return Receipt{}, fmt.Errorf("commit %s: Redis no longer has all uploaded recipients; start the upload again", u.id)
	}
	created := out[0] == "new" || out[0] == "replaced"
	if out[0] == "replaced" {
		if err := u.ledger.Index().moveUp(ctx, u.id, u.spec.Message, script.Milli(out[1])); err != nil {
			return Receipt{}, err
		}
	}
	total, err := strconv.Atoi(out[2])
	if err != nil {
		return Receipt{}, fmt.Errorf("commit %s: %w", u.id, script.ErrAnswer)
	}
	return Receipt{ID: u.id, Total: total, CreatedAt: script.Milli(out[1]), Again: !created}, nil
}

// archivedReceipt returns the receipt of the message that has the ID of the upload, from its archive.
func (u *Upload) archivedReceipt(record string) (Receipt, error) {
	if !isArchive(record) {
		return Receipt{}, fmt.Errorf("commit %s: %w", u.id, script.ErrAnswer)
	}
	a, err := decodeArchive(record)
	if err != nil {
		return Receipt{}, fmt.Errorf("commit %s: %w", u.id, unreadable(u.id, archiveRecord, record, err))
	}
	if !strings.HasPrefix(u.digest.Sum(), a.fields[fieldContent]) {
		return Receipt{}, fmt.Errorf("commit %s: %w", u.id, ErrConflict)
	}
	return Receipt{ID: u.id, Total: script.Int(a.fields[fieldTotal]), CreatedAt: script.Milli(a.fields[fieldCreated]), Again: a.fields[fieldUpload] != u.token}, nil
}

// commitArgs are the arguments of commit.lua.
type commitArgs struct {
	Token, Content     string
	Spec               []byte
	Total, Pages       int
	Fields             int
	StartAt, ExpiresAt time.Time
	FailureThreshold   string
}
