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

// objects reads one JSON object a line. The first is the header: it must name what
// is wanted, if only with null; a later one may leave it out.
func (p *listReader) jsonRecipients(take func(producer.Recipient) bool) (rows int, err error) {
	var h *header
	var names []string // of the first object's members, by column
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

func (p *listReader) parseObject(line []byte, members map[string]json.RawMessage) error {
	if !utf8.Valid(line) {
		return p.lineError(p.line, "this is not UTF-8, which JSON has to be")
	}
	if line[0] != '{' {
		return p.lineError(p.line, "this is no JSON object: write one a line, such as {\"phone\": \"0712345678\"}")
	}
	if err := json.Unmarshal(line, &members); err != nil {
		hint := ""
		if p.in.n == 1 {
			hint = "; an object must stand on one line, as jq -c writes it"
		}
		return p.lineError(p.line, "this is no JSON object: %v%s", err, hint)
	}
	return nil
}

// member picks out of an object what is wanted.
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

// scalar writes a JSON value as text; null is empty.
func scalar(v json.RawMessage, isNumber bool) (string, bool) {
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

// written writes a JSON number without exponent and exactly, so that 254712345678.0
// and 2.54712345678e11 are 254712345678. Of a phone number with fewer digits than
// that it stays as it is: 2.54712E+11 has lost some.
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
		return s // 0.50 stays as it was written
	}
	if fraction = strings.TrimRight(fraction, "0"); fraction != "" {
		fraction = "." + fraction
	}
	return sign + whole + fraction
}

// maxExponent bounds what a number with an exponent is written out to.
const maxExponent = 40
