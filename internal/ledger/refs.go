package ledger

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// refsWriter collects the references of the recipients of one page. The zero value is an empty page.
type refsWriter struct {
	b    []byte
	rows int // rows that b covers
}

// The method "add" adds the reference of the recipient with the given index in its page. The record ends with
// the last reference, so the recipients after it take no space.
func (w *refsWriter) add(index int, ref string) {
	if ref == "" {
		return
	}
	for ; w.rows < index; w.rows++ {
		w.b = append(w.b, 0)
	}
	w.b = binary.AppendUvarint(w.b, uint64(len(ref)))
	w.b = append(w.b, ref...)
	w.rows++
}

// noteRefs notes in the spec whether recipients have references.
func (u *Upload) noteRefs() error {
	if u.refPages == 0 {
		return nil
	}
	u.spec.Refs = true
	record, err := encodeSpec(u.spec)
	if err == nil {
		u.record = record
	}
	return err
}

// The method "take" returns the references of the page, or nil if the page has no references. Then it begins the
// next page.
func (w *refsWriter) take() []byte {
	b := w.b
	*w = refsWriter{}
	return b
}

// decodeRefs returns the references of a page with the given number of recipients.
func decodeRefs(b []byte, rows int) ([]string, error) {
	raw, err := decompress(b)
	if err != nil {
		return nil, fmt.Errorf("references: %w", err)
	}
	r := reader{b: raw}
	out := make([]string, rows)
	text := string(raw) // one string, so that all references share its memory
	for i := 0; len(r.b) > 0 && !r.bad; i++ {
		n := len(r.bytes(r.count()))
		if i == rows || n > campaign.MaxRef {
			return nil, fmt.Errorf("references: %w", campaign.ErrRecord)
		}
		end := len(text) - len(r.b)
		out[i] = text[end-n : end]
	}
	if r.bad {
		return nil, fmt.Errorf("references: %w", campaign.ErrRecord)
	}
	return out, nil
}

// refReader reads the references of single rows. It caches one page. If the rows are requested in
// order, it reads each page once. It is not safe for concurrent use.
type refReader struct {
	records recordReader
	id      string
	page    int
	refs    []string
}

// newRefReader returns a reader of the references of a campaign.
func (l recordReader) newRefReader(id string) *refReader {
	return &refReader{records: l, id: id, page: -1}
}

// ref returns the reference of the recipient with the given index in a page. The result is empty if
// the recipient has no reference.
func (r *refReader) ref(ctx context.Context, page, index int) (string, error) {
	if page != r.page {
		got, err := r.records.fields(ctx, r.id, refsField(page))
		if err != nil {
			return "", fmt.Errorf("read references of %s: %w", r.id, err)
		}
		r.page, r.refs = page, nil
		if got[0] != nil {
			if r.refs, err = decodeRefs([]byte(script.Text(got[0])), campaign.MaxPageRows); err != nil {
				return "", unreadable(r.id, refsField(page), script.Text(got[0]), err)
			}
		}
	}
	ref := ""
	if index < len(r.refs) {
		ref = r.refs[index]
	}
	return ref, nil
}

// setRefs sets the references of the found recipients.
func (s *Search) setRefs(ctx context.Context, out *Searched) error {
	refs := s.ledger.records.newRefReader(out.Position.ID)
	for i := range out.Found {
		found := &out.Found[i]
		found.Ref = out.Spec.Ref
		ref, err := refs.ref(ctx, found.page.Number, found.Row.Row-found.page.First)
		if err != nil {
			return err
		}
		if ref != "" {
			found.Ref = ref
		}
	}
	return nil
}
