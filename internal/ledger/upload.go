package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

const (
	// stagingLife is how long an upload without activity is kept.
	stagingLife = 24 * time.Hour
	// uploadingLife is how long the status of a campaign may be "uploading" after its producer has
	// died. While the producer lives, it restarts this time at intervals of keepAliveEvery.
	uploadingLife  = 2 * time.Minute
	keepAliveEvery = uploadingLife / 4
	// pagesAhead is how many pages go to Redis in one round trip.
	pagesAhead = 2
)

// Digest computes the content hash that decides whether two enqueues are the same campaign. It
// covers the spec and every recipient, in order. A Digest is not safe for concurrent use.
type Digest struct {
	h hash.Hash
	// buf holds the bytes that were added and not hashed yet.
	buf []byte
}

// refMark precedes a reference in the bytes that are hashed.
const refMark = 1 << 62

// digestStep is the number of bytes that Digest collects before it hashes them.
const digestStep = 4 << 10

// NewDigest starts a content hash with the spec.
func NewDigest(s campaign.Spec) (*Digest, error) {
	b, err := encodeSpec(s.Content())
	if err != nil {
		return nil, err
	}
	d := &Digest{h: sha256.New()}
	d.Add(string(b))
	return d, nil
}

// Add adds the next recipient as uploaded, with its values of the merge fields.
func (d *Digest) Add(input string, values ...string) {
	d.buf = binary.AppendUvarint(d.buf, uint64(len(input)))
	d.buf = append(d.buf, input...)
	for _, v := range values {
		d.buf = binary.AppendUvarint(d.buf, uint64(len(v)))
		d.buf = append(d.buf, v...)
	}
	if len(d.buf) >= digestStep {
		d.flush()
	}
}

// AddRef adds the caller's own reference for the recipient that was added last. An empty
// reference changes nothing, so that a campaign without references keeps the hash of earlier
// releases.
func (d *Digest) AddRef(ref string) {
	if ref == "" {
		return
	}
	// An uploaded number never has the length refMark, so a reference cannot be confused with a number.
	d.buf = binary.AppendUvarint(d.buf, refMark)
	d.buf = binary.AppendUvarint(d.buf, uint64(len(ref)))
	d.buf = append(d.buf, ref...)
}

func (d *Digest) flush() {
	d.h.Write(d.buf)
	d.buf = d.buf[:0]
}

// Sum returns the hash of everything added so far, 43 characters.
func (d *Digest) Sum() string {
	d.flush()
	return base64.RawURLEncoding.EncodeToString(d.h.Sum(nil))
}

// Pager divides recipients into pages. The zero value starts with the first page.
type Pager struct {
	rows, size int
	row        []byte
}

// Add adds the next recipient, the caller's own reference for it, and its values of the merge fields.
// The result "row" is the stored form of the recipient; it is valid until the next call. The result
// "kept" has the values that planning will find in the page; it is nil if the values are too long.
// The result "next" is true if the recipient is the first recipient of the second or a later page.
func (p *Pager) Add(input, ref string, values []string) (row []byte, kept []string, next bool) {
	p.row = binary.AppendUvarint(p.row[:0], uint64(len(input)))
	p.row = append(p.row, input...)
	if len(values) > 0 {
		kept = keptValues(values)
		p.row = campaign.AppendValues(p.row, kept)
	}
	size := len(p.row) + len(ref)
	if next = p.rows == campaign.MaxPageRows || p.rows > 0 && p.size+size > maxPageRaw; next {
		p.rows, p.size = 0, 0
	}
	p.rows++
	p.size += size
	return p.row, kept, next
}

// Upload writes the recipients of one campaign into a separate staging area, in constant memory,
// and commits them in one step. Before the commit no recipient is visible to others. The caller
// ends an upload with Commit or Discard. If the caller dies, Redis deletes the upload after a day.
// An Upload is not safe for concurrent use.
type Upload struct {
	ledger *Ledger
	id     string
	token  string
	spec   campaign.Spec
	record []byte
	digest *Digest
	page   []byte
	refs   refsWriter // references of the recipients in the current page
	pager  Pager
	rows   int
	total  int
	pages  int
	// refPages is the number of pages that have references.
	refPages int
	// The slice "full" has the pages that wait to be written, and "writing" has the pages that are
	// being written now. The channel "written" receives the result of that write.
	full, writing []uploadPage
	written       chan error
	// indexed is true if the campaign was entered in the index of open campaigns.
	indexed bool
	// keepAlive stops the goroutine that startKeepAlive has started. It is nil if this goroutine does
	// not run.
	keepAlive func()
}

// uploadPage is a full page. rows has its recipients as uploaded. refs has their references, or is nil if they
// have none.
type uploadPage struct{ rows, refs []byte }

// Receipt is the result of an enqueue.
type Receipt struct {
	ID        string    `json:"id"`
	Total     int       `json:"total"`
	CreatedAt time.Time `json:"created_at"`
	// Again is true if the campaign existed already, with the same content.
	Again bool `json:"again"`
}

// BeginUpload starts an upload. It does not write to Redis yet.
func (l *Ledger) BeginUpload(id string, spec campaign.Spec) (*Upload, error) {
	if !ValidID(id) {
		return nil, errors.New("upload: invalid campaign id: must be 1 to 128 characters from A-Z a-z 0-9 . _ : -")
	}
	d, err := NewDigest(spec)
	if err != nil {
		return nil, err
	}
	record, err := encodeSpec(spec)
	if err != nil {
		return nil, err
	}
	return &Upload{ledger: l, id: id, token: script.NewToken(), spec: spec, record: record, digest: d}, nil
}

// Add adds the next recipient as uploaded, and its values of the merge fields, in order. Input
// longer than MaxInput is cut. If values are too long (MaxValue, MaxValues), they are not stored,
// and planning skips the recipient.
func (u *Upload) Add(ctx context.Context, input string, values ...string) error {
	return u.AddWithRef(ctx, input, "", values...)
}

// AddWithRef does what Add does, for a recipient to which the caller has given a reference. The reference has at
// most campaign.MaxRef bytes.
func (u *Upload) AddWithRef(ctx context.Context, input, ref string, values ...string) error {
	if len(input) > campaign.MaxInput {
		input = input[:campaign.MaxInput]
	}
	if len(values) != len(u.spec.Fields) {
		return fmt.Errorf("upload %s: got %d values, want %d, one for each field", u.id, len(values), len(u.spec.Fields))
	}
	if len(ref) > campaign.MaxRef {
		return fmt.Errorf("upload %s: the reference has %d bytes, want at most %d", u.id, len(ref), campaign.MaxRef)
	}
	u.digest.Add(input, values...)
	u.digest.AddRef(ref)
	row, _, next := u.pager.Add(input, ref, values)
	if next {
		if err := u.flush(ctx, pagesAhead); err != nil {
			return err
		}
	}
	u.page = append(u.page, row...)
	u.refs.add(u.rows, ref)
	u.rows++
	u.total++
	return nil
}

// AddNotes adds notes to the spec before the commit. Notes do not change the content hash.
func (u *Upload) AddNotes(notes []string) error {
	if len(notes) == 0 {
		return nil
	}
	u.spec.Notes = slices.Concat(u.spec.Notes, notes)
	record, err := encodeSpec(u.spec)
	if err != nil {
		return err
	}
	u.record = record
	return nil
}

// ID returns the campaign's id.
func (u *Upload) ID() string { return u.id }

// Total returns how many recipients were added so far.
func (u *Upload) Total() int { return u.total }

// flush closes the current page. If at least minPages pages wait, flush starts to write them in the
// background. Meanwhile the caller can fill further pages.
func (u *Upload) flush(ctx context.Context, minPages int) error {
	if u.rows > 0 {
		refs := u.refs.take()
		if refs != nil {
			u.refPages++
		}
		u.full = append(u.full, uploadPage{rows: slices.Clone(u.page), refs: refs})
		u.page, u.rows = u.page[:0], 0
		u.pages++
	}
	if len(u.full) < minPages || len(u.full) == 0 {
		return nil
	}
	if err := u.waitForWrite(); err != nil {
		return err
	}
	first, inFlight, index, written := u.pages-len(u.full), u.full, !u.indexed, make(chan error, 1)
	u.full, u.writing, u.written = nil, inFlight, written
	if u.keepAlive == nil && minPages > 1 { // if minPages is 1, no more recipients follow, so the token need not be renewed
		u.startKeepAlive(ctx)
	}
	go func() { written <- u.write(ctx, first, inFlight, index) }()
	return nil
}

// waitForWrite waits until the pages that are being written are stored. If the write fails, these
// pages wait to be written again.
func (u *Upload) waitForWrite() error {
	if u.written == nil {
		return nil
	}
	err := <-u.written
	if err != nil {
		u.full = append(u.writing, u.full...)
	} else {
		u.indexed = true
	}
	u.writing, u.written = nil, nil
	return err
}

// write writes pages. The parameter "first" is the number of the first page.
func (u *Upload) write(ctx context.Context, first int, pages []uploadPage, index bool) error {
	fields := make([]any, 0, 2*len(pages))
	for i, page := range pages {
		fields = append(fields, u.pageFields(first+i, page)...)
	}
	key, uploads := stagingKey(u.id, u.token), uploadsKey(u.id)
	_, err := u.ledger.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, key, fields...)
		p.Expire(ctx, key, stagingLife)
		// From here on the campaign's status is "uploading". If the caller discards another upload with
		// the same ID, the method Discard finds this token and keeps the index entry.
		p.SAdd(ctx, uploads, u.token)
		p.Expire(ctx, uploads, uploadingLife)
		return nil
	})
	if err == nil && index {
		err = u.ledger.Index().add(ctx, u.id, u.spec.Message)
	}
	if err != nil {
		return fmt.Errorf("upload %s: %w", u.id, err)
	}
	return nil
}

// pageFields returns the fields of a page in the staging hash, and their values.
func (u *Upload) pageFields(n int, page uploadPage) []any {
	pack := compress
	if u.spec.Personalized() {
		pack = compressPersonalized
	}
	fields := []any{pageField(n), pack(page.rows)}
	if page.refs != nil {
		fields = append(fields, refsField(n), compress(page.refs))
	}
	return fields
}

// startKeepAlive starts a goroutine that renews the expiry time of the key uploadsKey at intervals of keepAliveEvery.
// The goroutine ends when stopKeepAlive is called or ctx ends.
func (u *Upload) startKeepAlive(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	u.keepAlive = func() {
		cancel()
		<-done
	}
	go func() {
		defer close(done)
		tick := time.NewTicker(keepAliveEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			// A failed renewal does no harm, because the next renewal is made before the key expires.
			_ = u.ledger.rdb.Expire(ctx, uploadsKey(u.id), uploadingLife).Err()
		}
	}()
}

func (u *Upload) stopKeepAlive() {
	if u.keepAlive != nil {
		u.keepAlive()
	}
}

// Discard deletes what was uploaded. Afterwards, Summary returns ErrNotFound for the ID unless a
// campaign or another upload has it. A Commit after Discard fails. After a failed Commit, Discard
// makes sure that the campaign is not committed later. A campaign that was committed already stays.
func (u *Upload) Discard(ctx context.Context) error {
	u.stopKeepAlive()
	_ = u.waitForWrite() // the error does not matter, because the pages are deleted anyway
	_, err := u.ledger.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Unlink(ctx, stagingKey(u.id, u.token))
		p.SRem(ctx, uploadsKey(u.id), u.token)
		return nil
	})
	if err == nil && u.pages > 0 {
		err = u.ledger.Index().abandon(ctx, u.id, u.spec.Message)
	}
	if err != nil {
		return fmt.Errorf("discard upload %s: %w", u.id, err)
	}
	return nil
}
