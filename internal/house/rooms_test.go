package house

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// room is a folder, and which folders of ours its code may import. A star stands
// for one more step: providers/* are the gateways.
type room struct {
	folder string
	ours   []string
	why    string
}

const anything = "..."

// rooms are the first that fits, from the top. Tests may import what they need,
// except commands, which Go itself refuses.
var rooms = []room{
	{"sms", nil, "the vocabulary stands on nothing"},
	{"ratelimit", nil, "a limiter knows tokens and time, not messages"},
	{"providers", []string{"sms", "providers/internal/dial"}, "the contract must be implementable without a queue or a Redis"},
	{"providers/internal/dial", nil, "one question, asked before something is dialled"},
	{"providers/catalog", []string{"providers", "providers/*"}, "it names every gateway, one line each"},
	{"providers/providertest", []string{"providers", "sms", "internal/sandbox", "providers/internal/dial"},
		"the suite knows the contract and the sandbox, and no gateway"},
	{"providers/*", []string{"providers", "sms"}, "a gateway is a directory that can be deleted; they never know each other"},
	{"internal/ledger", []string{"sms", "providers"}, "the truth knows neither queue nor limiter"},
	{"internal/planning", []string{"sms", "internal/ledger"}, "what planning decides, which worker and producer share, without Redis"},
	{"internal/hours", nil, "clocks and countries, nothing else"},
	{"internal/queue", []string{"sms", "providers"}, "what producer and worker agree on, and nothing else"},
	{"internal/sandbox", nil, "a gateway that shared code with its client would share its mistakes"},
	{"internal/dirty", nil, "a list that knew our parsers would only be as dirty as they expect"},
	{"internal/redistest", nil, "every test may use it"},
	{"internal/house", nil, "a check must not stand on what it checks"},
	{"internal/house/*", nil, "as above"},
	{"producer", []string{"sms", "internal/ledger", "internal/queue", "internal/planning", "internal/hours"}, "embedded by others: no gateway code, no credentials"},
	{"producer/producertest", []string{"producer", "worker", "providers", "sms"}, "used by the tests of others: public packages only"},
	{"internal/recipients", []string{"sms", "producer"}, "it reads files for the command; nobody else carries spreadsheets about"},
	{"worker", []string{"sms", "providers", "ratelimit", "internal/ledger", "internal/queue", "internal/planning", "internal/hours"},
		"it is handed its gateways, and finds the producer's work in the ledger alone"},
	{"internal/bench", []string{anything}, "a measuring rig"},
	{"internal/chaos", []string{anything}, "breaks the whole on purpose, and counts"},
	{"internal/mutants", nil, "it changes texts, runs tests, and must not stand on what it breaks"},
	{"internal/e2e", []string{anything}, "tests of the whole"},
	{"cmd/tuma", []string{anything}, "the one place that knows everyone"},
}

// unimported are the folders that no code imports, only tests, or the ones named.
var unimported = map[string][]string{
	"providers/catalog":       {"cmd/tuma", "internal/bench"},
	"providers/internal/dial": {"providers", "providers/providertest"},
	"providers/providertest":  nil,
	"producer/producertest":   nil,
	"internal/redistest":      {"internal/bench"},
	"internal/sandbox":        {"cmd/tuma", "internal/bench", "internal/chaos", "providers/providertest"},
	"internal/recipients":     {"cmd/tuma", "internal/bench"},
	"internal/dirty":          {"internal/bench"},
	"internal/bench":          nil,
	"internal/chaos":          nil,
	"internal/mutants":        nil,
	"internal/e2e":            nil,
}

func fits(pattern, folder string) bool {
	if parent, ok := strings.CutSuffix(pattern, "/*"); ok {
		child, ok := strings.CutPrefix(folder, parent+"/")
		return ok && !strings.Contains(child, "/")
	}
	return pattern == folder
}

// refuse says why one folder may not import the other, or nothing.
func refuse(importer, imported string) string {
	at := slices.IndexFunc(rooms, func(r room) bool { return fits(r.folder, importer) })
	if at < 0 {
		return "no rule knows " + importer + ": say in rooms_test.go and in .golangci.yml what it may import"
	}
	if by, private := unimported[imported]; private && !slices.Contains(by, importer) {
		return imported + " is for tests and " + strings.Join(by, ", ")
	}
	if !slices.ContainsFunc(rooms[at].ours, func(p string) bool { return p == anything || fits(p, imported) }) {
		return rooms[at].why
	}
	return ""
}

func TestNoRoomImportsWhatItMayNot(t *testing.T) {
	t.Parallel()
	packages := list(t, root, "./...")
	seen := 0
	for _, p := range packages {
		importer, ours := strings.CutPrefix(p.ImportPath, module+"/")
		if !ours {
			continue
		}
		seen++
		for _, name := range p.Imports {
			imported, ours := strings.CutPrefix(name, module+"/")
			if !ours {
				continue
			}
			if why := refuse(importer, imported); why != "" {
				t.Errorf("%s imports %s: %s", importer, imported, why)
			}
		}
		// Also a room that imports nothing of ours has to have a rule.
		if !slices.ContainsFunc(rooms, func(r room) bool { return fits(r.folder, importer) }) {
			t.Error(refuse(importer, ""))
		}
	}
	if seen == 0 {
		t.Error("go list found no package of ours")
	}
}

func TestImportRulesRefuseWhatThePlanForbids(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		importer, imported string
		allowed            bool
	}{
		{"producer", "internal/ledger", true},
		{"producer", "worker", false},
		{"producer", "providers", false},
		{"worker", "producer", false},
		{"worker", "providers", true},
		{"worker", "providers/kobo", false},
		{"worker", "providers/catalog", false},
		{"worker", "internal/sandbox", false},
		{"providers/kobo", "providers", true},
		{"providers/kobo", "providers/qserve", false},
		{"providers/kobo", "providers/internal/dial", false},
		{"providers/kobo", "providers/providertest", false},
		{"providers/providertest", "providers/kobo", false},
		{"providers/providertest", "internal/sandbox", true},
		{"providers", "providers/internal/dial", true},
		{"worker", "providers/internal/dial", false},
		{"providers/catalog", "providers/kobo", true},
		{"providers", "internal/ledger", false},
		{"internal/ledger", "internal/queue", false},
		{"internal/queue", "internal/ledger", false},
		{"internal/ledger", "internal/planning", false},
		{"internal/planning", "internal/queue", false},
		{"internal/sandbox", "providers/kobo", false},
		{"sms", "providers", false},
		{"ratelimit", "sms", false},
		{"cmd/tuma", "providers/catalog", true},
		{"cmd/tuma", "internal/bench", false},
		{"cmd/tuma", "internal/chaos", false},
		{"internal/chaos", "internal/sandbox", true},
		{"internal/chaos", "internal/redistest", false},
		{"newcomer", "sms", false},
	} {
		if why := refuse(c.importer, c.imported); (why == "") != c.allowed {
			t.Errorf("%s imports %s: refused because %q, want allowed = %v", c.importer, c.imported, why, c.allowed)
		}
	}
}

// libraries are import paths, and the folders whose code may import them directly.
var libraries = map[string]struct {
	in  []string
	why string
}{
	"github.com/hibiken/asynq":        {[]string{"internal/queue", "worker"}, "the queue is only a wake-up call"},
	"github.com/nyaruka/phonenumbers": {[]string{"sms"}, "numbers are parsed in one place"},
	"github.com/spf13/cobra":          {[]string{"cmd/tuma"}, "commands are for the command"},
	"github.com/spf13/pflag":          {[]string{"cmd/tuma"}, "commands are for the command"},
	"github.com/schollz/progressbar":  {[]string{"cmd/tuma"}, "only the command talks to a terminal"},
	"github.com/jedib0t/go-pretty":    {[]string{"cmd/tuma"}, "only the command talks to a terminal"},
	"go.yaml.in/yaml":                 {[]string{"cmd/tuma"}, "configuration is read in one place and handed on"},
	"github.com/alicebob/miniredis": {[]string{"cmd/tuma", "internal/redistest", "producer/producertest"},
		"it keeps nothing: for the demo and tests, never for real sending"},
	"github.com/go-redis/redis_rate": {nil, "an oracle for tests"},
	"pgregory.net/rapid":             {nil, "for tests"},
	"go.uber.org/goleak":             {nil, "for tests"},
	"github.com/google/go-cmp":       {nil, "for tests"},
	"testing":                        {[]string{"internal/redistest", "providers/providertest", "producer/producertest"}, "for tests"},
}

func TestLibrariesStayInTheirRooms(t *testing.T) {
	t.Parallel()
	for _, p := range list(t, root, "./...") {
		importer, ours := strings.CutPrefix(p.ImportPath, module+"/")
		if !ours {
			continue
		}
		for _, imported := range p.Imports {
			for library, rule := range libraries {
				if (imported == library || strings.HasPrefix(imported, library+"/")) && !slices.Contains(rule.in, importer) {
					t.Errorf("%s imports %s: %s", importer, imported, rule.why)
				}
			}
		}
	}
}

func TestRoomsReachNothingTheyMustNot(t *testing.T) {
	t.Parallel()
	redis := []string{"github.com/redis/", "github.com/hibiken/", "github.com/alicebob/", module + "/internal/", module + "/ratelimit"}
	for folder, forbidden := range map[string][]string{
		"sms":                {"net", "os/exec", "database/sql", "github.com/redis/", "github.com/rs/"},
		"providers":          redis,
		"providers/catalog":  redis,
		"internal/sandbox":   {module + "/"},
		"producer":           unwanted,
		"worker":             slices.Concat(forPeople, forTests, []string{module + "/producer", module + "/providers/", module + "/cmd"}),
		"internal/redistest": {module + "/"},
	} {
		packages := list(t, root, "./"+folder)
		self := module + "/" + folder
		if len(packages[self].Deps) == 0 {
			t.Errorf("%s depends on nothing, which cannot be", folder)
		}
		for _, name := range slices.Sorted(maps.Keys(packages)) {
			for _, f := range forbidden {
				if name != self && name != hook && reaches(name, f) {
					t.Errorf("%s reaches %s", folder, name)
				}
			}
		}
	}
}

// hook comes with providers, is a dozen lines, and does nothing outside tests.
const hook = module + "/providers/internal/dial"

// reaches says whether an import path is, or is below, a forbidden one. One that
// ends in a slash stands only for what is below it.
func reaches(name, forbidden string) bool {
	return name == forbidden || strings.HasPrefix(name, strings.TrimSuffix(forbidden, "/")+"/")
}
