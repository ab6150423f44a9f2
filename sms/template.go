package sms

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Template is a parsed body with merge fields. Render replaces the fields by the values
// of one recipient. A Template is immutable and safe for concurrent use.
//
// A field is written {{name}}. Spaces and capitals in the name do not matter. Each filter
// follows after a colon, and a default follows after a bar: {{ First
// Name:first:title|there }}. Four opening braces, {{{{, are rendered as two braces. All
// other characters are text, including }} outside a field.
type Template struct {
	parts  []part
	fields []string
	plain  bool
}

// part is a piece of text and the merge field that follows this text. The last part of a template
// has no field.
type part struct {
	text       string
	field      string
	filters    []filter
	fallback   string
	hasDefault bool
}

// Limits of templates.
const (
	// MaxMergeFields is the maximum number of merge fields in a body. A repeated field is
	// counted each time.
	MaxMergeFields = 100
	// MaxFieldName is the maximum length of the name of a merge field, in characters.
	MaxFieldName = 64
	// MaxRendered is the maximum length of a rendered body, in bytes.
	MaxRendered = 16 << 10
)

// ParseTemplate parses a body that may have merge fields. The error is a *TemplateError,
// which names the mistake, its place and its correction. A body that does not contain {{
// has no fields and is always valid.
func ParseTemplate(body string) (*Template, error) {
	p := templateParser{body: body, t: &Template{}}
	if err := p.parse(); err != nil {
		return nil, err
	}
	p.t.plain = len(p.t.fields) == 0 && !p.escaped
	return p.t, nil
}

// Fields returns the distinct fields in the order of their first use, in the form that FieldKey
// returns. The caller must not modify the slice.
func (t *Template) Fields() []string { return t.fields }

// Plain reports whether Render always returns exactly the body. A body that contains
// {{{{ is not plain, even if it has no field.
func (t *Template) Plain() bool { return t.plain }

// Render appends the body for one recipient to dst and returns the extended slice. It calls the
// function "value" with the key of each field, in the form that FieldKey returns. It inserts the
// result without leading and trailing spaces and invisible characters. Values are text: a {{name}} in
// a value is not replaced.
//
// If a value is blank, or a spreadsheet error such as #N/A, Render inserts the field's default
// instead. If a field has neither a value nor a default, Render inserts nothing. The result "missing"
// is the first such field, or "" if every field has a value or a default.
//
// If the result is longer than MaxRendered bytes, the message is too long to be sent and
// the result may be incomplete. Render does not allocate if dst has enough capacity and the
// body has neither the filter "number" nor the filter "date".
func (t *Template) Render(dst []byte, value func(field string) string) (out []byte, missing string) {
	start := len(dst)
	for i := range t.parts {
		p := &t.parts[i]
		dst = append(dst, p.text...)
		if p.field == "" {
			continue
		}
		v := trimValue(value(p.field))
		if v == "" {
			if !p.hasDefault && missing == "" {
				missing = p.field
			}
			dst = append(dst, p.fallback...)
			continue
		}
		from := len(dst)
		if room := max(0, MaxRendered+1-(from-start)); len(v) > room {
			dst = append(dst, v[:room]...)
			continue
		}
		dst = append(dst, v...)
		for _, f := range p.filters {
			dst = f.apply(dst, from)
		}
	}
	return dst, missing
}

// AppendMissing appends to dst the fields that have neither a value nor a default, each once, and
// returns the extended slice. The parameter "value" is the same function as in a call of Render.
func (t *Template) AppendMissing(dst []string, value func(field string) string) []string {
	from := len(dst)
	for i := range t.parts {
		p := &t.parts[i]
		if p.field == "" || p.hasDefault || trimValue(value(p.field)) != "" || slices.Contains(dst[from:], p.field) {
			continue
		}
		dst = append(dst, p.field)
	}
	return dst
}

// FieldKey returns the key by which a column and a merge field are matched: "First name",
// "first_name" and "FIRST-NAME" all have the key "firstname". It lower-cases the name and composes
// letters with their accents (Unicode NFC). It removes spaces, invisible characters, dashes,
// underscores, full stops, and the characters : | { } of merge fields. The key is empty if no other
// character remains.
func FieldKey(name string) string {
	return strings.ToLower(strings.Map(func(r rune) rune {
		switch r {
		case '_', '.', ':', '|', '{', '}':
			return -1
		}
		if isBlankRune(r) || unicode.Is(unicode.Pd, r) {
			return -1
		}
		return r
	}, norm.NFC.String(name)))
}

// TemplateError is a mistake in the merge fields of a body.
type TemplateError struct {
	// Line and Column are the place of the mistake. Both are counted from 1, and Column is counted
	// in characters.
	Line, Column int
	// Problem describes the mistake and the correct form.
	Problem string

	lines int // lines is the number of lines of the body.
}

// Error returns the place and the problem. It names the line only if the body has more
// than one line.
func (e *TemplateError) Error() string {
	if e.lines > 1 {
		return fmt.Sprintf("line %d, character %d: %s", e.Line, e.Column, e.Problem)
	}
	return fmt.Sprintf("character %d: %s", e.Column, e.Problem)
}

type templateParser struct {
	body    string
	t       *Template
	text    strings.Builder // text is the text after the last field.
	count   int             // fields, including repeated ones
	escaped bool            // the body contains {{{{
}

const (
	fieldOpens  = "{{"
	fieldCloses = "}}"
	escapedOpen = "{{{{"
)

func (p *templateParser) parse() error {
	at := 0
	for {
		i := strings.Index(p.body[at:], fieldOpens)
		if i < 0 {
			break
		}
		p.text.WriteString(p.body[at : at+i])
		at += i
		switch rest := p.body[at:]; {
		case strings.HasPrefix(rest, escapedOpen):
			p.text.WriteString(fieldOpens)
			p.escaped = true
			at += len(escapedOpen)
		case strings.HasPrefix(rest, "{{{"):
			// The first brace is text, and the next two braces open the field. So {{{name}}} is
			// rendered as the value in braces.
			p.text.WriteByte('{')
			at++
		default:
			n, err := p.field(at)
			if err != nil {
				return err
			}
			at += n
		}
	}
	p.text.WriteString(p.body[at:])
	p.t.parts = append(p.t.parts, part{text: p.text.String()})
	return nil
}

// The method "field" parses the merge field that begins at the byte offset "start", and returns its
// length in bytes.
func (p *templateParser) field(start int) (length int, err error) {
	inside := p.body[start+len(fieldOpens):]
	end := strings.IndexAny(inside, "{}\r\n")
	if end < 0 || !strings.HasPrefix(inside[end:], fieldCloses) {
		return 0, p.errorAt(start, "{{ opens a merge field that is not closed: write }} after its name, or {{{{ for two plain braces")
	}
	inside = inside[:end]
	if p.count++; p.count > MaxMergeFields {
		return 0, p.errorAt(start, "the body has more than %d merge fields: remove some", MaxMergeFields)
	}
	head, fallback, hasDefault := strings.Cut(inside, "|")
	name, filters, filtered := strings.Cut(head, ":")
	f := part{text: p.text.String(), field: FieldKey(name), fallback: strings.TrimSpace(fallback), hasDefault: hasDefault}
	switch {
	case f.field == "":
		return 0, p.errorAt(start, "a merge field needs the name of a column, as in {{name}}; write {{{{ for two plain braces")
	case utf8.RuneCountInString(name) > MaxFieldName:
		return 0, p.errorAt(start, "the name of a merge field is longer than %d characters: shorten it, or close the field with }}", MaxFieldName)
	case strings.Contains(fallback, "|"):
		return 0, p.errorAt(start, "a merge field must have only one |, before its default; write filters after colons: {{name:upper|there}}")
	case looksLikeFilter(fallback):
		return 0, p.errorAt(start, "%.20q after the | would be the default; write filters after colons: {{name:upper|there}}", f.fallback)
	}
	if filtered {
		if f.filters, err = parseFilters(filters); err != nil {
			return 0, p.errorAt(start, "%s", err)
		}
	}
	p.text.Reset()
	p.t.parts = append(p.t.parts, f)
	if !slices.Contains(p.t.fields, f.field) {
		p.t.fields = append(p.t.fields, f.field)
	}
	return len(fieldOpens) + end + len(fieldCloses), nil
}

// errorAt returns a *TemplateError for the mistake at a byte offset of the body.
func (p *templateParser) errorAt(offset int, format string, args ...any) error {
	before := p.body[:offset]
	line := strings.Count(before, "\n") + 1
	return &TemplateError{
		Line:    line,
		Column:  utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1,
		Problem: fmt.Sprintf(format, args...),
		lines:   line + strings.Count(p.body[offset:], "\n"),
	}
}

// trimValue removes spaces and invisible characters at both ends of a value. It returns
// "" for a spreadsheet error such as #N/A.
func trimValue(v string) string {
	v = strings.TrimFunc(v, isBlankRune)
	if v != "" && v[0] == '#' {
		switch v {
		case "#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NULL!", "#NUM!", "#GETTING_DATA", "#SPILL!", "#CALC!":
			return ""
		}
	}
	return v
}

// isBlankRune reports whether r is white space or an invisible format character.
func isBlankRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r == ' ' || r >= '\t' && r <= '\r'
	}
	return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
}

// parseMaxLength parses the N of the filter max:N. The result "ok" is false unless N is from 1 to
// MaxRendered.
func parseMaxLength(s string) (n int, ok bool) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	return n, err == nil && n >= 1 && n <= MaxRendered
}
