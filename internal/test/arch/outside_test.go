package main

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A program that embeds producer must not link the packages in the list "unwanted", or packages
// below their paths. This list joins the lists of packages for output to people, for observing a
// program, for tests, and for sending. html/template is not listed, because asynq links it
// through github.com/spf13/cast.
var (
	forPeople = []string{
		"github.com/spf13/cobra", "github.com/spf13/pflag", "github.com/schollz/progressbar", "github.com/jedib0t/go-pretty",
		"github.com/mattn/go-runewidth", "go.yaml.in/yaml", "golang.org/x/term", "github.com/xuri/excelize",
	}
	forWatching = []string{
		"go.opentelemetry.io", "github.com/prometheus", "github.com/danielgtaylor/huma", "net/http/pprof", "expvar", "log/slog",
	}
	forTests = []string{
		"testing", "net/http/httptest", "github.com/alicebob/miniredis", "github.com/yuin/gopher-lua", "pgregory.net/rapid",
		"github.com/google/go-cmp", module + "/producer/producertest", module + "/internal/simulator", module + "/internal/test/redistest",
		module + "/internal/test/dirtylist", module + "/internal/test/arch", module + "/internal/test/bench", module + "/internal/test/chaos",
		module + "/internal/test/mutation", module + "/internal/test/e2e",
	}
	// A program that embeds producer links internal/planning, because producer.Preview uses it. So
	// internal/planning is not in this list.
	forSending = []string{
		"github.com/rs/zerolog", module + "/cmd", module + "/worker", module + "/ratelimit",
		module + "/providers/",
	}
	unwanted = slices.Concat(forPeople, forWatching, forTests, forSending)
)

// embedder is a program of another module that uses the public API of producer.
const embedder = `package main

import (
	"context"
	"fmt"
	"os"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/producer"
)

func main() {
	client, err := producer.New(redis.NewClient(&redis.Options{Addr: os.Getenv("REDIS")}))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	ctx := context.Background()
	campaign := producer.Campaign{ID: "order-1234", Via: "kobo-main", From: "ACME", Body: "Your order is on its way."}
	fmt.Println(client.Enqueue(ctx, campaign, producer.Numbers("0712 345 678")))
	fmt.Println(client.Wait(ctx, "order-1234"))
	for result, err := range client.Results(ctx, "order-1234") {
		fmt.Println(result, err)
	}
	fmt.Println(client.Pause(ctx, "order-1234"))
	fmt.Println(client.Resume(ctx, "order-1234"))
	fmt.Println(client.Close())
}
`

// embedderTest is a test in the module of embedder. It proves that another module can use
// producertest.
const embedderTest = `package main

import (
	"testing"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/producer/producertest"
)

func TestNotify(t *testing.T) {
	tuma := producertest.NewWith(t, producertest.Config{Sender: "ACME"})
	campaign := producer.Campaign{ID: "order-1234", Body: "Your order is on its way."}
	if _, err := tuma.Client().Enqueue(t.Context(), campaign, producer.Numbers("0712 345 678")); err != nil {
		t.Fatal(err)
	}
	tuma.AssertSent(t, "0712 345 678", "on its way")
	for _, m := range tuma.Sent(t) {
		if m.From != "ACME" || m.Campaign != "order-1234" {
			t.Errorf("sent %+v; want From ACME and Campaign order-1234", m)
		}
	}
}
`

// TestOutside_ModuleLinksOnlyWhatSendingNeeds builds the program of the constant embedder in a separate module. The
// program must not link a package of the list "unwanted", or an HTTP server. The test also proves that another module
// can use producer, although some types in producer's API are declared in internal packages.
func TestOutside_ModuleLinksOnlyWhatSendingNeeds(t *testing.T) {
	t.Parallel()
	here, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	goMod := "module example.com/embedder\n\ngo 1.26.0\n\nrequire " + module + " v0.0.0\n\nreplace " + module + " => " + here + "\n"
	for name, text := range map[string]string{"go.mod": goMod, "main.go": embedder, "main_test.go": embedderTest, "go.sum": read(t, "go.sum")} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	goCommand(t, dir, "build", "-mod=mod", "-o", "embedder", ".")

	modules := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(list(t, dir, "-mod=mod", "."))) {
		if slices.ContainsFunc(unwanted, func(u string) bool { return reaches(name, u) }) {
			t.Errorf("a program that imports producer links %s, which it must not", name)
		}
	}
	for line := range strings.Lines(string(goCommand(t, dir, "version", "-m", "embedder"))) {
		if f := strings.Fields(line); len(f) > 2 && f[0] == "dep" {
			modules[f[1]] = true
			t.Log("linked module:", f[1], f[2])
		}
	}
	if !modules[module] {
		t.Errorf("the program does not link %s, but must: the test has read the wrong program", module)
	}
	goCommand(t, dir, "test", "-mod=mod", "-count=1", ".") // runs embedderTest
	// The package producer uses the status texts of net/http, but must not link the HTTP server of net/http.
	for line := range strings.Lines(string(goCommand(t, dir, "tool", "nm", "embedder"))) {
		if strings.Contains(line, " net/http.(*Server).") || strings.Contains(line, " net/http.(*conn).") {
			t.Errorf("a program that imports producer must not link an HTTP server, but links %s", strings.TrimSpace(line))
		}
	}
}
