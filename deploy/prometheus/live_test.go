package prometheus

import (
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/deploy/deploytest"
)

// live enables the tests that run a Prometheus for minutes.
var live = flag.Bool("live", false, "run Prometheus against Tuma; make test-prometheus does it")

func needLive(t *testing.T) {
	t.Helper()
	if !*live {
		t.Skip("takes minutes: make test-prometheus runs it")
	}
}

// server is a Prometheus that reads the metrics of processes once a second.
type server struct {
	address string
	begun   time.Time
}

// startPrometheus starts a Prometheus with a copy of the rules. The function "shorten" replaces the durations in the
// copy. The parameter "targets" has the addresses of processes, by component.
func startPrometheus(t *testing.T, shorten func(string) string, targets map[string]string) *server {
	t.Helper()
	dir := t.TempDir()
	files, err := filepath.Glob("rules/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files of rules, %v", len(files), err)
	}
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for _, file := range files {
		write(filepath.Base(file), shorten(deploytest.Read(t, file)))
	}
	config := "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\nrule_files: [\"tuma-*.yml\"]\nscrape_configs:\n  - job_name: tuma\n    static_configs:\n"
	for component, address := range targets {
		config += fmt.Sprintf("      - {targets: [%q], labels: {component: %q}}\n", address, component)
	}
	s := &server{address: deploytest.FreeAddress(t), begun: time.Now()}
	deploytest.Start(t, dir, nil, deploytest.Tool(t, "prometheus", "prometheus"), "--config.file="+write("prometheus.yml", config),
		"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+s.address)
	deploytest.Wait(t, "Prometheus", func() bool {
		answer, err := http.Get("http://" + s.address + "/-/ready")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return s
}

// series is a result of a query.
type series struct {
	Metric map[string]string
	Value  [2]any   // time and value of an instant query
	Values [][2]any // of a range query
}

// The method "get" reads an answer of Prometheus.
func (s *server) get(t *testing.T, path string, query url.Values) []series {
	t.Helper()
	response, err := http.Get("http://" + s.address + "/api/v1/" + path + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer struct {
		Status, Error string
		Data          struct{ Result []series }
	}
	body, err := io.ReadAll(response.Body)
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil || answer.Status != "success" {
		t.Fatalf("%s %v: %s %v", path, query, answer.Error, err)
	}
	return answer.Data.Result
}

// The method "query" returns the current series of an expression.
func (s *server) query(t *testing.T, expr string) []series {
	t.Helper()
	return s.get(t, "query", url.Values{"query": {expr}})
}

// The method "value" returns the current value of an expression with one series. It returns false if the expression has
// no value.
func (s *server) value(t *testing.T, expr string) (float64, bool) {
	t.Helper()
	all := s.query(t, expr)
	if len(all) == 0 {
		return 0, false
	}
	text, _ := all[0].Value[1].(string)
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return v, true
}

// The method "above" reports whether an expression has a value above a limit.
func (s *server) above(t *testing.T, expr string, limit float64) bool {
	t.Helper()
	v, ok := s.value(t, expr)
	return ok && v > limit
}

// The method "firing" returns the names of the alerts that fire.
func (s *server) firing(t *testing.T) (names []string) {
	t.Helper()
	for _, x := range s.query(t, `ALERTS{alertstate="firing"}`) {
		names = append(names, x.Metric["alertname"])
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// hasData reports whether an expression had a number at any second since the start.
func (s *server) hasData(t *testing.T, expr string) bool {
	t.Helper()
	step := max(1, int(time.Since(s.begun).Seconds()/5000))
	for _, x := range s.get(t, "query_range", url.Values{"query": {expr}, "start": {strconv.FormatInt(s.begun.Unix(), 10)},
		"end": {strconv.FormatInt(time.Now().Unix(), 10)}, "step": {strconv.Itoa(step)}}) {
		if slices.ContainsFunc(x.Values, func(v [2]any) bool { return v[1] != "NaN" }) {
			return true
		}
	}
	return false
}

// The map "short" has a shorter duration for each duration in the rules. The test puts the shorter durations into a copy
// of the rules. The rules of the release do not change.
var short = map[string]string{"[1d]": "[10m]", "[2h]": "[20s]", "[1h]": "[1m]", "[15m]": "[20s]", "[10m]": "[10s]"}

// shorten changes the rules so that alerts fire within seconds. Each alert waits 2 s instead of minutes, and looks back
// for seconds instead of hours.
func shorten(rules string) string {
	rules = regexp.MustCompile(`\[\d+[smhd]\]`).ReplaceAllStringFunc(rules, func(long string) string { return cmp.Or(short[long], long) })
	return regexp.MustCompile(`(?m)^(\s+for:) \S+$`).ReplaceAllString(rules, "$1 2s")
}

// The budget is the highest permitted cost of the metrics of one process.
const (
	mostSeries = 2000
	mostScrape = 0.05 // seconds
)

// TestLive_ScrapesAreCheap reads the metrics of a worker and of tuma serve with 50 accounts and 10,000 campaigns.
func TestLive_ScrapesAreCheap(t *testing.T) {
	needLive(t)
	l := newLive(t, func(gateway string) string {
		var accounts strings.Builder
		for i := range 25 {
			fmt.Fprintf(&accounts, "  kobo-%d: {provider: kobo, base_url: \"http://%s/kobo\", user: any, pass: any, sender: ACME, rate: 50/s}\n", i, gateway)
			fmt.Fprintf(&accounts, "  at-%d: {provider: africastalking, base_url: \"http://%s/africastalking\", username: any%d, api_key: any, sender: ACME, rate: 50/s, callback_secret: secret-secret-%d}\n", i, gateway, i, i)
		}
		return accounts.String()
	})
	worker, serve, api := deploytest.FreeAddress(t), deploytest.FreeAddress(t), deploytest.FreeAddress(t)
	deploytest.Start(t, l.dir, l.env, l.tuma, "worker", "--listen", worker)
	deploytest.Start(t, l.dir, l.env, l.tuma, "serve", "--listen", api, "--metrics-listen", serve)
	deploytest.Wait(t, "tuma serve", func() bool { return deploytest.Listens(api) })
	s := startPrometheus(t, shorten, map[string]string{"worker": worker, "serve": serve})
	l.enqueueAll(t, api, 10_000)
	deploytest.Wait(t, "the metrics to count 10,000 campaigns", func() bool { return s.above(t, "sum(max by (state) (tuma_campaigns))", 9_999) })
	filled := time.Now()
	deploytest.Wait(t, "30 scrapes", func() bool { return time.Since(filled) > 31*time.Second })
	for _, component := range []string{"worker", "serve"} {
		up := fmt.Sprintf("{component=%q}", component)
		n, ok := s.value(t, "max_over_time(scrape_samples_scraped"+up+"[30s])")
		if !ok || n > mostSeries || n < 500 {
			t.Errorf("%s: %v series with 50 accounts, want 500 to %d", component, n, mostSeries)
		}
		half, ok := s.value(t, "quantile_over_time(0.5, scrape_duration_seconds"+up+"[30s])")
		longest, _ := s.value(t, "max_over_time(scrape_duration_seconds"+up+"[30s])")
		if !ok || half > mostScrape {
			t.Errorf("%s: half of the scrapes took more than %.1f ms, want at most %.0f ms", component, 1000*half, 1000*mostScrape)
		}
		t.Logf("%s: %.0f series; of 30 scrapes with 10,000 campaigns half took at most %.1f ms, the longest %.1f ms", component, n, 1000*half, 1000*longest)
	}
}
