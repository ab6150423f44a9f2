package metrics

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	dto "github.com/prometheus/client_model/go"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/census"
)

// promised is a metric of the table in testdata/interface.md. Programs rely on these metrics.
type promised struct {
	name, kind string
	labels     []string
}

// readTable reads the table of metrics. A cell may name several metrics. Then the cells for type and labels hold
// either one entry for all of these metrics, or one entry for each.
func readTable(t *testing.T) (out []promised) {
	t.Helper()
	text, err := os.ReadFile("testdata/interface.md")
	if err != nil {
		t.Fatal(err)
	}
	notes := regexp.MustCompile(`\([^)]*\)| 0/1| 1\b`)
	words := func(cell string) (all []string) {
		for _, w := range strings.Split(notes.ReplaceAllString(cell, ""), ",") {
			if w = strings.Trim(w, " `"); w != "" {
				all = append(all, w)
			}
		}
		return all
	}
	for _, line := range strings.Split(string(text), "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 5 || !strings.Contains(cells[1], "`") {
			continue
		}
		names, kinds, labels := words(cells[1]), words(cells[2]), strings.Split(cells[3], ";")
		for i, n := range names {
			p := promised{name: n, kind: kinds[min(i, len(kinds)-1)], labels: words(labels[min(i, len(labels)-1)])}
			slices.Sort(p.labels)
			out = append(out, p)
		}
	}
	if len(out) != 33 {
		t.Fatalf("the table has %d metrics, want 33: the test does not read all of it", len(out))
	}
	return out
}

func someAccounts(n int) (out []Account) {
	for i := range n {
		out = append(out, Account{Name: "account-" + string(rune('a'+i/26)) + string(rune('a'+i%26)), Provider: "kobo", Rate: 50, Concurrency: 8})
	}
	return out
}

// fakeSource returns a Source that reads the census c, with a known credit for each account.
func fakeSource(accounts []Account, c census.Census) *Source {
	credit := 12.5
	for _, a := range accounts {
		c.Accounts = append(c.Accounts, census.Account{Name: a.Name, Provider: a.Provider, Rate: a.Rate, Credit: &credit, CreditAge: &credit})
	}
	return NewSource(accounts, func(context.Context) (census.Census, time.Duration, bool, error) { return c, time.Second, true, nil },
		func(context.Context) (Redis, error) { return Redis{Known: true, Used: 1, NoEviction: true}, nil })
}

// newRegistries returns the registries of a worker and of a server with these accounts.
func newRegistries(t *testing.T, accounts []Account) (worker, server *prometheus.Registry, w *Worker, s *Server) {
	t.Helper()
	build := Build{Version: "v1", Revision: "abc", ConfigHash: "0123"}
	worker, _, err := NewProcess(build)
	if err != nil {
		t.Fatal(err)
	}
	if server, _, err = NewProcess(build); err != nil {
		t.Fatal(err)
	}
	if w, err = NewWorker(worker, accounts, fakeSource(accounts, census.Census{})); err != nil {
		t.Fatal(err)
	}
	doors := []string{}
	for _, a := range accounts {
		doors = append(doors, a.Name)
	}
	if s, err = NewServer(server, accounts, doors, fakeSource(accounts, census.Census{})); err != nil {
		t.Fatal(err)
	}
	return worker, server, w, s
}

func gather(t *testing.T, reg *prometheus.Registry) map[string]*dto.MetricFamily {
	t.Helper()
	all, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*dto.MetricFamily{}
	for _, f := range all {
		out[f.GetName()] = f
	}
	return out
}

func labelsOf(m *dto.Metric) (out []string) {
	for _, l := range m.GetLabel() {
		out = append(out, l.GetName())
	}
	slices.Sort(out)
	return out
}

func TestTable_EveryMetricExistsWithItsTypeAndLabels(t *testing.T) {
	t.Parallel()
	worker, server, _, s := newRegistries(t, someAccounts(1))
	s.Callback("account-aa", "optout", "ok", time.Millisecond)
	here := gather(t, worker)
	for name, f := range gather(t, server) {
		here[name] = f
	}
	for _, p := range readTable(t) {
		f := here[p.name]
		if f == nil {
			t.Errorf("%s does not exist", p.name)
			continue
		}
		if got := strings.ToLower(f.GetType().String()); got != p.kind {
			t.Errorf("%s is a %s, want %s", p.name, got, p.kind)
		}
		for _, m := range f.GetMetric() {
			if got := labelsOf(m); !slices.Equal(got, p.labels) {
				t.Errorf("%s has the labels %q, want %q", p.name, got, p.labels)
			}
		}
	}
}

// closedSets maps each label to the values that it must have from the start.
var closedSets = map[string][]string{
	"tuma_messages_total outcome":       {"accepted", "rejected", "unknown", "skipped", "delivered", "undelivered"},
	"tuma_calls_total result":           {"ok", "rejected", "retryable", "unknown"},
	"tuma_backlog_messages class":       {"marketing", "transactional"},
	"tuma_backlog_oldest_seconds class": {"marketing", "transactional"},
	"tuma_account_held reason":          {"credit", "credentials", "configuration", "breaker", "hand"},
	"tuma_campaigns state":              {"uploading", "scheduled", "planning", "sending", "paused", "cancelled", "done"},
	"tuma_sweeper_repairs_total kind":   {"wake", "retry", "failover", "write_off", "quarantine"},
	"tuma_reports_total result":         {"delivered", "undelivered", "pending", "duplicate", "parked", "unmatched", "late"},
	"tuma_callbacks_total kind":         {"delivery", "inbound", "optout"},
	"tuma_callbacks_total result":       {"ok", "invalid", "failed"},
	"tuma_config_reload_total result":   {"ok", "failed"},
	"tuma_queue_tasks state":            {"pending", "retry", "archived"},
	"tuma_inbound_total account":        {"account-aa", "account-ab"},
	"tuma_optouts_total account":        {"account-aa", "account-ab"},
	"tuma_call_seconds account":         {"account-aa", "account-ab"},
	"tuma_rate_granted_total account":   {"account-aa", "account-ab"},
	"tuma_doubtful_calls account":       {"account-aa", "account-ab"},
	"tuma_calls_in_flight account":      {"account-aa", "account-ab"},
	"tuma_claim_seconds account":        {"account-aa", "account-ab"},
	"tuma_settle_seconds account":       {"account-aa", "account-ab"},
	"tuma_reserve_wait_seconds account": {"account-aa", "account-ab"},
}

func TestClosedSets_AreThereAtZeroFromTheStart(t *testing.T) {
	t.Parallel()
	accounts := someAccounts(2)
	worker, server, _, _ := newRegistries(t, accounts)
	here := gather(t, server)
	for name, f := range gather(t, worker) {
		here[name] = f
	}
	for key, want := range closedSets {
		name, label, _ := strings.Cut(key, " ")
		var got []string
		if here[name] == nil {
			t.Errorf("%s does not exist at the start", name)
			continue
		}
		for _, m := range here[name].GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == label && !slices.Contains(got, l.GetValue()) {
					got = append(got, l.GetValue())
				}
			}
			if v := m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount()); v != 0 {
				t.Errorf("%s %v begins at %v, want 0", name, m.GetLabel(), v)
			}
		}
		slices.Sort(got)
		if want = slices.Sorted(slices.Values(want)); !slices.Equal(got, want) {
			t.Errorf("%s has %s %q at the start, want %q", name, label, got, want)
		}
	}
}

func TestLint_IsClean(t *testing.T) {
	t.Parallel()
	worker, server, _, _ := newRegistries(t, someAccounts(1))
	for _, reg := range []*prometheus.Registry{worker, server} {
		problems, err := testutil.GatherAndLint(reg)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// The function "series" returns the number of lines with a value in a scrape.
func series(t *testing.T, reg *prometheus.Registry) (n int) {
	t.Helper()
	for _, f := range gather(t, reg) {
		for _, m := range f.GetMetric() {
			switch {
			case m.GetHistogram() != nil:
				n += len(m.GetHistogram().GetBucket()) + 3
			case m.GetSummary() != nil:
				n += len(m.GetSummary().GetQuantile()) + 2
			default:
				n++
			}
		}
	}
	return n
}

func TestSeries_StayWithinTheLimit(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 10, 28, 29, 35, 40, 45, 50} {
		accounts := someAccounts(n)
		worker, server, w, s := newRegistries(t, accounts)
		for _, a := range accounts {
			x := w.Account(a.Name)
			x.Waited(time.Second)
			x.Claimed(time.Millisecond)
			x.CallBegins(5)
			x.CallEnds(time.Second, "ok", "")
			x.Settled(time.Millisecond)
			x.Recorded([]campaign.Record{{Status: campaign.Accepted}})
			s.Inbound(a.Name)
			s.OptOut(a.Name, 1)
		}
		if got := series(t, worker); got > maxSeries {
			t.Errorf("a worker with %d accounts has %d series, want at most %d", n, got, maxSeries)
		}
		if got := series(t, server); got > maxSeries {
			t.Errorf("a server with %d accounts has %d series, want at most %d", n, got, maxSeries)
		}
		calls, _ := bucketsFor(n)
		if want := map[bool]int{true: 9}[n <= 40]; len(calls) < want {
			t.Errorf("calls have %d buckets with %d accounts, want %d", len(calls), n, want)
		}
	}
}

func TestRecorded_CountsEachStatus(t *testing.T) {
	t.Parallel()
	reg, _, w, _ := newRegistries(t, someAccounts(1))
	w.Account("account-aa").Recorded([]campaign.Record{{Status: campaign.Accepted}, {Status: campaign.Accepted}, {Status: campaign.Rejected},
		{Status: campaign.Unknown}, {Status: campaign.Pending}})
	w.Account("account-aa").Reported("delivered", 2)
	w.Account("account-aa").Reported("parked", 5)
	w.Skipped("account-aa", "kobo", 3)
	w.Skipped("account-aa", "kobo", 0)
	got := map[string]float64{}
	for _, m := range gather(t, reg)["tuma_messages_total"].GetMetric() {
		for _, l := range m.GetLabel() {
			if l.GetName() == "outcome" {
				got[l.GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	want := map[string]float64{"accepted": 2, "rejected": 1, "unknown": 1, "skipped": 3, "delivered": 2, "undelivered": 0}
	for k, v := range want {
		if got[k] != v {
			t.Errorf("%s = %v, want %v", k, got[k], v)
		}
	}
}

func TestNewWorker_FailsWithoutATraceOnASecondOne(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	accounts := someAccounts(1)
	if _, err := NewWorker(reg, accounts, fakeSource(accounts, census.Census{})); err != nil {
		t.Fatal(err)
	}
	before := series(t, reg)
	if _, err := NewWorker(reg, accounts, fakeSource(accounts, census.Census{})); err == nil {
		t.Error("a second worker in one registry: no error, want one")
	}
	if got := series(t, reg); got != before {
		t.Errorf("after the error the registry has %d series, want %d as before", got, before)
	}
}
