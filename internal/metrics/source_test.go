package metrics

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/census"
)

// scrape returns the values of a registry's gauges by name and labels.
func scrape(t *testing.T, reg *prometheus.Registry) map[string]float64 {
	t.Helper()
	out := map[string]float64{}
	for name, f := range gather(t, reg) {
		for _, m := range f.GetMetric() {
			out[key(name, m)] = m.GetGauge().GetValue()
		}
	}
	return out
}

func key(name string, m *dto.Metric) string {
	for _, l := range m.GetLabel() {
		name += " " + l.GetValue()
	}
	return name
}

// The type "failing" is a stub that returns a census. A test can set the error of the stub, its delay,
// and the age of the census.
type failing struct {
	err   atomic.Pointer[error]
	delay atomic.Int64
	reads atomic.Int64
	age   atomic.Int64
}

func (f *failing) census(context.Context) (census.Census, time.Duration, bool, error) {
	f.reads.Add(1)
	<-time.After(time.Duration(f.delay.Load()))
	if err := f.err.Load(); err != nil {
		return census.Census{}, 0, false, *err
	}
	credit := 7.0
	return census.Census{Workers: 3, Desired: 5, Campaigns: map[campaign.State]int{campaign.Sending: 2}, Tasks: map[string]int{"retry": 4},
		Accounts: []census.Account{{Name: "other", Provider: "at", Rate: 9, Held: census.HeldCredit, Credit: &credit, CreditAge: &credit, Doubtful: 1,
			Backlog: map[campaign.Class]int{campaign.Marketing: 11}, Oldest: map[campaign.Class]float64{campaign.Marketing: 60}}}}, time.Duration(f.age.Load()), true, nil
}

func newFailing(t *testing.T) (*failing, *prometheus.Registry) {
	t.Helper()
	f, reg := &failing{}, prometheus.NewPedanticRegistry()
	source := NewSource([]Account{{Name: "own", Provider: "kobo", Rate: 50}}, f.census, func(context.Context) (Redis, error) {
		return Redis{Known: true, Used: 100, Max: 200, NoEviction: true, Replicas: 1}, nil
	})
	if err := reg.Register(source); err != nil {
		t.Fatal(err)
	}
	return f, reg
}

func TestSource_ShowsTheCensusAndOwnAccounts(t *testing.T) {
	t.Parallel()
	_, reg := newFailing(t)
	got := scrape(t, reg)
	for k, want := range map[string]float64{
		"tuma_redis_up": 1, "tuma_redis_used_bytes": 100, "tuma_redis_max_bytes": 200, "tuma_redis_noeviction": 1, "tuma_redis_replicas": 1,
		"tuma_workers": 3, "tuma_workers_desired": 5, "tuma_campaigns sending": 2, "tuma_campaigns done": 0, "tuma_queue_tasks retry": 4,
		"tuma_backlog_messages other marketing": 11, "tuma_backlog_messages other transactional": 0, "tuma_backlog_messages own marketing": 0,
		"tuma_backlog_oldest_seconds other marketing": 60, "tuma_rate_limit other": 9, "tuma_rate_limit own": 50,
		"tuma_account_held other credit": 1, "tuma_account_held other hand": 0, "tuma_account_held own credit": 0,
		"tuma_account_credit other": 7, "tuma_account_credit_age_seconds other": 7, "tuma_doubtful_calls other": 1, "tuma_doubtful_calls own": 0,
	} {
		if v, ok := got[k]; !ok || v != want {
			t.Errorf("%s = %v (there: %v), want %v", k, v, ok, want)
		}
	}
	if _, ok := got["tuma_account_credit own"]; ok {
		t.Error("an account whose gateway reports no credit has the metric tuma_account_credit, want none: 0 would raise an alert")
	}
}

func TestSource_KeepsTheLastValuesWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, reg := newFailing(t)
		scrape(t, reg)
		<-time.After(2 * freshFor)
		err := errors.New("connection refused")
		f.err.Store(&err)
		got := scrape(t, reg)
		if got["tuma_redis_up"] != 0 || got["tuma_backlog_messages other marketing"] != 11 || got["tuma_redis_used_bytes"] != 100 {
			t.Errorf("up %v, backlog %v, used %v, want 0, 11 and 100", got["tuma_redis_up"], got["tuma_backlog_messages other marketing"], got["tuma_redis_used_bytes"])
		}
		f.err.Store(nil)
		f.delay.Store(int64(time.Minute))
		<-time.After(2 * freshFor)
		begun := time.Now()
		if got = scrape(t, reg); got["tuma_redis_up"] != 0 || time.Since(begun) != readTimeout {
			t.Errorf("a Redis that hangs: up %v after %s, want 0 after %s", got["tuma_redis_up"], time.Since(begun), readTimeout)
		}
		reads := f.reads.Load()
		scrape(t, reg)
		if f.reads.Load() != reads {
			t.Error("a scrape started a read while another one hangs, want it to wait for that one")
		}
		<-time.After(2 * time.Minute)
	})
}

func TestSource_CountsNoWorkersAfterTheCensusHasBecomeOld(t *testing.T) {
	t.Parallel()
	f, reg := newFailing(t)
	f.age.Store(int64(workersGone + time.Second))
	if got := scrape(t, reg); got["tuma_workers"] != 0 || got["tuma_workers_desired"] != 5 || got["tuma_census_age_seconds"] != 21 {
		t.Errorf("workers %v, desired %v, age %v; want 0, 5 and 21", got["tuma_workers"], got["tuma_workers_desired"], got["tuma_census_age_seconds"])
	}
}
