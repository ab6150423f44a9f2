package producer

import (
	"fmt"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// What becomes of a recipient whose value for a merge field without a default is blank.
const (
	// OnMissingFail refuses the whole campaign, with a MissingError, before anything is
	// enqueued.
	OnMissingFail = ledger.MissingFail
	// OnMissingSkip leaves the recipient out, with the reason "missing_field".
	OnMissingSkip = ledger.MissingSkip
	// OnMissingDefault leaves the field empty.
	OnMissingDefault = ledger.MissingDefault
)

// MissingError says that a recipient has a blank value for a merge field without a
// default. It is an ErrInvalid.
type MissingError struct {
	// Recipient is the number of the recipient in the upload, from 1, Field the field as
	// sms.FieldKey gives it.
	Recipient int
	Field     string
}

// Error names the recipient and the field, and what can be done.
func (e *MissingError) Error() string {
	return fmt.Sprintf("recipient %d: the field %s is blank: fill it in, give it a default as in {{%s|there}}, "+
		"or choose what becomes of such recipients (OnMissing)", e.Recipient, e.Field, e.Field)
}

// Is says that every MissingError is an ErrInvalid.
func (e *MissingError) Is(target error) bool { return target == ErrInvalid }

// Fields are the merge fields of a body in order of their first use, each as
// sms.FieldKey gives it; none: the body is plain. The error is a FieldError.
func Fields(body string) ([]string, error) {
	t, err := sms.ParseTemplate(body)
	if err != nil {
		return nil, &FieldError{Field: "body", Problem: err.Error()}
	}
	return t.Fields(), nil
}

// personal reads the values of recipients for a campaign with merge fields. Not safe for
// concurrent use.
type personal struct {
	fields   []string
	template *sms.Template
	strict   bool // a blank value is an error
	place    map[string]int
	names    map[string]int // place by a recipient's own name of the field; -1: it is not used
	seen     []bool         // fields that some recipient has had
	values   []string
	has      []bool
	body     []byte
	plain    bool // the message is transliterated
}

// newPersonal is nil for a plain campaign.
func newPersonal(spec ledger.Spec) (*personal, error) {
	if !spec.Personalized() {
		return nil, nil //nolint:nilnil // there is nothing to read, and nothing wrong
	}
	t, err := sms.ParseTemplate(spec.Body)
	if err != nil {
		return nil, &FieldError{Field: "body", Problem: err.Error()}
	}
	n := len(spec.Fields)
	p := &personal{fields: spec.Fields, template: t, strict: spec.OnMissing == "", plain: spec.Transliterate, place: map[string]int{}, names: map[string]int{},
		seen: make([]bool, n), values: make([]string, n), has: make([]bool, n)}
	for i, f := range spec.Fields {
		p.place[f] = i
	}
	return p, nil
}

// mostNames bounds the names of fields that are remembered.
const mostNames = 1000

// placeOf is the place of a recipient's field among the values; -1: the body does not use it.
func (p *personal) placeOf(name string) int {
	at, ok := p.names[name]
	if ok {
		return at
	}
	at = -1
	if i, ok := p.place[sms.FieldKey(name)]; ok {
		at = i
	}
	if len(p.names) < mostNames {
		p.names[name] = at
	}
	return at
}

// read gives the values of the n-th recipient, valid until the next call; nil for a plain
// campaign.
func (p *personal) read(n int, r Recipient) ([]string, error) {
	if p == nil {
		return nil, nil
	}
	clear(p.values)
	clear(p.has)
	for name, v := range r.Fields {
		at := p.placeOf(name)
		if at < 0 {
			continue
		}
		if p.has[at] {
			return nil, &FieldError{Field: "recipients", Problem: fmt.Sprintf("recipient %d has two fields %s", n, p.fields[at])}
		}
		if !utf8.ValidString(v) {
			return nil, &FieldError{Field: "recipients", Problem: fmt.Sprintf("recipient %d: the field %s is not UTF-8", n, p.fields[at])}
		}
		p.values[at], p.has[at], p.seen[at] = v, true, true
	}
	return p.values, nil
}

// segments renders the values read last, and gives the segments of the message. It errs
// with a MissingError if one is missing that may not.
func (p *personal) segments(n int) (int, error) {
	var missing string
	p.body, missing = p.template.Render(p.body[:0], func(field string) string { return p.values[p.place[field]] })
	if missing != "" && p.strict {
		return 0, &MissingError{Recipient: n, Field: missing}
	}
	body := string(p.body)
	if p.plain {
		body, _ = sms.Transliterate(body)
	}
	segments, _ := sms.Segments(body)
	return segments, nil
}

// unknown names a field that no recipient has had.
func (p *personal) unknown() error {
	if p == nil {
		return nil
	}
	for i, seen := range p.seen {
		if !seen {
			return &FieldError{Field: "body", Problem: fmt.Sprintf("no recipient has a field %s, which {{%s}} asks for", p.fields[i], p.fields[i])}
		}
	}
	return nil
}
