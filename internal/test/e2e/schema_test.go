package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// schemaPage is the page that these tests compare with the code. The tests take the names from the tables of the page,
// so a name is not listed a second time in the tests.
const schemaPage = "../../../docs/redis-schema.md"

// neverWritten has the names in docs/redis-schema.md that runSchemaCampaigns does not write. It maps each name to the
// reason.
var neverWritten = map[string]string{
	"tuma:{<campaign>}:l q<batch>.<call>": "only after Redis has forgotten a claim whose recipients then moved; the model test of the ledger does that",
	"tuma:webhook:{<webhook>}:dead":       deadWebhooks,
	"tuma:webhook:{<webhook>}:dead m":     deadWebhooks,
	"tuma:webhook:{<webhook>}:dead r":     deadWebhooks,
	"tuma:payloads +":                     "only when 100 other payloads are there",
}

const deadWebhooks = "only 24 hours after the first attempt; the test of the webhooks does that"

// TestSchemaPage_NamesWhatIsWritten runs campaigns of every kind and reads all writes from the append-only file of Redis.
// It compares keys, types, expiry, hash fields, JSON names and queues with the tables of the page.
func TestSchemaPage_NamesWhatIsWritten(t *testing.T) {
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

// TestSchemaPage_NamesWordsAndTags checks three kinds of tables on the page. The words of records and the statuses must
// equal the constants in prelude.lua. The tags must equal the tags in record.go.
func TestSchemaPage_NamesWordsAndTags(t *testing.T) {
	t.Parallel()
	page := readSchemaPage(t)
	prelude, err := os.ReadFile("../../ledger/prelude.lua")
	if err != nil {
		t.Fatal(err)
	}
	lists := preludeConstants(t, string(prelude))
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

// preludeConstants returns the constants of prelude.lua. It reads lines such as
// "local A, B, C = 1, 2, 3". The result has one entry for each line: the key is the first name of the
// line (A), and the entry maps each value to its name (1 to A, 2 to B).
func preludeConstants(t *testing.T, prelude string) map[string]map[string]string {
	t.Helper()
	lists := map[string]map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^local ([A-Z_0-9, ]+) = ([0-9, ]+)$`).FindAllStringSubmatch(prelude, -1) {
		names, numbers := strings.Split(m[1], ", "), strings.Split(m[2], ", ")
		if len(names) != len(numbers) {
			t.Fatalf("prelude.lua: %d names and %d numbers in %q", len(names), len(numbers), m[0])
		}
		lists[names[0]] = map[string]string{}
		for i, n := range numbers {
			lists[names[0]][n] = names[i]
		}
	}
	return lists
}

// numberOf returns the value of the constant with this name, which prelude.lua must declare on a line without other
// constants. The parameter "lists" is the result of preludeConstants.
func numberOf(lists map[string]map[string]string, name string) string {
	for number := range lists[name] {
		return number
	}
	return "?"
}
