package e2e

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// entry is a name on the page: a key, a field of a hash, or a name in a JSON text.
type entry struct {
	name    string
	pattern *regexp.Regexp
	kind    string              // type of a key
	expires bool                // true if the key expires according to the page
	expired bool                // true if Tuma has set an expiry of the key
	seen    bool                // true if Tuma has written the key, field or name
	fields  []*entry            // fields of a hash, or nil if the page lists no fields
	json    map[string][]*entry // maps a hash field to the JSON names in it; the field "" is for a key that is a string
}

// schema is the parsed page docs/redis-schema.md. It also collects the differences between this
// page and what Tuma has written to Redis.
type schema struct {
	tables map[string][][]string // maps the text of a table's marker to the rows of the table
	keys   []*entry
	queues []*entry
	wrong  map[string]bool // differences between the page and Redis
}

var (
	marker = regexp.MustCompile(`^<!-- checked: (.+) -->$`)
	code   = regexp.MustCompile("`([^`]+)`")
	part   = regexp.MustCompile(`<[a-z]+>`)
)

// The function "codes" returns the texts between backquotes.
func codes(cell string) (out []string) {
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		out = append(out, m[1])
	}
	return out
}

// readSchemaTables returns the rows of those tables on the page that have a marker. A marker is the
// line "<!-- checked: TEXT -->" before the table. The result "tables" maps each TEXT to its rows. The result "names"
// has the TEXTs in the order of the page.
func readSchemaTables(page string) (tables map[string][][]string, names []string) {
	tables = map[string][][]string{}
	table, lines := "", 0
	for line := range strings.Lines(page) {
		line = strings.TrimSpace(line)
		if m := marker.FindStringSubmatch(line); m != nil {
			table, lines = m[1], 0
			names = append(names, table)
			continue
		}
		if !strings.HasPrefix(line, "|") {
			if line != "" {
				table = ""
			}
			continue
		}
		if lines++; table == "" || lines < 3 { // the first two lines are the heading of the table
			continue
		}
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(strings.ReplaceAll(cells[i], "\x00", "|"))
		}
		tables[table] = append(tables[table], cells[1:len(cells)-1])
	}
	return tables, names
}

// readSchemaPage parses the page.
func readSchemaPage(t *testing.T) *schema {
	t.Helper()
	text, err := os.ReadFile(schemaPage)
	if err != nil {
		t.Fatal(err)
	}
	tables, names := readSchemaTables(string(text))
	s := &schema{tables: tables, wrong: map[string]bool{}}
	parts := map[string]string{}
	for _, row := range s.tables["parts"] {
		parts[codes(row[0])[0]] = codes(row[1])[0]
	}
	pattern := func(name string) *regexp.Regexp {
		quoted := regexp.QuoteMeta(name)
		return regexp.MustCompile("(?s)^" + part.ReplaceAllStringFunc(quoted, func(p string) string {
			if parts[p] == "" {
				t.Fatalf("%s: %s in %q is not in the table of parts", schemaPage, p, name)
			}
			return "(?:" + parts[p] + ")"
		}) + "$")
	}
	list := func(table string) (out []*entry) {
		for _, row := range s.tables[table] {
			for _, name := range codes(row[0]) {
				out = append(out, &entry{name: name, pattern: pattern(name)})
			}
		}
		return out
	}
	for _, row := range s.tables["keys"] {
		name := codes(row[0])[0]
		s.keys = append(s.keys, &entry{name: name, pattern: pattern(name), kind: row[1], expires: row[2] != "no", json: map[string][]*entry{}})
	}
	for _, table := range names {
		what, rest, _ := strings.Cut(table, " ")
		if what != "fields" && what != "json" {
			continue
		}
		name, field, _ := strings.Cut(rest, " ")
		i := slices.IndexFunc(s.keys, func(e *entry) bool { return e.name == name })
		if i < 0 || len(s.tables[table]) == 0 {
			t.Fatalf("%s: %q has no rows, or is about a key that is not in the table of keys", schemaPage, table)
		}
		if what == "fields" {
			s.keys[i].fields = list(table)
		} else {
			s.keys[i].json[field] = list(table)
		}
	}
	s.queues = list("queues")
	if len(s.keys) == 0 || len(s.queues) == 0 {
		t.Fatalf("%s has no table of keys, or of queues", schemaPage)
	}
	return s
}

// The method "say" records a difference between the page and the code. It records each text only once.
func (s *schema) say(format string, args ...any) { s.wrong[fmt.Sprintf(format, args...)] = true }

// The function "find" returns the entry for a name and marks it as seen. It prefers an entry with exactly this name
// to an entry whose pattern matches. It returns nil if it finds neither of them.
func find(entries []*entry, name string) *entry {
	for _, e := range entries {
		if e.name == name {
			e.seen = true
			return e
		}
	}
	for _, e := range entries {
		if e.pattern.MatchString(name) {
			e.seen = true
			return e
		}
	}
	return nil
}
