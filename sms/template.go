package sms

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Template is a body with merge fields, {{name}}, ready to be rendered for one
// recipient after the other. It never changes.
//
// A field is {{name}}, with spaces and capitals as you like, filters behind colons
// and a default behind a bar: {{ First Name:first:title|there }}. Four braces,
// {{{{, stand for two that open nothing. Everything else is text, also }} by itself.
type Template struct {
	parts  []part
	fields []string
	plain  bool
}

// part is a stretch of text and the field behind it; the last has none.
type part struct {
	text       string
	field      string
	filters    []filter
	fallback   string
	hasDefault bool
}

// Limits of templates.
const (
	// MaxMergeFields is how many merge fields a body may have, repeated ones counted again.
	MaxMergeFields = 100
	// MaxFieldName is how many characters the name of a merge field may have.
	MaxFieldName = 64
	// MaxRendered is how many bytes a rendered body may have.
	MaxRendered = 16 << 10
)

// ParseTemplate reads a body that may have merge fields. What does not contain {{
// is always a template, without any. The error is a *TemplateError: it says where
// the mistake is and what to write instead.
func ParseTemplate(body string) (*Template, error) {
	p := templateParser{body: body, t: &Template{}}
	if err := p.parse(); err != nil {
		return nil, err
	}
	p.t.plain = len(p.t.fields) == 0 && !p.escaped
	return p.t, nil
}

// Fields returns the distinct fields in order of their first use, each as FieldKey
// gives it. The caller must not change the slice.
func (t *Template) Fields() []string { return t.fields }

// Plain reports whether every rendering is the body, byte for byte. A body with
// {{{{ in it is not plain, even if it has no field.
func (t *Template) Plain() bool { return t.plain }

// Render appends the body for one recipient to dst. It asks value for each field
// by its key, takes off spaces and invisible characters around the answer, and puts
// it in as it is: what looks like a field in a value is text. A blank value (or one
// of a spreadsheet's errors, such as #N/A) gives the field's default. missing is the
// first field with a blank value and no default, and renders as empty; it is "" if
// there is none.
//
// Values are not taken in beyond MaxRendered bytes: a result of more is too long to
// be sent, and incomplete. Render allocates nothing if dst has the room.
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

// FieldKey makes the names of a column and of a merge field comparable: "First
// name", "first_name" and "FIRST-NAME" are all "firstname". Capitals, spaces,
// invisible characters, dashes, underscores, full stops and what has a meaning
// within a merge field do not count. It is empty if nothing else is there.
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
	}, name))
}

// TemplateError is a mistake in the merge fields of a body.
type TemplateError struct {
	// Line and Column are where it is, both from 1; Column counts characters.
	Line, Column int
	// Problem says what is wrong and what to write instead.
	Problem string

	lines int
}

// Error returns the place and the problem.
func (e *TemplateError) Error() string {
	if e.lines > 1 {
		return fmt.Sprintf("line %d, character %d: %s", e.Line, e.Column, e.Problem)
	}
	return fmt.Sprintf("character %d: %s", e.Column, e.Problem)
}

type templateParser struct {
	body    string
	t       *Template
	text    strings.Builder // read, and not yet part of a part
	count   int
	escaped bool
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
			// The field opens at the second brace: {{{name}}} has braces around its value.
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

// field reads the merge field that opens at that byte, and returns its length.
func (p *templateParser) field(at int) (length int, err error) {
	inside := p.body[at+len(fieldOpens):]
	end := strings.IndexAny(inside, "{}\r\n")
	if end < 0 || !strings.HasPrefix(inside[end:], fieldCloses) {
		return 0, p.errorAt(at, "{{ opens a merge field that is not closed: write }} behind its name, or {{{{ for two plain braces")
	}
	inside = inside[:end]
	if p.count++; p.count > MaxMergeFields {
		return 0, p.errorAt(at, "a body has at most %d merge fields", MaxMergeFields)
	}
	head, fallback, hasDefault := strings.Cut(inside, "|")
	name, filters, filtered := strings.Cut(head, ":")
	f := part{text: p.text.String(), field: FieldKey(name), fallback: strings.TrimSpace(fallback), hasDefault: hasDefault}
	switch {
	case f.field == "":
		return 0, p.errorAt(at, "a merge field needs the name of a column, as in {{name}}; write {{{{ for two plain braces")
	case utf8.RuneCountInString(name) > MaxFieldName:
		return 0, p.errorAt(at, "the name of a merge field has at most %d characters: is a }} missing?", MaxFieldName)
	case strings.Contains(fallback, "|"):
		return 0, p.errorAt(at, "a merge field has one | only, before its default; filters stand behind colons: {{name:upper|there}}")
	case looksLikeFilter(fallback):
		return 0, p.errorAt(at, "%.20q behind the | would be the default: filters stand behind colons: {{name:upper|there}}", f.fallback)
	}
	if filtered {
		if f.filters, err = parseFilters(filters); err != nil {
			return 0, p.errorAt(at, "%s", err)
		}
	}
	p.text.Reset()
	p.t.parts = append(p.t.parts, f)
	if !slices.Contains(p.t.fields, f.field) {
		p.t.fields = append(p.t.fields, f.field)
	}
	return len(fieldOpens) + end + len(fieldCloses), nil
}

// wrong is a mistake at that byte.
func (p *templateParser) errorAt(at int, format string, args ...any) error {
	before := p.body[:at]
	line := strings.Count(before, "\n") + 1
	return &TemplateError{
		Line:    line,
		Column:  utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1,
		Problem: fmt.Sprintf(format, args...),
		lines:   line + strings.Count(p.body[at:], "\n"),
	}
}

// trimValue takes off what cannot be seen, and makes a spreadsheet's error blank.
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

// isBlankRune knows white space and what takes no place at all.
func isBlankRune(r rune) bool {
	if r < utf8.RuneSelf {
		return r == ' ' || r >= '\t' && r <= '\r'
	}
	return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r)
}

// atMost reads the N of max:N.
func parseMaxLength(s string) (int, bool) {
	n, err := strconv.Atoi(strings.TrimSpace(s))
	return n, err == nil && n >= 1 && n <= MaxRendered
}
