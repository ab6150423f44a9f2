// Package prometheus tests the rules and alerts of Prometheus, the dashboard of Grafana and the runbooks.
package prometheus

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/tuma-sms/tuma/deploy/deploytest"
)

func TestMain(m *testing.M) { deploytest.Main(m) }

// rule is a recording rule or an alert.
type rule struct {
	Record, Alert, Expr string
	Labels, Annotations map[string]string
}

type ruleFile struct {
	Groups []struct{ Rules []rule }
}

// read decodes a YAML or JSON file.
func read[T any](t *testing.T, file string) (out T) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, &out)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return out
}

// The function "rules" returns all rules. It fails the test if it finds no recording rule or no alert.
func rules(t *testing.T) (recorded, alerts []rule) {
	t.Helper()
	files, err := filepath.Glob("rules/*.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		for _, g := range read[ruleFile](t, file).Groups {
			for _, r := range g.Rules {
				if r.Alert != "" {
					alerts = append(alerts, r)
				} else {
					recorded = append(recorded, r)
				}
			}
		}
	}
	if len(recorded) == 0 || len(alerts) == 0 {
		t.Fatalf("%d recording rules and %d alerts, want some of each", len(recorded), len(alerts))
	}
	return recorded, alerts
}

// promtool runs promtool, and fails the test if it does not succeed.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if out, status := deploytest.Run(t, ".", nil, deploytest.Tool(t, "promtool", "prometheus"), args...); status != 0 {
		t.Errorf("promtool %s: exit %d\n%s", strings.Join(args, " "), status, out)
	}
}

func TestRules_PassTheirUnitTests(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", "rules/tuma-recording.yml", "rules/tuma-alerts.yml")
	promtool(t, "test", "rules", "tests/recording.yml", "tests/alerts.yml")
}

func TestRules_EachIsTested(t *testing.T) {
	t.Parallel()
	type alertTest struct {
		Alertname string
		Expected  []any `json:"exp_alerts"`
	}
	file := read[struct {
		Tests []struct {
			Alerts []alertTest `json:"alert_rule_test"`
		}
	}](t, "tests/alerts.yml")
	firing, quiet := map[string]int{}, map[string]int{}
	for _, x := range file.Tests {
		for _, a := range x.Alerts {
			if len(a.Expected) > 0 {
				firing[a.Alertname]++
			} else {
				quiet[a.Alertname]++
			}
		}
	}
	recorded, alerts := rules(t)
	for _, a := range alerts {
		if firing[a.Alert] == 0 || quiet[a.Alert] == 0 {
			t.Errorf("%s has %d tests in which it fires and %d in which it is quiet, want both", a.Alert, firing[a.Alert], quiet[a.Alert])
		}
	}
	tests, err := os.ReadFile("tests/recording.yml")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recorded {
		if !strings.Contains(string(tests), r.Record) {
			t.Errorf("%s has no test in tests/recording.yml", r.Record)
		}
	}
}

func TestAlerts_EachHasASeverityAndARunbook(t *testing.T) {
	t.Parallel()
	_, alerts := rules(t)
	known := map[string]bool{}
	for _, a := range alerts {
		known[a.Alert+".md"] = true
		if s := a.Labels["severity"]; s != "critical" && s != "warning" {
			t.Errorf("%s has the severity %q", a.Alert, s)
		}
		if url := a.Annotations["runbook_url"]; !strings.HasSuffix(url, "/deploy/runbooks/"+a.Alert+".md") || a.Annotations["summary"] == "" {
			t.Errorf("%s: runbook %q, summary %q", a.Alert, url, a.Annotations["summary"])
		}
		text, err := os.ReadFile(filepath.Join("../runbooks", a.Alert+".md"))
		if err != nil {
			t.Error(err)
			continue
		}
		for _, part := range []string{"# " + a.Alert + "\n", "\n## What it means\n", "\n## What to look at\n", "\n## What to do\n", "\n## How it ends\n"} {
			if !strings.Contains(string(text), part) {
				t.Errorf("the runbook of %s has no %q", a.Alert, strings.TrimSpace(part))
			}
		}
	}
	books, err := filepath.Glob("../runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range books {
		if !known[filepath.Base(b)] {
			t.Errorf("%s belongs to no alert", b)
		}
	}
}

// dashboard has the parts of a dashboard that the tests need.
type dashboard struct {
	Templating struct {
		List []struct{ Name, Type, Definition string }
	}
	Panels []panel
}

type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource struct{ UID string }
	GridPos    struct{ X, Y, W, H int }
	Targets    []struct {
		Expr       string
		Datasource struct{ UID string }
	}
}

func TestDashboard_IsOrdered(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../grafana/tuma.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard
	if err := json.Unmarshal(text, &d); err != nil {
		t.Fatal(err)
	}
	ids, cells, rows := map[int]bool{}, map[[2]int]string{}, []string{}
	for _, p := range d.Panels {
		if ids[p.ID] {
			t.Errorf("%s: the ID %d is used twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := cells[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("%q is at the place of %q, or too far to the right", p.Title, other)
				}
				cells[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			rows = append(rows, p.Title)
			continue
		}
		if p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s: data source %q, %d queries; want the variable and at least one", p.Title, p.Datasource.UID, len(p.Targets))
		}
	}
	if want := []string{"Overview", "Account: $account", "Workers"}; !slices.Equal(rows, want) {
		t.Errorf("rows %q, want %q", rows, want)
	}
}

// The function "queries" returns all expressions of the dashboard. It replaces the variables of the dashboard
// by values.
func queries(t *testing.T) (out []string) {
	t.Helper()
	d := read[dashboard](t, "../grafana/tuma.json")
	for _, p := range d.Panels {
		for _, q := range p.Targets {
			out = append(out, strings.ReplaceAll(q.Expr, "$account", ".*"))
		}
	}
	for _, v := range d.Templating.List {
		if _, labels, ok := strings.Cut(v.Definition, "label_values("); ok {
			metric, _, _ := strings.Cut(labels, ",")
			out = append(out, metric)
		}
	}
	return out
}

func TestDashboard_QueriesParse(t *testing.T) {
	t.Parallel()
	var r []map[string]string
	for i, q := range queries(t) {
		r = append(r, map[string]string{"record": fmt.Sprintf("query_%d", i), "expr": q})
	}
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": r}}})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "queries.yml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file)
}

// The function "metrics" returns the names of all series in the table of docs/metrics.md. A test of
// internal/metrics compares this table with the code.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deploytest.Root, "docs/metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(tuma_[a-z_]+)` \\| ([a-z]+) \\|").FindAllStringSubmatch(string(text), -1) {
		if m[2] == "histogram" {
			out[m[1]+"_bucket"], out[m[1]+"_sum"], out[m[1]+"_count"] = true, true, true
			continue
		}
		out[m[1]] = true
	}
	if len(out) < 30 {
		t.Fatalf("docs/metrics.md names %d series; the test does not read its table", len(out))
	}
	return out
}

func TestQueries_NameOnlyMetricsThatExist(t *testing.T) {
	t.Parallel()
	known := metrics(t)
	recorded, alerts := rules(t)
	for _, r := range recorded {
		known[r.Record] = true
	}
	all := queries(t)
	for _, r := range slices.Concat(recorded, alerts) {
		all = append(all, r.Expr)
	}
	name := regexp.MustCompile(`(?:[a-z_]+:)?tuma_[a-z_]+(?::[a-z0-9_]+)?`)
	used := map[string]bool{}
	for _, q := range all {
		for _, n := range name.FindAllString(q, -1) {
			used[n] = true
			if !known[n] {
				t.Errorf("%q does not exist: %s", n, q)
			}
		}
	}
	if len(used) < 20 {
		t.Errorf("the queries name %d metrics: %v", len(used), slices.Sorted(maps.Keys(used)))
	}
}
