package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// schemaPage is the page that these tests compare with the code. They parse its tables, so that each name is listed once.
const schemaPage = "../../../docs/redis-schema.md"

// neverWritten are the names on the page that runSchemaCampaigns does not write, each with the reason.
var neverWritten = map[string]string{
	"tuma:{<campaign>}:l delivered":            "delivery reports are not collected yet",
	"tuma:{<campaign>}:l undelivered":          "delivery reports are not collected yet",
	"tuma:{<campaign>}:l delivered:<stream>":   "delivery reports are not collected yet",
	"tuma:{<campaign>}:l undelivered:<stream>": "delivery reports are not collected yet",
	"tuma:{<campaign>}:l q<batch>.<call>":      "only after Redis has forgotten a claim whose recipients then moved; the model test of the ledger does that",
	"tuma:payloads +":                          "only when 100 other payloads are there",
}

// TestSchemaPageNamesWhatIsWritten runs campaigns of every kind and reads all writes from the append-only file of Redis.
// It compares keys, types, expiry, hash fields, JSON names and queues with the tables of the page.
func TestSchemaPageNamesWhatIsWritten(t *testing.T) {
	t.Parallel()
	page := readSchemaPage(t)
	server := redistest.Start(t, redistest.WithAOF("no"))
	rdb := server.Client()
	runSchemaCampaigns(t, rdb)
	dir, err := rdb.ConfigGet(t.Context(), "dir").Result()
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir["dir"], "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no append-only file in %s: %v", dir["dir"], err)
	}
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		err = readCommands(f, page.command)
		f.Close()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for _, problem := range page.problems() {
		t.Error(problem)
	}
}

// TestSchemaPageNamesWordsAndTags compares the layout of records with the constants that read them.
func TestSchemaPageNamesWordsAndTags(t *testing.T) {
	t.Parallel()
	page := readSchemaPage(t)
	prelude, err := os.ReadFile("../../ledger/prelude.lua")
	if err != nil {
		t.Fatal(err)
	}
	// The constants are lines such as: local A, B, C = 1, 2, 3
	lists := map[string]map[string]string{} // by the first name of a line: its names by value
	for _, m := range regexp.MustCompile(`(?m)^local ([A-Z_0-9, ]+) = ([0-9, ]+)$`).FindAllStringSubmatch(string(prelude), -1) {
		names, numbers := strings.Split(m[1], ", "), strings.Split(m[2], ", ")
		if len(names) != len(numbers) {
			t.Fatalf("prelude.lua: %d names and %d numbers in %q", len(names), len(numbers), m[0])
		}
		lists[names[0]] = map[string]string{}
		for i, n := range numbers {
			lists[names[0]][n] = names[i]
		}
	}
	for first, want := range map[string]map[string]string{"STATE": lists["STATE"], "T_UUID": lists["T_UUID"], "PERCENT": lists["PERCENT"]} {
		got := map[string]string{}
		for _, row := range page.tables["prelude "+first] {
			if name := strings.Trim(row[1], "`"); name != "" {
				got[row[0]] = name
			}
		}
		if len(want) == 0 || !maps.Equal(got, want) {
			t.Errorf("the page has the words %v, prelude.lua %v", got, want)
		}
	}

	status := map[string]string{"0": "pending"}
	for _, m := range regexp.MustCompile(`\[(\d)\] = '([a-z]+)'`).FindAllStringSubmatch(string(prelude), -1) {
		status[m[1]] = m[2]
	}
	for name, number := range map[string]string{"moved": numberOf(lists, "MOVED"), "skipped": numberOf(lists, "OPTED")} {
		status[number] = name
	}
	got := map[string]string{}
	for _, row := range page.tables["statuses"] {
		got[row[0]] = codes(row[1])[0]
	}
	if !maps.Equal(got, status) {
		t.Errorf("the page has the statuses %v, prelude.lua %v", got, status)
	}

	record, err := os.ReadFile("../../ledger/record.go")
	if err != nil {
		t.Fatal(err)
	}
	var tags, listed []string
	for _, m := range regexp.MustCompile(`(?m)^\ttag\w+ += (\d+)`).FindAllStringSubmatch(string(record), -1) {
		tags = append(tags, m[1])
	}
	for _, row := range page.tables["tags"] {
		listed = append(listed, row[0])
	}
	if len(tags) == 0 || !slices.Equal(tags, listed) {
		t.Errorf("the page has the tags %v, record.go %v", listed, tags)
	}
}

// numberOf returns the value of a constant that is alone on its line.
func numberOf(lists map[string]map[string]string, name string) string {
	for number := range lists[name] {
		return number
	}
	return "?"
}

// entry is a name on the page: a key, a field of a hash, or a name in a JSON text.
type entry struct {
	name    string
	pattern *regexp.Regexp
	kind    string              // type of a key
	expires bool                // the page says that the key expires
	expired bool                // a command set an expiry
	seen    bool                // a command has written it
	fields  []*entry            // fields of a hash, or nil if the page lists none
	json    map[string][]*entry // JSON names, by the field of a hash, or "" for a string
}

// schema is the parsed page, and the differences between the page and the writes.
type schema struct {
	tables map[string][][]string // rows of each table, by the text of its marker
	keys   []*entry
	queues []*entry
	wrong  map[string]bool // the differences
}

var (
	marker = regexp.MustCompile(`^<!-- checked: (.+) -->$`)
	code   = regexp.MustCompile("`([^`]+)`")
	part   = regexp.MustCompile(`<[a-z]+>`)
)

// codes returns the texts between backquotes.
func codes(cell string) (out []string) {
	for _, m := range code.FindAllStringSubmatch(cell, -1) {
		out = append(out, m[1])
	}
	return out
}

func readSchemaPage(t *testing.T) *schema {
	t.Helper()
	text, err := os.ReadFile(schemaPage)
	if err != nil {
		t.Fatal(err)
	}
	s := &schema{tables: map[string][][]string{}, wrong: map[string]bool{}}
	var names []string
	table, lines := "", 0
	for line := range strings.Lines(string(text)) {
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
		s.tables[table] = append(s.tables[table], cells[1:len(cells)-1])
	}
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

// say notes a difference between page and code, once.
func (s *schema) say(format string, args ...any) { s.wrong[fmt.Sprintf(format, args...)] = true }

// find returns the entry for a name and marks it as seen. An entry with exactly this name comes before an entry whose
// pattern matches. It returns nil if there is neither.
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

// command checks one command of the append-only file against the page.
func (s *schema) command(args []string) {
	name := strings.ToUpper(args[0])
	if len(args) < 2 {
		return
	}
	key := args[1]
	switch name {
	case "SELECT", "MULTI", "EXEC", "SCRIPT", "PUBLISH":
		return
	}
	if queue, ok := strings.CutPrefix(key, "asynq:{"); ok {
		queue, _, _ = strings.Cut(queue, "}")
		if find(s.queues, queue) == nil {
			s.say("queue %q is not on the page", queue)
		}
		return
	}
	if strings.HasPrefix(key, "asynq:") {
		return // a key of asynq, which the page does not describe
	}
	e := find(s.keys, key)
	if e == nil {
		s.say("key %q (%s) is not on the page", key, name)
		return
	}
	is := func(kind string) {
		if e.kind != kind {
			s.say("%s is a %s on the page; %s writes to it", e.name, e.kind, name)
		}
	}
	switch name {
	case "HSET", "HMSET", "HSETNX":
		is("hash")
		for i := 2; i+1 < len(args); i += 2 {
			s.field(e, args[i], args[i+1])
		}
	case "HINCRBY":
		is("hash")
		s.field(e, args[2], args[3])
	case "HDEL":
		is("hash")
	case "ZADD", "ZINCRBY", "ZREM", "ZREMRANGEBYSCORE":
		is("zset")
	case "SADD", "SREM":
		is("set")
	case "APPEND":
		is("string")
	case "SET":
		is("string")
		s.names(e, "", args[2])
		for _, a := range args[3:] {
			if a = strings.ToUpper(a); a == "EX" || a == "PX" || a == "EXAT" || a == "PXAT" {
				s.expire(e)
			}
		}
	case "EXPIRE", "PEXPIRE", "EXPIREAT", "PEXPIREAT":
		s.expire(e)
	case "RENAME":
		find(s.keys, args[2])
	case "DEL", "UNLINK", "PERSIST":
	default:
		s.say("%s writes to %s: the test does not know this command", name, e.name)
	}
}

func (s *schema) expire(e *entry) {
	e.expired = true
	if !e.expires {
		s.say("%s expires, and the page says that it does not", e.name)
	}
}

func (s *schema) field(e *entry, field, value string) {
	f := find(e.fields, field)
	if f == nil {
		s.say("field %q of %s is not on the page", field, e.name)
		return
	}
	if e.json[f.name] != nil {
		s.names(e, f.name, value)
	} else {
		s.names(e, "", value)
	}
}

// names checks the names in a JSON text, which may have other text before it.
func (s *schema) names(e *entry, field, value string) {
	listed := e.json[field]
	at := strings.IndexAny(value, "{[")
	if listed == nil || at < 0 {
		return
	}
	var v any
	if err := json.Unmarshal([]byte(value[at:]), &v); err != nil {
		s.say("%s %s does not hold JSON: %v", e.name, field, err)
		return
	}
	s.walk(e, field, "", v)
}

func (s *schema) walk(e *entry, field, path string, v any) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			s.walk(e, field, path, x)
		}
	case map[string]any:
		for name, x := range v {
			p := strings.TrimPrefix(path+"."+name, ".")
			if find(e.json[field], p) == nil {
				s.say("JSON name %q in %s %s is not on the page", p, e.name, field)
				continue
			}
			// Instead of the names below p, the page may give only the type of p.
			if slices.ContainsFunc(e.json[field], func(x *entry) bool { return strings.HasPrefix(x.name, p+".") }) {
				s.walk(e, field, p, x)
			}
		}
	}
}

// problems returns the differences found so far, and the names on the page that no command has written.
func (s *schema) problems() []string {
	check := func(name string, e *entry) {
		reason, excused := neverWritten[name]
		switch {
		case e.seen && excused:
			s.say("%s was written: take it out of neverWritten (%s)", name, reason)
		case !e.seen && !excused:
			s.say("%s is on the page and was never written", name)
		}
	}
	names := map[string]bool{}
	for _, k := range s.keys {
		check(k.name, k)
		if k.expires && k.seen && !k.expired {
			s.say("%s never expires, and the page says that it does", k.name)
		}
		for _, f := range k.fields {
			names[k.name+" "+f.name] = true
			check(k.name+" "+f.name, f)
		}
		for field, list := range k.json {
			for _, n := range list {
				check(strings.TrimSpace(k.name+" "+field)+" JSON "+n.name, n)
			}
		}
	}
	for _, q := range s.queues {
		check("queue "+q.name, q)
	}
	for name := range neverWritten {
		if !names[name] {
			s.say("neverWritten has %s, which is not on the page", name)
		}
	}
	return slices.Sorted(maps.Keys(s.wrong))
}

// readCommands calls do for each command of an append-only file: *2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n.
func readCommands(r io.Reader, do func(args []string)) error {
	in := bufio.NewReader(r)
	number := func(mark byte) (int, error) {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return 0, err
		}
		if line[0] == '#' { // an annotation
			return -1, nil
		}
		if line[0] != mark {
			return 0, fmt.Errorf("line %.40q must begin with %c", line, mark)
		}
		return strconv.Atoi(string(bytes.TrimSpace(line[1:])))
	}
	for {
		n, err := number('*')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n < 0 {
			continue
		}
		args := make([]string, n)
		for i := range args {
			size, err := number('$')
			if err != nil {
				return err
			}
			b := make([]byte, size+2)
			if _, err := io.ReadFull(in, b); err != nil {
				return err
			}
			args[i] = string(b[:size])
		}
		do(args)
	}
}

// scripted is a gateway in this process whose answers a test sets. It is safe for concurrent use.
type scripted struct {
	info providers.Info
	mu   sync.Mutex
	// answer returns the result for one recipient, nil to accept it, or an error for the call. tries counts the
	// submissions of that recipient. Without answer everything is accepted.
	answer func(to sms.MSISDN, tries int) (*providers.Result, error)
	tries  map[sms.MSISDN]int
	credit float64
}

// Info implements providers.Provider.
func (g *scripted) Info() providers.Info { return g.info }

// Balance implements providers.Balancer.
func (g *scripted) Balance(context.Context) (providers.Balance, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return providers.Balance{Amount: g.credit, Currency: "KES"}, nil
}

func (g *scripted) answers(f func(to sms.MSISDN, tries int) (*providers.Result, error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.answer, g.tries = f, map[sms.MSISDN]int{}
}

// Send implements providers.Provider.
func (g *scripted) Send(_ context.Context, b providers.Batch) ([]providers.Result, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]providers.Result, len(b.To))
	for i, to := range b.To {
		out[i] = providers.Result{Outcome: providers.Accepted, MessageID: "m-" + to.String()}
		if g.answer == nil {
			continue
		}
		g.tries[to]++
		r, err := g.answer(to, g.tries[to])
		if err != nil {
			return nil, err
		}
		if r != nil {
			out[i] = *r
		}
	}
	return out, nil
}
