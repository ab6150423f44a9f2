package recipients

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/sms"
)

// jsonRecipients reads one JSON object per line. The first object serves as the header: it
// must have every wanted member, which may be null. Later objects may omit members.
func (p *listReader) jsonRecipients(take func(producer.Recipient) bool) (rows int, err error) {
	var h *header
	var names []string // members of the first object, sorted
	members := map[string]json.RawMessage{}
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
		clear(members)
		if err := p.parseObject(line, members); err != nil {
			return rows, err
		}
		if h == nil {
			names = slices.Sorted(maps.Keys(members))
			if h, err = p.matchHeader(names); err == nil && h == nil {
				err = p.noNumberColumn(names)
			}
			if err != nil {
				return rows, p.lineError(p.line, "%s", strings.ReplaceAll(err.Error(), "header", "first object"))
			}
		}
		rows++
		r, err := p.recipientFromObject(members, names, h)
		if err != nil || !take(r) {
			return rows, err
		}
	}
}

// parseObject parses one line into members.
func (p *listReader) parseObject(line []byte, members map[string]json.RawMessage) error {
	if !utf8.Valid(line) {
		return p.lineError(p.line, "the line is not valid UTF-8: save the JSON as UTF-8")
	}
	if line[0] != '{' {
		return p.lineError(p.line, "the line is not a JSON object: write one object per line, e.g. {\"phone\": \"0712345678\"}")
	}
	if err := json.Unmarshal(line, &members); err != nil {
		hint := ""
		if p.in.n == 1 {
			hint = "; an object must be on one line, as jq -c writes it"
		}
		return p.lineError(p.line, "the line is not a JSON object: %v%s", err, hint)
	}
	return nil
}

// recipientFromObject returns the number and fields of one object. names are the members of
// the first object; instead of a wanted member, a member with the same sms.FieldKey is
// accepted.
func (p *listReader) recipientFromObject(members map[string]json.RawMessage, names []string, h *header) (producer.Recipient, error) {
	find := func(name string) json.RawMessage {
		if v, ok := members[name]; ok {
			return v
		}
		for other, v := range members {
			if sms.FieldKey(other) == sms.FieldKey(name) {
				return v
			}
		}
		return nil
	}
	for i, key := range p.o.Fields {
		name := names[h.fields[i]]
		value, ok := scalar(find(name), false)
		if !ok {
			return producer.Recipient{}, p.lineError(p.line, "%.30q must be a string or a number", name)
		}
		if value = strings.TrimSpace(value); len(value) > MaxField {
			return producer.Recipient{}, p.fieldTooLong(key, len(value))
		}
		p.fields[key] = value
	}
	number, ok := scalar(find(names[h.number]), true)
	if !ok {
		return producer.Recipient{}, p.lineError(p.line, "%.30q must be a string or a number", names[h.number])
	}
	return producer.Recipient{Number: number, Fields: p.fields}, nil
}

// scalar converts a JSON value to text. null becomes "". ok is false for an object or array.
// isNumber is true for the phone number.
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

// written converts a JSON number to decimal notation, without rounding: 254712345678.0 and
// 2.54712345678e11 become 254712345678. A phone number with too few digits for its exponent,
// such as 2.54712E+11, is returned unchanged, because its last digits are lost.
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
		return s // unchanged, to keep the trailing zero of 0.50
	}
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction
}

// maxExponent is the largest absolute value of an exponent that is converted to digits.
const maxExponent = 40
