package recipients

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// jsonRecipients reads one JSON object per line. The first object also serves as the header, so
// it must have every wanted member. null is a valid value. Later objects may omit members.
func (p *listReader) jsonRecipients(take func(producer.Recipient) bool) (rows int, err error) {
	var h *header
	var names []string // names of the first object's members, sorted
	o := object{keys: map[string]string{}, members: map[string]member{}}
	for {
		line, err := p.in.next()
		p.line = p.in.n
		switch {
		case errors.Is(err, io.EOF):
			return rows, nil
		case err != nil:
			return rows, p.readError(err)
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		p.foundContent = true
		if err := p.parseObject(line, &o); err != nil {
			if h == nil { // the file may have another format than JSON lines
				return rows, err
			}
			rows++
			_ = p.mistakes.add(err, p.List, p.line) // parseObject returns only mistakes
			continue
		}
		if h == nil {
			for _, m := range o.members {
				names = append(names, m.name)
			}
			slices.Sort(names)
			if h, err = p.matchHeader(names); err == nil && h == nil {
				err = p.noNumberColumn(names)
			}
			if err != nil {
				return rows, p.lineError(p.line, "%s", strings.ReplaceAll(err.Error(), "header", "first object"))
			}
		}
		rows++
		r, err := p.recipientFromObject(&o, names, h)
		if err != nil {
			_ = p.mistakes.add(err, p.List, p.line) // recipientFromObject returns only mistakes
			continue
		}
		if !take(r) {
			return rows, nil
		}
	}
}

// object is one line of a list in JSON lines. Its maps are reused for every line.
type object struct {
	// The map "members" holds the members of the object by key. The key of a member is the
	// sms.FieldKey of its name or, if that is empty, the name itself. The order of the members in a
	// line has no effect.
	members map[string]member
	// The map "keys" caches the key of each name, because it takes longer to compute a key than to
	// read the member.
	keys map[string]string
}

type member struct {
	name  string
	value json.RawMessage
}

// maxKeys is the maximum number of names in object.keys.
const maxKeys = 1000

// The method "key" returns the key in o.members of a member with the given name.
func (o *object) key(name string) string {
	if key, ok := o.keys[name]; ok {
		return key
	}
	key := cmp.Or(sms.FieldKey(name), name)
	if len(o.keys) < maxKeys {
		o.keys[name] = key
	}
	return key
}

// parseObject parses one line into o. It rejects a line in which two members have the same name,
// because it cannot decide which member to use.
func (p *listReader) parseObject(line []byte, o *object) error {
	if !utf8.Valid(line) {
		return p.lineError(p.line, "the line is not valid UTF-8: save the JSON as UTF-8")
	}
	if line[0] != '{' {
		return p.lineError(p.line, "the line is not a JSON object: write one object per line, e.g. {\"phone\": \"0712345678\"}")
	}
	if problem := badEscape(line); problem != "" {
		return p.lineError(p.line, "%s", problem)
	}
	clear(o.members)
	decoder := json.NewDecoder(bytes.NewReader(line))
	_, err := decoder.Token() // the opening brace
	for err == nil && decoder.More() {
		var m member
		var token json.Token
		if token, err = decoder.Token(); err != nil {
			break
		}
		m.name, _ = token.(string) // the decoder returns an error if the name is not a string
		if err = decoder.Decode(&m.value); err != nil {
			break
		}
		key := o.key(m.name)
		if other, twice := o.members[key]; twice {
			return p.lineError(p.line, "the object has two members of one name, %.30q and %.30q: remove one", other.name, m.name)
		}
		o.members[key] = m
	}
	if err == nil {
		_, err = decoder.Token() // the closing brace
	}
	if err == nil {
		if _, more := decoder.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is text after the object: remove it")
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = errors.New("unexpected end of JSON input")
	}
	if err != nil {
		hint := ""
		if p.in.n == 1 {
			hint = "; an object must be on one line, as jq -c writes it"
		}
		return p.lineError(p.line, "the line is not a JSON object: %v%s", err, hint)
	}
	return nil
}

// badEscape returns a problem for an escape that does not stand for a character of a text. Such
// escapes are \u0000, and half of a surrogate pair, which package json would replace by U+FFFD.
func badEscape(line []byte) (problem string) {
	const half = "the line has %s, which is half of a character: write both halves, or the character itself in UTF-8"
	for i := 0; i+1 < len(line); i++ {
		if line[i] != '\\' {
			continue
		}
		i++
		if line[i] != 'u' {
			continue
		}
		code, ok := escapeAt(line[i-1:])
		switch {
		case !ok: // package json reports this mistake
		case code == 0:
			return `the line has \u0000, which is not a character of a text: remove it`
		case utf16.IsSurrogate(code):
			low, ok := escapeAt(line[min(len(line), i+5):])
			if !ok || utf16.DecodeRune(code, low) == utf8.RuneError {
				return fmt.Sprintf(half, line[i-1:i+5])
			}
			i += 6
		}
	}
	return ""
}

// escapeAt returns the code of the escape \uXXXX with which b begins.
func escapeAt(b []byte) (code rune, ok bool) {
	if len(b) < len(`\u0000`) || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(n), err == nil
}

// recipientFromObject returns the number and fields of one object. The parameter "names" has the
// member names of the first object. A later object may spell the name of a member differently, if
// both names have the same sms.FieldKey. The error lists all mistakes of the object.
func (p *listReader) recipientFromObject(o *object, names []string, h *header) (producer.Recipient, error) {
	var wrong rowMistakes
	number, ok := scalar(o.members[o.key(names[h.number])].value, true)
	if !ok {
		_ = wrong.add(p.notScalar(names[h.number])) // notScalar returns only mistakes
	}
	for i, key := range p.o.Fields {
		name := names[h.fields[i]]
		value, ok := scalar(o.members[o.key(name)].value, false)
		switch value = strings.TrimSpace(value); {
		case !ok:
			_ = wrong.add(p.notScalar(name))
		case len(value) > MaxField:
			_ = wrong.add(p.fieldTooLong(key, len(value))) // fieldTooLong returns only mistakes
		default:
			p.fields[key] = value
		}
	}
	ref := ""
	for _, at := range h.refs {
		text, ok := scalar(o.members[o.key(names[at])].value, false)
		if ref = strings.TrimSpace(text); !ok {
			_ = wrong.add(p.notScalar(names[at]))
		}
		_ = wrong.add(p.checkRef(ref)) // checkRef returns only mistakes
	}
	if err := wrong.err(); err != nil {
		return producer.Recipient{}, err
	}
	if p.o.cells {
		p.cells = p.cells[:0]
		for i, name := range names {
			value := o.members[o.key(name)].value
			text, ok := scalar(value, i == h.number)
			if !ok {
				text = string(value) // the text of an object or array is its JSON
			}
			p.cells = append(p.cells, text)
		}
	}
	return producer.Recipient{Number: number, Fields: p.fields, Ref: ref, Line: p.line}, nil
}

// notScalar returns the error for a member that is an object or an array.
func (p *listReader) notScalar(name string) error {
	return p.lineError(p.line, "%.30q must be a string or a number", name)
}

// scalar converts a JSON value to text. The text of null is "". The result "ok" is false for an
// object or array. The parameter "isNumber" is true if the value is the phone number of a
// recipient.
func scalar(v json.RawMessage, isNumber bool) (text string, ok bool) {
	if len(v) == 0 {
		return "", true
	}
	switch v[0] {
	case '"':
		var s string
		err := json.Unmarshal(v, &s)
		return s, err == nil
	case 'n':
		return "", true
	case 't', 'f':
		return string(v), true
	case '{', '[':
		return "", false
	}
	return written(string(v), isNumber), true
}

// The function "written" converts a JSON number to decimal notation, without rounding. For
// example, it converts 254712345678.0 and 2.54712345678e11 to 254712345678. If a phone number has
// too few digits for its exponent, such as 2.54712E+11, it returns the number unchanged, because
// the last digits are lost.
func written(s string, isNumber bool) string {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(s), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	shift := 0
	if exponent != "" {
		if _, err := fmt.Sscanf(exponent, "%d", &shift); err != nil || shift < -maxExponent || shift > maxExponent {
			return s
		}
	}
	digits, point := whole+fraction, len(whole)+shift
	if isNumber && point > len(digits) {
		return s
	}
	if point <= 0 {
		digits, point = strings.Repeat("0", 1-point)+digits, 1
	}
	if point > len(digits) {
		digits += strings.Repeat("0", point-len(digits))
	}
	whole, fraction = strings.TrimLeft(digits[:point-1], "0")+digits[point-1:point], digits[point:]
	if exponent == "" && strings.Trim(fraction, "0") != "" {
		return s // the number is returned unchanged, to keep a trailing zero as in 0.50
	}
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction
}

// maxExponent is the largest absolute value of an exponent that is converted to digits.
const maxExponent = 40
