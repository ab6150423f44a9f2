package connectmedia

import (
	"bytes"
	"encoding/json"
	"errors"
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

// text returns what stands under a name, be it a string or a number, and nothing for
// anything else.
func (o object) text(name string) string {
	raw := o[name]
	switch {
	case len(raw) == 0:
		return ""
	case raw[0] == '"':
		var text string
		if json.Unmarshal(raw, &text) != nil {
			return ""
		}
		return text
	case raw[0] == '-', '0' <= raw[0] && raw[0] <= '9':
		return string(raw)
	}
	return ""
}
