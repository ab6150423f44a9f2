package config

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tuma-sms/tuma/providers"
)

// reader converts the nodes of a YAML document to values. It collects all mistakes with their
// lines. Its messages never contain a secret or the value of an environment variable.
type reader struct {
	// The field "file" is the name of the configuration file, for messages. The field "dir" is the
	// directory of this file. Relative names of secret files start in this directory.
	file, dir string
	lookup    func(string) (string, bool)
	// kinds are the providers that an account may name.
	kinds    []providers.Kind
	problems []problem
	// The field "lacking" collects missing values while an account is read. If it is nil, missing
	// values are added to the field "problems".
	lacking *[]problem
	// The field "sum" is the hash of all texts that were read from files. It is nil if the hash is not
	// needed.
	sum hash.Hash
	// routeLines are the lines of the routes. Routes are checked when all accounts are known.
	routeLines []int
}

// entry is a key of the document and its value.
type entry struct {
	// name is the path from the top of the document, such as "accounts.kobo.rate".
	name  string
	line  int
	value *yaml.Node
}

// The method "err" returns the collected mistakes in the order of their lines. It returns nil if
// the document has no mistakes.
func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	return &Error{file: r.file, problems: r.problems}
}

// fail records a mistake.
func (r *reader) fail(e entry, format string, args ...any) {
	name := e.name
	if name != "" {
		name += ":"
	}
	r.problems = append(r.problems, problem{line: e.line, name: name, what: fmt.Sprintf(format, args...)})
}

// The method "lack" records that a value is missing. In an account, a missing value is not yet a
// mistake, because only commands that use the account fail.
func (r *reader) lack(e entry, format string, args ...any) {
	if r.lacking == nil {
		r.fail(e, format, args...)
		return
	}
	*r.lacking = append(*r.lacking, problem{line: e.line, name: e.name + ":", what: fmt.Sprintf(format, args...)})
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// The method "document" parses the text. It returns the top node, or nil.
func (r *reader) document(text []byte) *yaml.Node {
	var doc, next yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	err := d.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return nil
	}
	if err == nil {
		if err = d.Decode(&next); err == nil {
			r.fail(entry{line: next.Line}, "a second YAML document starts here; the file must hold only one document")
		}
		if err == nil || errors.Is(err, io.EOF) {
			return doc.Content[0]
		}
	}
	e := entry{}
	what := err.Error()
	if m := yamlLine.FindStringSubmatch(what); m != nil {
		e.line, _ = strconv.Atoi(m[1])
		what = m[2]
	}
	if strings.Contains(what, "anchor") {
		// YAML reads a password that begins with * as an alias. The error of the YAML library
		// would print this password.
		what = "a value that begins with * or & must be in quotes"
	}
	r.fail(e, "invalid YAML: %s", what)
	return nil
}

// The method "section" reads a mapping. For each key it calls the function in the parameter
// "keys". It records unknown and repeated keys as mistakes.
func (r *reader) section(e entry, keys map[string]func(entry)) {
	seen := map[string]int{}
	for child := range r.entries(e) {
		key := child.name
		if e.name != "" {
			child.name = e.name + "." + key
		}
		if line, twice := seen[key]; twice {
			r.fail(child, "is set twice: the first time is in line %d", line)
			continue
		}
		seen[key] = child.line
		read, known := keys[key]
		if !known {
			r.fail(child, "unknown key; %s", suggest(key, slices.Sorted(maps.Keys(keys))))
			continue
		}
		read(child)
	}
}

// entries yields each key of a mapping with its value. The name of a yielded entry is the key alone,
// without the path to the mapping.
func (r *reader) entries(e entry) func(yield func(entry) bool) {
	return func(yield func(entry) bool) {
		n := resolve(e.value)
		switch {
		case n == nil || n.Tag == "!!null":
			return
		case n.Kind != yaml.MappingNode:
			r.fail(e, "must be a mapping of keys to values")
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			child := entry{name: key.Value, line: key.Line, value: n.Content[i+1]}
			if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				r.fail(entry{name: e.name, line: key.Line}, "only plain keys are allowed here: write out the keys instead of a merge (<<) or a nested key")
				continue
			}
			if !yield(child) {
				return
			}
		}
	}
}

// The function "resolve" follows YAML aliases, and returns the node to which they refer.
func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

var variable = regexp.MustCompile(`\$?\$\{[^}]*\}`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// The method "text" reads one value as text, and replaces ${VAR} by the environment variable. $${
// stands for a literal ${. If the value cannot be used, the method records the mistake and returns
// false.
func (r *reader) text(e entry) (string, bool) {
	n := resolve(e.value)
	switch {
	case n == nil || n.Tag == "!!null":
		r.lack(e, "has no value")
		return "", false
	case n.Kind != yaml.ScalarNode || !strings.HasPrefix(n.Tag, "!!"):
		r.fail(e, "must be a single value; put it in quotes if it begins with a special character")
		return "", false
	}
	whole := true
	out := variable.ReplaceAllStringFunc(n.Value, func(v string) string {
		if strings.HasPrefix(v, "$$") {
			return v[1:]
		}
		name := v[2 : len(v)-1]
		if !variableName.MatchString(name) {
			r.fail(e, "%s is not a variable name such as ${KOBO_USER}; write $${ for a literal ${", v)
			whole = false
			return ""
		}
		value, set := r.lookup(name)
		if !set || value == "" {
			r.lack(e, "environment variable %s is not set", name)
			whole = false
		}
		return value
	})
	return out, whole
}

// The function "show" returns the unchanged value in the file for a message, in quotes and
// shortened to 60 characters.
func show(e entry) string {
	if n := resolve(e.value); n != nil {
		return fmt.Sprintf("%.60q", n.Value)
	}
	return `""`
}

// The method "string" reads a text into the parameter "target". If the text is not valid, it
// records the mistake and leaves the target unchanged. The methods "int", "oneOf" and "duration"
// handle their values in the same way.
func (r *reader) string(e entry, target *string) {
	if s, ok := r.text(e); ok {
		*target = s
	}
}

func (r *reader) bool(e entry, target *bool) {
	s, ok := r.text(e)
	switch {
	case !ok:
	case s == "true":
		*target = true
	case s == "false":
		*target = false
	default:
		r.fail(e, "%s must be true or false", show(e))
	}
}

// The method "int" reads an integer into the parameter "target". The integer must be from 1 to the
// parameter "most".
func (r *reader) int(e entry, target *int, most int) {
	s, ok := r.text(e)
	if !ok {
		return
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		r.fail(e, "%s must be an integer from 1 to %d", show(e), most)
		return
	}
	*target = n
}

// oneOf reads a value into the parameter "target". The value must be one of the words.
func (r *reader) oneOf(e entry, target *string, words ...string) {
	s, ok := r.text(e)
	switch {
	case !ok:
	case slices.Contains(words, s):
		*target = s
	default:
		r.fail(e, "%s must be %s", show(e), orList(words))
	}
}

// orList joins words to "a, b or c".
func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// The method "duration" reads a duration into the parameter "target". The duration must be from
// the parameter "least" to the parameter "most". The unit "d" stands for 24 hours.
func (r *reader) duration(e entry, target *time.Duration, least, most time.Duration) {
	s, ok := r.text(e)
	if !ok {
		return
	}
	d, err := ParseDuration(s)
	switch {
	case err != nil:
		r.fail(e, "%s must be a duration with its unit, e.g. 30s, 5m, 12h or 30d", show(e))
	case d < least || d > most:
		r.fail(e, "%s must be from %s to %s", show(e), least, most)
	default:
		*target = d
	}
}

// reconcileFor reads a duration from one second to one hour. 0 disables reconciliation and is
// stored as -1.
func (r *reader) reconcileFor(e entry, target *time.Duration) {
	if s, _ := r.text(e); s == "0" || s == "0s" {
		*target = -1
		return
	}
	r.duration(e, target, time.Second, time.Hour)
}

var errNegative = errors.New("must not be negative")

// ParseDuration is like time.ParseDuration, but also accepts days, as in "30d" or "1d12h". It
// refuses a negative duration.
func ParseDuration(s string) (time.Duration, error) {
	var days time.Duration
	if before, after, found := strings.Cut(s, "d"); found {
		n, err := strconv.ParseUint(before, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("parse duration %q: %w", s, err)
		}
		days, s = time.Duration(n)*24*time.Hour, after
		if s == "" {
			return days, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = errNegative
	}
	return days + d, err
}

// The method "items" returns the elements of a list. The name of an element has its index, such as
// "routes[0]".
func (r *reader) items(e entry) []entry {
	n := resolve(e.value)
	if n == nil || n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(e, "must be a list")
		return nil
	}
	out := make([]entry, len(n.Content))
	for i, item := range n.Content {
		out[i] = entry{name: fmt.Sprintf("%s[%d]", e.name, i), line: item.Line, value: item}
	}
	return out
}
