package qserve

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// object is a JSON object whose names are distinct: what says two things under one
// name is no answer.
type object map[string]json.RawMessage

var errNoObject = errors.New("not an object with distinct names")

// UnmarshalJSON reads an object and nothing else.
func (o *object) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return errNoObject
	}
	read := object{}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if _, twice := read[name]; err != nil || !ok || twice {
			return errNoObject
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
		read[name] = value
	}
	*o = read
	return nil
}

// text returns what stands under a name, be it a string or a number, without white
// space around. It is empty for null and for what is not there, and not ok for
// anything else.
func (o object) text(name string) (text string, ok bool) {
	raw := o[name]
	switch {
	case len(raw) == 0, string(raw) == "null":
		return "", true
	case raw[0] == '"':
		err := json.Unmarshal(raw, &text)
		return strings.TrimSpace(text), err == nil
	case raw[0] == '-', '0' <= raw[0] && raw[0] <= '9':
		return string(raw), true
	}
	return "", false
}
