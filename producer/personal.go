package producer

import (
	"cmp"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// Values of Campaign.OnMissing. They decide what happens to a recipient without a value for a merge
// field that has no default.
const (
	// OnMissingFail refuses the campaign with a MissingError before anything is enqueued.
	OnMissingFail = "fail"
	// OnMissingSkip skips the recipient with the reason "missing_field".
	OnMissingSkip = "skip"
	// OnMissingDefault leaves the field empty.
	OnMissingDefault = "default"
)

// Error returns a text that names the recipients and the fields, and describes how to correct the list.
func (e *MissingError) Error() string {
	problem := fmt.Sprintf("recipient %d: the field %s is blank: fill it in, or give it a default", e.Recipient, e.Field)
	if len(e.Fields) > 1 || len(e.Fields) == 1 && e.Fields[0].Count > 1 {
		problem = "blank values: " + e.Summary("recipients") + ": fill them in, or give the fields a default"
	}
	return fmt.Sprintf("%s as in {{%s|there}}, or use OnMissing: it can skip recipients without a value, or leave the field empty", problem, e.Field)
}

// Summary lists the merge fields. For each field it gives the number of recipients without a value,
// and the places of the first such recipients: "branch: 512 rows blank, first 2, 9, 14; due: 2 rows
// blank, 3, 8". The parameter "rows" is the word for recipients in this text, such as "rows".
func (e *MissingError) Summary(rows string) string {
	var out []string
	for _, f := range e.Fields {
		places := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(f.First)), ", "), "[]")
		word := rows
		if f.Count == 1 {
			word = strings.TrimSuffix(rows, "s")
		}
		if f.Count > len(f.First) {
			places = "first " + places
		}
		out = append(out, fmt.Sprintf("%s: %d %s blank, %s", f.Field, f.Count, word, places))
	}
	return strings.Join(out, "; ")
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
	// The field "strict" is true if a missing value is an error (OnMissingFail).
	strict bool
	// place maps each merge field to its index in the slices "fields" and "values".
	place map[string]int
	// The map "names" caches the index in "values" for each field name that recipients use. The
	// index -1 means that the body does not use the field.
	names map[string]int
	// The slice "seen" marks the fields for which at least one recipient had a value.
	seen []bool
	// values are the values of the recipient that was read last. The slice "has" marks the values
	// that this recipient has.
	values []string
	has    []bool
	body   []byte
	// n is the number of recipients that were read.
	n int
	// The slice "blank" counts the recipients without a value for each merge field. The field "first"
	// is the error for the first of these recipients. If "strict" is false, "blank" and "first" are
	// not used. The slice "absent" is a buffer that countMissing reuses for each recipient.
	blank  []MissingField
	first  *MissingError
	absent []string
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

// mostNames is the maximum number of field names in the cache "names".
const mostNames = 1000

// placeOf returns the index in "values" of the field with the given name, or -1 if the body does not
// use the field.
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

// read returns the values of the next recipient, in the order of the slice "fields". The values are
// valid until the next call. If p.strict is true, the method also counts missing values. It returns a
// FieldError for a field that is given twice or is not UTF-8.
func (p *personal) read(r Recipient) ([]string, error) {
	if p == nil {
		return nil, nil
	}
	p.n++
	clear(p.values)
	clear(p.has)
	for name, v := range r.Fields {
		at := p.placeOf(name)
		if at < 0 {
			continue
		}
		if p.has[at] {
			return nil, &FieldError{Field: "recipients", Problem: fmt.Sprintf("recipient %d has the field %s twice", p.n, p.fields[at])}
		}
		if !utf8.ValidString(v) {
			return nil, &FieldError{Field: "recipients", Problem: fmt.Sprintf("recipient %d: the field %s must be UTF-8", p.n, p.fields[at])}
		}
		p.values[at], p.has[at], p.seen[at] = v, true, true
	}
	if p.strict {
		p.countMissing(r.Line)
	}
	return p.values, nil
}

func (p *personal) value(field string) string { return p.values[p.place[field]] }

// firstPlaces is the maximum number of places in MissingField.First.
const firstPlaces = 3

// countMissing counts the missing values of the recipient that was read last. The parameter "line"
// is the Recipient.Line of this recipient.
func (p *personal) countMissing(line int) {
	p.absent = p.template.AppendMissing(p.absent[:0], p.value)
	if len(p.absent) == 0 {
		return
	}
	if p.first == nil {
		p.first = &MissingError{Recipient: p.n, Field: p.absent[0]}
		p.blank = make([]MissingField, len(p.fields))
	}
	for _, field := range p.absent {
		b := &p.blank[p.place[field]]
		b.Field = field
		if b.Count++; len(b.First) < firstPlaces {
			b.First = append(b.First, cmp.Or(line, p.n))
		}
	}
}

// foundMissing reports whether a required value is missing (OnMissingFail).
func (p *personal) foundMissing() bool { return p != nil && p.first != nil }

// The method "missing" returns a MissingError for all recipients read so far, or nil.
func (p *personal) missing() error {
	if !p.foundMissing() {
		return nil
	}
	e := *p.first
	for _, b := range p.blank {
		if b.Count > 0 {
			e.Fields = append(e.Fields, b)
		}
	}
	return &e
}

// segments renders the message of the recipient that was read last and returns its number of
// segments.
func (p *personal) segments() int {
	p.body, _ = p.template.Render(p.body[:0], p.value)
	body := string(p.body)
	if p.transliterate {
		body, _ = sms.Transliterate(body)
	}
	segments, _ := sms.Segments(body)
	return segments
}

// unusedField returns a FieldError for a merge field for which no recipient has a value.
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
