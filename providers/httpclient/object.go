package httpclient

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// Object is a JSON object in which each name occurs once. Names that differ only in case count as
// the same name. A reply with two values under the same name is ambiguous, and encoding/json would
// silently use the last one. The values are raw JSON. json.Unmarshal and ReadObject create an
// Object. A nil Object is an empty object.
type Object map[string]json.RawMessage

var errNoObject = errors.New("must be a JSON object in which each name occurs once")

// ReadObject parses a text that is exactly one Object, with optional white space around it. The
// result "ok" is false for any other text.
func ReadObject(text []byte) (o Object, ok bool) {
	if !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) {
		return nil, false // not an object; a long text, such as a web page, is not parsed
	}
	ok = json.Unmarshal(text, &o) == nil
	return o, ok
}

// UnmarshalJSON parses an object. It returns an error for any other value, and if two names are equal
// or differ only in case.
func (o *Object) UnmarshalJSON(text []byte) error {
	var read map[string]json.RawMessage
	if err := json.Unmarshal(text, &read); err != nil || read == nil {
		return errNoObject
	}
	names := make(map[string]struct{}, len(read))
	for name := range read {
		names[strings.ToLower(name)] = struct{}{}
	}
	if len(names) != members(text) {
		return errNoObject
	}
	*o = read
	return nil
}

// members counts the members of an object, which must be valid JSON. The length of the parsed map
// may be smaller, because members with the same name share one map entry.
func members(object []byte) (n int) {
	depth, inString, commas, empty := 0, false, 0, true
	for i := 0; i < len(object); i++ {
		switch c := object[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
			empty = false // an object with a member has at least one string: the member's name
		case inString:
		case c == '{', c == '[':
			depth++
		case c == '}', c == ']':
			depth--
		case c == ',' && depth == 1:
			commas++
		}
	}
	if empty {
		return 0
	}
	return commas + 1
}

// Text returns the value under the given name as text: a string without quotes, a number as written.
// For null and for a missing name it returns "" and true. The result "ok" is false for any other
// value.
func (o Object) Text(name string) (text string, ok bool) {
	raw := o[name]
	switch {
	case isNothing(raw):
		return "", true
	case raw[0] == '"':
		ok = json.Unmarshal(raw, &text) == nil
		return text, ok
	case raw[0] == '-', '0' <= raw[0] && raw[0] <= '9':
		return string(raw), true
	}
	return "", false
}

// List returns the elements of the array under the given name. For null and for a missing name it
// returns nil and true. For an empty array it returns an empty non-nil slice. The result "ok" is
// false for any other value.
func (o Object) List(name string) (elements []json.RawMessage, ok bool) {
	raw := o[name]
	if isNothing(raw) {
		return nil, true
	}
	ok = json.Unmarshal(raw, &elements) == nil
	return elements, ok
}

// Object returns the Object under the given name. The result "ok" is false if the value is missing or
// is not an Object.
func (o Object) Object(name string) (inner Object, ok bool) { return ReadObject(o[name]) }

func isNothing(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
