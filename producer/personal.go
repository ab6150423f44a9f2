package producer

import (
	"fmt"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// Values of Campaign.OnMissing: what happens to a recipient without a value for a merge field
// that has no default.
const (
	// OnMissingFail refuses the campaign with a MissingError before anything is enqueued.
	OnMissingFail = "fail"
	// OnMissingSkip skips the recipient with the reason "missing_field".
	OnMissingSkip = "skip"
	// OnMissingDefault leaves the field empty.
	OnMissingDefault = "default"
)

// Error returns the recipient, the field and the ways to fix it.
func (e *MissingError) Error() string {
	return fmt.Sprintf("recipient %d: the field %s is blank: fill it in, give it a default as in {{%s|there}}, "+
		"or set OnMissing to skip such recipients or to leave the field empty", e.Recipient, e.Field, e.Field)
}

// Is reports whether target is ErrInvalid.
func (e *MissingError) Is(target error) bool { return target == ErrInvalid }

// Fields returns the distinct merge fields of a body in the order of their first use, in the form
// that sms.FieldKey returns. It returns an empty slice for a body without merge fields, and a
// FieldError for a body that is not a valid template.
func Fields(body string) ([]string, error) {
	t, err := sms.ParseTemplate(body)
	if err != nil {
		return nil, &FieldError{Field: "body", Problem: err.Error()}
	}
	return t.Fields(), nil
}

// personal reads the recipients' values for the merge fields of a campaign. It is not safe for
// concurrent use. All its methods work on a nil *personal, which stands for a campaign without
// merge fields.
type personal struct {
	fields   []string
	template *sms.Template
	// strict makes a missing value an error (OnMissingFail).
	strict bool
	// place maps each merge field to its index in fields and values.
	place map[string]int
	// names caches the index in place of each name that recipients use; -1 marks a field that the
	// body does not use.
	names map[string]int
	// seen marks the fields that at least one recipient had.
	seen []bool
	// values are the values of the recipient that was read last. has reports which of them the
	// recipient has.
	values []string
	has    []bool
	body   []byte
	// transliterate is Campaign.Transliterate.
	transliterate bool
}

// newPersonal returns nil for a campaign without merge fields.
func newPersonal(spec campaign.Spec) (*personal, error) {
	if !spec.Personalized() {
		return nil, nil //nolint:nilnil // nil stands for a campaign without merge fields
	}
	t, err := sms.ParseTemplate(spec.Body)
	if err != nil {
		return nil, &FieldError{Field: "body", Problem: err.Error()}
	}
	n := len(spec.Fields)
	p := &personal{fields: spec.Fields, template: t, strict: spec.OnMissing == "", transliterate: spec.Transliterate, place: map[string]int{}, names: map[string]int{},
		seen: make([]bool, n), values: make([]string, n), has: make([]bool, n)}
	for i, f := range spec.Fields {
		p.place[f] = i
	}
	return p, nil
}

// mostNames is the maximum number of field names in the cache names.
const mostNames = 1000

// placeOf returns the index in values of a recipient's field, or -1 if the body does not use the
// field.
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

// read returns the values of recipient number n in the order of fields. The values are valid
// until the next call. read returns a FieldError for a field that is given twice or is not UTF-8.
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
			return nil, &FieldError{Field: "recipients", Problem: fmt.Sprintf("recipient %d has the field %s twice", n, p.fields[at])}
		}
		if !utf8.ValidString(v) {
			return nil, &FieldError{Field: "recipients", Problem: fmt.Sprintf("recipient %d: the field %s must be UTF-8", n, p.fields[at])}
		}
		p.values[at], p.has[at], p.seen[at] = v, true, true
	}
	return p.values, nil
}

// segments renders the message of the recipient that was read last and returns its number of
// segments. It returns a MissingError if strict is set and a value is missing.
func (p *personal) segments(n int) (int, error) {
	var missing string
	p.body, missing = p.template.Render(p.body[:0], func(field string) string { return p.values[p.place[field]] })
	if missing != "" && p.strict {
		return 0, &MissingError{Recipient: n, Field: missing}
	}
	body := string(p.body)
	if p.transliterate {
		body, _ = sms.Transliterate(body)
	}
	segments, _ := sms.Segments(body)
	return segments, nil
}

// unusedField returns a FieldError for a merge field that no recipient had.
func (p *personal) unusedField() error {
	if p == nil {
		return nil
	}
	for i, seen := range p.seen {
		if !seen {
			return &FieldError{Field: "body", Problem: fmt.Sprintf("no recipient has the field %s, which the body uses as {{%s}}", p.fields[i], p.fields[i])}
		}
	}
	return nil
}
