package main

import (
	"flag"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the table of folders in docs/architecture.md")

// refuseImports returns a message for each import of a file that the rules do not allow.
func refuseImports(file parsed) []string {
	var refused []string
	folder := path.Dir(file.name)
	// A folder must have a rule even if it imports no other folder of this module.
	if ruleOf(folder) == nil {
		refused = append(refused, file.name+": "+refuseFolder(folder, ""))
	}
	for _, spec := range file.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // this cannot happen, because the parser has checked the import path
		}
		why := ""
		if imported, ours := strings.CutPrefix(name, module+"/"); !ours {
			why = refuseLibrary(folder, name, isTest(file.name))
		} else if !isTest(file.name) {
			why = refuseFolder(folder, imported)
		}
		if why != "" {
			refused = append(refused, file.at(spec)+": "+folder+" must not import "+name+": "+why)
		}
	}
	return refused
}

// Every import of every Go file must be allowed. The test parses the files instead of using "go
// list", so that it also checks files for other operating systems.
func TestImports_AreAllowed(t *testing.T) {
	t.Parallel()
	n := 0
	for file := range goFiles(t) {
		n += len(file.Imports)
		for _, refused := range refuseImports(file) {
			t.Error(refused)
		}
	}
	if n < 1000 {
		t.Errorf("found only %d imports, want at least 1000: the test reads the wrong folder", n)
	}
}

func TestImportRules_AreInOrder(t *testing.T) {
	t.Parallel()
	for _, wrong := range misplaced(folderRules) {
		t.Error(wrong)
	}
	got := misplaced([]folderRule{
		{folder: "low", importers: []string{"middle", "high"}},
		{folder: "middle", may: []string{"low"}},
		{folder: "high", may: everything},
		{folder: "wrong/*", may: []string{"low", "wrong/*", "last", "nowhere"}, importers: []string{"low", "wrong/*", "last", "nowhere"}},
		{folder: "last"},
		{folder: "low"},
	})
	want := []string{
		"low has two rules",
		"wrong/* may import low, whose rule must come earlier", // the second rule of "low" comes after the rule of wrong/*
		"wrong/* may import wrong/*, whose rule must come earlier",
		"wrong/* may import last, whose rule must come earlier",
		"wrong/* may import nowhere, whose rule must come earlier",
		"wrong/* is for wrong/*, whose rule must come later",
		"wrong/* is for nowhere, whose rule must come later",
	}
	if got = slices.DeleteFunc(got, func(s string) bool { return strings.HasPrefix(s, "middle") }); !slices.Equal(got, want) {
		t.Errorf("the messages are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Every folder rule must match a folder with Go files. If a folder is moved or deleted, its rule
// must also be moved or deleted.
func TestImportRules_NameExistingFolders(t *testing.T) {
	t.Parallel()
	folders := map[string]bool{}
	for _, name := range sources(t, ".go") {
		folders[path.Dir(name)] = true
	}
	for _, rule := range folderRules {
		exists := false
		for folder := range folders {
			exists = exists || matches(rule.folder, folder)
		}
		if !exists {
			t.Errorf("no folder with Go files matches %s: delete its rule in folderRules", rule.folder)
		}
	}
}

func TestImports_ReachNothingForbidden(t *testing.T) {
	t.Parallel()
	packages := list(t, root, "./...")
	for _, rule := range reachRules {
		deps := packages[module+"/"+rule.folder].Deps
		if len(deps) == 0 {
			t.Errorf("%s: go list returned no dependencies; want at least one", rule.folder)
		}
		for _, refused := range refuseReached(rule, deps) {
			t.Error(refused)
		}
	}
}

// Every library with a rule must be imported by a Go file, unless the rule bans the library.
func TestImportRules_NameUsedLibraries(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for file := range goFiles(t) {
		for _, spec := range file.Imports {
			for _, rule := range libraryRules {
				used[rule.path] = used[rule.path] || reaches(strings.Trim(spec.Path.Value, `"`), rule.path)
			}
		}
	}
	for _, rule := range libraryRules {
		if !rule.banned && !used[rule.path] {
			t.Errorf("no Go file imports %s: delete its rule in libraryRules", rule.path)
		}
	}
}

// TestImportRules_RefuseForbiddenImports proves that each kind of rule can refuse an import. Each
// case is a file, its only import, and whether the rules allow that import.
func TestImportRules_RefuseForbiddenImports(t *testing.T) {
	t.Parallel()
	const ours = module + "/"
	for _, c := range []struct {
		file, imported string
		allowed        bool
	}{
		// These cases test which folders of this module a folder may import.
		{"sms/x.go", ours + "providers", false},
		{"ratelimit/x.go", ours + "sms", false},
		{"providers/x.go", ours + "internal/ledger", false},
		{"providers/x.go", ours + "providers/internal/dial", false},
		{"providers/x.go", "net/http", false},
		{"providers/x.go", ours + "providers/httpclient", false},
		{"providers/httpclient/x.go", ours + "providers/internal/dial", true},
		{"providers/httpclient/x.go", ours + "providers/kobo", false},
		{"providers/kobo/x.go", ours + "providers/httpclient", true},
		{"worker/x.go", ours + "providers/httpclient", false},
		{"providers/kobo/x.go", ours + "providers", true},
		{"providers/kobo/x.go", ours + "providers/qserve", false},
		{"providers/kobo/x.go", ours + "providers/internal/dial", false},
		{"providers/kobo/x.go", ours + "providers/providertest", false},
		{"providers/kobo/x_test.go", ours + "providers/providertest", true},
		{"providers/catalog/x.go", ours + "providers/kobo", true},
		{"providers/providertest/x.go", ours + "providers/kobo", false},
		{"providers/providertest/x.go", ours + "internal/simulator", true},
		{"providers/providertest/x.go", ours + "providers/kobo/kobosim", false},
		{"providers/catalog/x.go", ours + "providers/kobo/kobosim", true},
		{"providers/kobo/x.go", ours + "providers/kobo/kobosim", false},
		{"providers/kobo/x.go", ours + "internal/simulator", false},
		{"providers/kobo/x_test.go", ours + "providers/kobo/kobosim", true},
		{"providers/kobo/kobosim/x.go", ours + "internal/simulator", true},
		{"providers/kobo/kobosim/x.go", ours + "providers/kobo", false},
		{"providers/kobo/kobosim/x.go", ours + "providers", false},
		{"providers/kobo/kobosim/x.go", ours + "sms", false},
		{"providers/kobo/kobosim/x.go", ours + "providers/qserve/qservesim", false},
		{"internal/ledger/x.go", ours + "internal/queue", false},
		{"internal/ledger/x.go", ours + "internal/planning", false},
		{"internal/queue/x.go", ours + "internal/ledger", false},
		{"internal/planning/x.go", ours + "internal/queue", false},
		{"internal/simulator/x.go", ours + "providers/kobo/kobosim", false},
		{"internal/test/dirtylist/x.go", ours + "sms", false},
		{"internal/recipients/x.go", ours + "internal/ledger", false},
		{"internal/test/words/x.go", ours + "sms", false},
		{"internal/test/mutation/x.go", ours + "worker", false},
		{"producer/x.go", ours + "internal/ledger", true},
		{"producer/x.go", ours + "worker", false},
		{"producer/x.go", ours + "providers", true},
		{"worker/x.go", ours + "producer", false},
		{"worker/x.go", ours + "providers", true},
		{"worker/x.go", ours + "providers/kobo", false},
		// These cases test rules about the folders that may import a folder.
		{"worker/x.go", ours + "providers/internal/dial", false},
		{"worker/x.go", ours + "providers/catalog", false},
		{"worker/x.go", ours + "internal/simulator", false},
		{"worker/x.go", ours + "providers/kobo/kobosim", false},
		{"producer/x.go", ours + "providers/catalog", false},
		{"cmd/tuma/x.go", ours + "providers/catalog", true},
		{"cmd/tuma/x.go", ours + "internal/test/bench", false},
		{"cmd/tuma/x.go", ours + "internal/test/chaos", false},
		{"cmd/tuma/x.go", ours + "producer/producertest", false},
		{"cmd/tuma/x.go", ours + "internal/test/redistest", false},
		{"internal/test/chaos/x.go", ours + "internal/simulator", true},
		{"internal/test/chaos/x.go", ours + "internal/test/redistest", false},
		// The rule of cmd/tuma allows every folder whose rule precedes that of cmd/tuma.
		{"cmd/tuma/x.go", ours + "internal/simulator", true},
		{"cmd/tuma/x.go", ours + "cmd/tuma", false},
		// The rule of producertest allows a list of folders.
		{"producer/producertest/x.go", ours + "worker", true},
		{"producer/producertest/x.go", ours + "internal/ledger", false},
		// These folders have no rule, so all imports of their files are refused.
		{"newcomer/x.go", ours + "sms", false},
		{"newcomer/x.go", "fmt", false},
		{"newcomer/x_test.go", "fmt", false},
		// These cases test rules about the folders that may import a library.
		{"worker/x.go", "github.com/hibiken/asynq", true},
		{"producer/x.go", "github.com/hibiken/asynq", false},
		{"internal/ledger/x.go", "github.com/hibiken/asynq", false},
		{"internal/test/bench/x.go", "github.com/hibiken/asynq", false},
		{"internal/planning/x.go", "github.com/redis/go-redis/v9", false},
		{"providers/kobo/x.go", "github.com/redis/go-redis/v9", false},
		{"providers/kobo/x_test.go", "github.com/redis/go-redis/v9", true},
		{"producer/x.go", "github.com/rs/zerolog", false},
		{"producer/x.go", "net/http", false},
		{"producer/x.go", "net/http/pprof", false},
		{"producer/x.go", "net/url", true},
		{"providers/kobo/x.go", "net/http", true},
		{"providers/x.go", "net/http/httptest", false},
		{"worker/x.go", "github.com/spf13/cobra", false},
		{"worker/x.go", "github.com/spf13/pflag", false},
		{"internal/test/bench/x.go", "github.com/schollz/progressbar/v3", false},
		{"internal/test/bench/x.go", "github.com/jedib0t/go-pretty/v6/table", false},
		{"worker/x.go", "go.yaml.in/yaml/v3", false},
		{"internal/config/x.go", "go.yaml.in/yaml/v3", true},
		{"internal/recipients/x.go", "github.com/nyaruka/phonenumbers", false},
		{"worker/x.go", "github.com/alicebob/miniredis/v2", false},
		{"producer/producertest/x.go", "github.com/alicebob/miniredis/v2", true},
		// Only tests may import these libraries.
		{"cmd/tuma/x.go", "testing", false},
		{"cmd/tuma/x.go", "testing/fstest", false},
		{"internal/test/redistest/x.go", "testing", true},
		{"internal/test/redistest/x.go", ours + "internal/process", true},
		{"internal/test/redistest/x.go", ours + "sms", false},
		{"worker/x.go", ours + "internal/process", false},
		{"producer/producertest/x.go", "testing", true},
		{"internal/test/dirtylist/x.go", "pgregory.net/rapid", false},
		{"internal/test/dirtylist/x_test.go", "pgregory.net/rapid", true},
		{"worker/x.go", "go.uber.org/goleak", false},
		{"worker/x.go", "github.com/google/go-cmp/cmp", false},
		{"internal/recipients/x.go", "github.com/xuri/excelize/v2", false},
		{"internal/recipients/x_test.go", "github.com/xuri/excelize/v2", true},
		// These libraries are banned, even in tests.
		{"worker/x_test.go", "io/ioutil", false},
		{"worker/x.go", "math/rand", false},
		{"worker/x_test.go", "math/rand", false},
		{"worker/x.go", "math/rand/v2", true},
		{"worker/x_test.go", "github.com/pkg/errors", false},
		{"cmd/tuma/x_test.go", "gopkg.in/yaml.v3", false},
		// A library without a rule.
		{"worker/x.go", "github.com/sirupsen/logrus", false},
		{"worker/x_test.go", "github.com/stretchr/testify/require", false},
		{"worker/x.go", "encoding/json", true},
	} {
		refused := refuseImports(parse(t, c.file, "package x\nimport \""+c.imported+"\"\n"))
		if (len(refused) == 0) != c.allowed {
			t.Errorf("%s imports %s: the refusals are %q, want allowed = %v", c.file, c.imported, refused, c.allowed)
		}
	}
}

func TestImportRules_RefuseForbiddenDependencies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		folder, dep string
		allowed     bool
	}{
		{"sms", "net", false},
		{"sms", "net/netip", false},
		{"sms", "strings", true},
		{"providers", module + "/internal/ledger", false},
		{"providers", module + "/sms", true},
		{"providers/catalog", "github.com/redis/go-redis/v9", false},
		{"internal/simulator", module + "/sms", false},
		{"internal/simulator", module + "/internal/simulator", true},
		{"internal/process", module + "/sms", false},
		{"producer", "github.com/rs/zerolog", false},
		{"producer", "testing", false},
		{"producer", module + "/internal/ledger", true},
		{"worker", module + "/providers", true},
		{"worker", module + "/providers/kobo", false},
		{"worker", module + "/providers/kobo/kobosim", false},
		{"worker", module + "/providers/catalog", false},
		{"worker", module + "/internal/simulator", false},
		{"worker", "github.com/spf13/cobra", false},
	} {
		for _, rule := range reachRules {
			if rule.folder != c.folder {
				continue
			}
			if refused := refuseReached(rule, []string{c.dep}); (len(refused) == 0) != c.allowed {
				t.Errorf("%s depends on %s: the refusals are %q, want allowed = %v", c.folder, c.dep, refused, c.allowed)
			}
		}
	}
}

// tablePage is the page with the table of folders. The table is between the lines tableBegin and
// tableEnd.
const (
	tablePage  = "docs/architecture.md"
	tableBegin = "<!-- rooms: generated by go test ./internal/test/arch -run Imports -update -->\n"
	tableEnd   = "<!-- end of rooms -->\n"
)

// folderTable returns folderRules as a Markdown table. Its columns are the folder, the contents,
// and the permitted imports.
func folderTable() string {
	var b strings.Builder
	b.WriteString("| folder | what it is | may import |\n|---|---|---|\n")
	for _, rule := range folderRules {
		may := "none"
		if len(rule.may) > 0 && rule.may[0] == all {
			may = "everything"
		} else if len(rule.may) > 0 {
			may = "`" + strings.Join(rule.may, "`, `") + "`"
		}
		b.WriteString("| `" + rule.folder + "` | " + rule.what + " | " + may + " |\n")
	}
	return b.String()
}

func TestImportsTable_IsCurrent(t *testing.T) {
	page := read(t, tablePage)
	before, rest, ok := strings.Cut(page, tableBegin)
	table, after, ok2 := strings.Cut(rest, tableEnd)
	if !ok || !ok2 {
		t.Fatalf("%s must contain the lines\n%s%s", tablePage, tableBegin, tableEnd)
	}
	switch want := folderTable(); {
	case table == want:
	case *update:
		name := filepath.Join(root, filepath.FromSlash(tablePage))
		if err := os.WriteFile(name, []byte(before+tableBegin+want+tableEnd+after), 0o600); err != nil {
			t.Fatal(err)
		}
	default:
		t.Errorf("the table of folders in %s differs from the rules: run go test ./internal/test/arch -run Imports -update", tablePage)
	}
}
