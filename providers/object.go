package providers

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// Object is a JSON object, strictly read: its names are distinct, whatever their
// case, since what says two things under one name is no answer, and encoding/json
// would silently take the last. The values are as they are written. It is read with
// json.Unmarshal or ReadObject; a nil one has nothing under any name.
type Object map[string]json.RawMessage

var errNoObject = errors.New("not a JSON object with distinct names")

// ReadObject reads a text that is one Object and nothing else.
func ReadObject(text []byte) (o Object, ok bool) {
	if !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) {
		return nil, false // at once, however long it is
	}
	ok = json.Unmarshal(text, &o) == nil
	return o, ok
}

// UnmarshalJSON reads an object. It errs on any other value and on names that differ
// in their case only.
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

// members counts the members of an object that is known to be valid JSON. A map of
// them has forgotten those whose names stood there before.
func members(object []byte) (n int) {
	depth, inString, commas, empty := 0, false, 0, true
	for i := 0; i < len(object); i++ {
		switch c := object[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
			empty = false // before its first value an object has a name
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

// Text returns the string under a name, or the number as it is written. It is empty
// for null and for what is not there, and not ok for anything else.
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

// List returns the elements of the array under a name. It is nil for null and for
// what is not there, empty but not nil for an array without elements, and not ok for
// anything else.
func (o Object) List(name string) (elements []json.RawMessage, ok bool) {
	raw := o[name]
	if isNothing(raw) {
		return nil, true
	}
	ok = json.Unmarshal(raw, &elements) == nil
	return elements, ok
}

// Object returns the Object under a name. It is not ok if there is none.
func (o Object) Object(name string) (inner Object, ok bool) { return ReadObject(o[name]) }

func isNothing(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }
