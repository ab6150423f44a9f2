package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// reader turns the nodes of a YAML document into values and collects everything
// that is wrong on the way, each with its line. It never repeats the value of a
// secret, nor what an environment variable held.
type reader struct {
	file, dir string
	lookup    func(string) (string, bool)
	problems  []problem
	// lacking takes what is only missing while an account is read; nil: problems does.
	lacking *[]problem
	// routeLines are the lines of the routes, which are checked after all accounts are known.
	routeLines []int
}

// entry is a key of the document with its value.
type entry struct {
	// name is the path from the top: "accounts.kobo.rate".
	name  string
	line  int
	value *yaml.Node
}

// problem is one mistake.
type problem struct {
	line int
	name string
	what string
}

// configError is everything that is wrong with a configuration.
type configError struct {
	file     string
	problems []problem
}

// Error returns a line for each mistake.
func (e *configError) Error() string {
	lines := make([]string, len(e.problems))
	for i, p := range e.problems {
		var b strings.Builder
		if e.file != "" {
			b.WriteString(e.file + ":")
		}
		if p.line > 0 {
			b.WriteString(strconv.Itoa(p.line) + ":")
		}
		for _, part := range []string{p.name, p.what} {
			if part == "" {
				continue
			}
			if b.Len() > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(part)
		}
		lines[i] = b.String()
	}
	return strings.Join(lines, "\n")
}

func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	slices.SortStableFunc(r.problems, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	return &configError{file: r.file, problems: r.problems}
}

func (r *reader) fail(e entry, format string, args ...any) {
	name := e.name
	if name != "" {
		name += ":"
	}
	r.problems = append(r.problems, problem{line: e.line, name: name, what: fmt.Sprintf(format, args...)})
}

// lack is fail for what is not there, as against what is wrong.
func (r *reader) lack(e entry, format string, args ...any) {
	if r.lacking == nil {
		r.fail(e, format, args...)
		return
	}
	*r.lacking = append(*r.lacking, problem{line: e.line, name: e.name + ":", what: fmt.Sprintf(format, args...)})
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// document parses the text and returns its top node, or nil.
func (r *reader) document(text []byte) *yaml.Node {
	var doc, next yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	err := d.Decode(&doc)
	if errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		return nil
	}
	if err == nil {
		if err = d.Decode(&next); err == nil {
			r.fail(entry{line: next.Line}, "a second document begins here; only one is read")
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
		// The library would name the anchor, and a password that begins with * is taken for one.
		what = "a value that begins with * or & must stand in quotes"
	}
	r.fail(e, "this is no YAML: %s", what)
	return nil
}

// section reads a mapping, each key by its own function.
func (r *reader) section(e entry, keys map[string]func(entry)) {
	seen := map[string]int{}
	for child := range r.entries(e) {
		key := child.name
		if e.name != "" {
			child.name = e.name + "." + key
		}
		if line, twice := seen[key]; twice {
			r.fail(child, "is there twice, also in line %d", line)
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

// entries yields the keys of a mapping as they are, without the path above them.
func (r *reader) entries(e entry) func(yield func(entry) bool) {
	return func(yield func(entry) bool) {
		n := resolve(e.value)
		switch {
		case n == nil || n.Tag == "!!null":
			return
		case n.Kind != yaml.MappingNode:
			r.fail(e, "must be a mapping: keys, each with a value")
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			child := entry{name: key.Value, line: key.Line, value: n.Content[i+1]}
			if key.Kind != yaml.ScalarNode || key.Tag == "!!merge" {
				r.fail(entry{name: e.name, line: key.Line}, "only plain keys are understood here")
				continue
			}
			if !yield(child) {
				return
			}
		}
	}
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// suggest names the known key that was probably meant, or all of them.
func suggest(key string, known []string) string {
	best, distance := "", 3
	for _, k := range known {
		if d := editDistance(key, k); d < distance {
			best, distance = k, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "there is " + strings.Join(known, ", ")
}

// editDistance counts the letters to add, drop or change between a and b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

var variable = regexp.MustCompile(`\$?\$\{[^}]*\}`)

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// text reads one value as text, with its ${VAR} filled in. It is false if there
// is nothing usable, which has then been said. A literal ${ is written $${.
func (r *reader) text(e entry) (string, bool) {
	n := resolve(e.value)
	switch {
	case n == nil || n.Tag == "!!null":
		r.lack(e, "has no value")
		return "", false
	case n.Kind != yaml.ScalarNode || !strings.HasPrefix(n.Tag, "!!"):
		r.fail(e, "must be one value; put it in quotes if it begins with a special character")
		return "", false
	}
	whole := true
	out := variable.ReplaceAllStringFunc(n.Value, func(v string) string {
		if strings.HasPrefix(v, "$$") {
			return v[1:]
		}
		name := v[2 : len(v)-1]
		if !variableName.MatchString(name) {
			r.fail(e, "%s names no environment variable; write $${ for a plain ${", v)
			whole = false
			return ""
		}
		value, set := r.lookup(name)
		if !set || value == "" {
			r.lack(e, "the environment variable %s is not set", name)
			whole = false
		}
		return value
	})
	return out, whole
}

// show is a value as it stands in the file, for a message.
func show(e entry) string {
	if n := resolve(e.value); n != nil {
		return fmt.Sprintf("%.60q", n.Value)
	}
	return `""`
}

func (r *reader) string(e entry, to *string) {
	if s, ok := r.text(e); ok {
		*to = s
	}
}

func (r *reader) bool(e entry, to *bool) {
	s, ok := r.text(e)
	switch {
	case !ok:
	case s == "true":
		*to = true
	case s == "false":
		*to = false
	default:
		r.fail(e, "%s must be true or false", show(e))
	}
}

// int reads a whole number from 1 to most.
func (r *reader) int(e entry, to *int, most int) {
	s, ok := r.text(e)
	if !ok {
		return
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > most {
		r.fail(e, "%s must be a whole number from 1 to %d", show(e), most)
		return
	}
	*to = n
}

func (r *reader) oneOf(e entry, to *string, words ...string) {
	s, ok := r.text(e)
	switch {
	case !ok:
	case slices.Contains(words, s):
		*to = s
	default:
		r.fail(e, "%s must be %s", show(e), strings.Join(words, " or "))
	}
}

func (r *reader) duration(e entry, to *time.Duration, least, most time.Duration) {
	s, ok := r.text(e)
	if !ok {
		return
	}
	d, err := parseDuration(s)
	switch {
	case err != nil:
		r.fail(e, "%s must be a time with its unit, such as 30s, 5m, 12h or 30d", show(e))
	case d < least || d > most:
		r.fail(e, "%s must be from %s to %s", show(e), least, most)
	default:
		*to = d
	}
}

// reconcileFor reads a time from a second on, or 0 for not at all.
func (r *reader) reconcileFor(e entry, to *time.Duration) {
	if s, _ := r.text(e); s == "0" || s == "0s" {
		*to = -1
		return
	}
	r.duration(e, to, time.Second, time.Hour)
}

var errNegative = errors.New("less than nothing")

// parseDuration is time.ParseDuration with days: "30d", "1d12h".
func parseDuration(s string) (time.Duration, error) {
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

// items returns the elements of a list, named after their place.
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
