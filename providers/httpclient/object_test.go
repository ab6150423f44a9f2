package httpclient

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestReadObject_AcceptsOnlyOneObject(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		`{}`: {}, " {\"a\":1,\n\"b\":{\"a\":1}} ": {"a", "b"}, `{"":null}`: {""}, `{"\u0061":1,"é":2}`: {"a", "é"}, `{"a":{"x":1,"x":2}}`: {"a"},
	} {
		o, ok := ReadObject([]byte(text))
		names := []string{}
		for name := range o {
			names = append(names, name)
		}
		if slices.Sort(names); !ok || !slices.Equal(names, want) {
			t.Errorf("%s: got the names %q and ok %v, want all names and true", text, names, ok)
		}
	}
	for _, text := range []string{
		``, `null`, `1`, `"a"`, `[]`, `[{"a":1}]`, `{"a":1}{}`, `{"a":1} x`, `{"a":1,}`, `{"a"}`, `{"a":1`, `{a:1}`, `<html>`,
		`{"a":1,"a":1}`, `{"a":1,"b":2,"a":null}`, `{"a":1,"A":2}`, `{"É":1,"é":2}`, `{"a":1,"\u0061":2}`, strings.Repeat(`{"a":`, 1<<16),
	} {
		if o, ok := ReadObject([]byte(text)); ok || o != nil {
			t.Errorf("%.40s: got %v, want no Object", text, o)
		}
	}
	var list []Object
	if json.Unmarshal([]byte(`[{"a":1},{"b":1}]`), &list) != nil || len(list) != 2 || list[1]["b"] == nil {
		t.Errorf("a list of objects: got %v, want two objects", list)
	}
	if json.Unmarshal([]byte(`[{"a":1},null]`), &list) == nil {
		t.Error("a list with null: got no error, want one")
	}
}

func TestObject_TextAndList(t *testing.T) {
	t.Parallel()
	o, _ := ReadObject([]byte(`{"s":" é\n ","e":"","i":-12,"f":1.50,"x":1e3,"n":null,"t":true,"l":[1,{"a":2},null],"o":{"a":"b"},"p":[],"twice":{"a":1,"a":2}}`))
	for name, want := range map[string]string{
		"s": " é\n /true", "e": "/true", "i": "-12/true", "f": "1.50/true", "x": "1e3/true", "n": "/true", "missing": "/true", "S": "/true",
		"t": "/false", "l": "/false", "o": "/false",
	} {
		if text, ok := o.Text(name); fmt.Sprintf("%s/%v", text, ok) != want {
			t.Errorf("Text(%s): got %q %v, want the text of the case", name, text, ok)
		}
	}
	for name, want := range map[string]string{
		"l": `[1 {"a":2} null] true false`, "p": "[] true false", "n": "[] true true", "missing": "[] true true", "s": "[] false true", "o": "[] false true", "t": "[] false true",
	} {
		elements, ok := o.List(name)
		if got := fmt.Sprintf("%s %v %v", elements, ok, elements == nil); got != want {
			t.Errorf("list %s: got %s, want %s", name, got, want)
		}
	}
	for name, want := range map[string]bool{"o": true, "n": false, "missing": false, "l": false, "s": false, "twice": false} {
		inner, ok := o.Object(name)
		if text, _ := inner.Text("a"); ok != want || ok && text != "b" {
			t.Errorf("Object(%s): got %v and ok %v, want those of the case", name, inner, ok)
		}
	}
	if text, ok := Object(nil).Text("a"); text != "" || !ok {
		t.Errorf("a nil Object: got %q %v, want an empty text and true", text, ok)
	}
}

// FuzzReadObject compares ReadObject with encoding/json.
func FuzzReadObject(f *testing.F) {
	for _, seed := range []string{`{"code":"201","message":" Message Sent Successfully!"}`, `{"a":1,"A":2}`, `{"l":[1,{}],"n":null}`, `[]`, `null`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		o, ok := ReadObject(text)
		var plain map[string]json.RawMessage
		err := json.Unmarshal(text, &plain)
		if want := err == nil && plain != nil && distinct(text); ok != want || ok != (o != nil) || ok && len(plain) != len(o) {
			t.Fatalf("%q: got %v and ok %v, want an Object exactly for an object with distinct names; the error of encoding/json: %v", text, o, ok, err)
		}
		for name, raw := range o {
			if string(plain[name]) != string(raw) {
				t.Fatalf("%q: the value of %s is %s, want the value that encoding/json reads", text, name, raw)
			}
			if said, ok := o.Text(name); !ok && said != "" {
				t.Fatalf("%q: Text(%s) is not ok but returned %q, want an empty text", text, name, said)
			}
			if list, ok := o.List(name); ok && list != nil && raw[0] != '[' {
				t.Fatalf("%q: List returned elements for %s, which is not an array", text, name)
			}
		}
	})
}

// distinct reports whether the names in a valid object are distinct. It reads the names one by one.
func distinct(object []byte) bool {
	d := json.NewDecoder(bytes.NewReader(object))
	seen := map[string]bool{}
	_, _ = d.Token()
	for d.More() {
		token, _ := d.Token()
		var value json.RawMessage
		name := strings.ToLower(fmt.Sprint(token))
		if d.Decode(&value) != nil || seen[name] {
			return false
		}
		seen[name] = true
	}
	return true
}

func ExampleObject() {
	o, _ := ReadObject([]byte(`{"code":201,"message":"Message Sent"}`))
	code, _ := o.Text("code")
	message, _ := o.Text("message")
	fmt.Println(code, message)
	_, ok := ReadObject([]byte(`{"code":201,"code":100}`))
	fmt.Println(ok)
	// Output:
	// 201 Message Sent
	// false
}
