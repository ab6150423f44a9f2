package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tuma-sms/tuma/internal/census"
)

const (
	// readTimeout is how long a scrape waits for Redis.
	readTimeout = time.Second
	// freshFor is how long a scrape uses the values that an earlier scrape has read.
	freshFor = 500 * time.Millisecond
	// If the last census is older than workersGone, no worker is alive. A live worker takes a census every
	// few seconds.
	workersGone = 20 * time.Second
)

// Redis is the state of Redis.
type Redis struct {
	Known      bool    // false if Redis answers but does not report the values of the fields below
	Used, Max  float64 // both in bytes; a Max of 0 means no limit
	NoEviction bool
	Replicas   int
}

// Source is a collector of the values that all processes share: the census and the state of Redis. It reads
// both when a scrape comes. While Redis does not answer, tuma_redis_up is 0 and the other metrics keep
// their last values. It is safe for concurrent use.
type Source struct {
	accounts []Account
	census   func(context.Context) (c census.Census, age time.Duration, ok bool, err error)
	redis    func(context.Context) (Redis, error)

	mu       sync.Mutex
	inFlight chan struct{} // closed when the running read ends; nil if no read runs
	readAt   time.Time
	last     reading
}

// The type "reading" has the values of one read.
type reading struct {
	up     bool
	redis  Redis
	census census.Census
	age    time.Duration
	taken  bool // there is a census
}

// NewSource returns a Source. The parameter "accounts" has the accounts of this process. Their series exist
// before the first census.
func NewSource(accounts []Account, last func(context.Context) (census.Census, time.Duration, bool, error), redis func(context.Context) (Redis, error)) *Source {
	return &Source{accounts: accounts, census: last, redis: redis}
}

var (
	backlogDesc   = desc("tuma_backlog_messages", "Messages that may be sent now. Their campaigns are not paused, not scheduled, and within their sending hours.", "account", "class")
	oldestDesc    = desc("tuma_backlog_oldest_seconds", "Age of the oldest campaign in tuma_backlog_messages. The age starts when the campaign becomes due.", "account", "class")
	rateDesc      = desc("tuma_rate_limit", "Rate in force in units a second, for all workers together; 0: no limit.", "account")
	heldDesc      = desc("tuma_account_held", "1 if the account is held for this reason.", "account", "reason")
	creditDesc    = desc("tuma_account_credit", "Credit at the gateway, in the gateway's unit. Absent if the gateway does not report it.", "account")
	creditAgeDesc = desc("tuma_account_credit_age_seconds", "How long ago the credit was read.", "account")
	campaignsDesc = desc("tuma_campaigns", "Campaigns by state. Cancelled and done campaigns are counted again every few seconds.", "state")
	doubtfulDesc  = desc("tuma_doubtful_calls", "Calls that the gateway may have taken. Their outcome is not known.", "account")
	upDesc        = desc("tuma_redis_up", "1 if Redis has answered this scrape.")
	usedDesc      = desc("tuma_redis_used_bytes", "Memory that Redis uses; in a cluster, all masters together.")
	maxDesc       = desc("tuma_redis_max_bytes", "Limit of Redis' memory; 0: no limit.")
	policyDesc    = desc("tuma_redis_noeviction", "1 if Redis never evicts keys.")
	replicasDesc  = desc("tuma_redis_replicas", "Replicas that are connected to Redis.")
	workersDesc   = desc("tuma_workers", "Live workers.")
	desiredDesc   = desc("tuma_workers_desired", "Workers that the accounts can keep busy, at least 1. A backlog at a gateway's limit does not raise this number.")
	tasksDesc     = desc("tuma_queue_tasks", "Tasks in asynq's queues by state.", "state")
	censusAgeDesc = desc("tuma_census_age_seconds", "Age of the values that the sweeper counts for all processes.")
	sourceDescs   = []*prometheus.Desc{backlogDesc, oldestDesc, rateDesc, heldDesc, creditDesc, creditAgeDesc, campaignsDesc, doubtfulDesc, upDesc, usedDesc, maxDesc,
		policyDesc, replicasDesc, workersDesc, desiredDesc, tasksDesc, censusAgeDesc}
)

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (s *Source) Describe(to chan<- *prometheus.Desc) {
	for _, d := range sourceDescs {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (s *Source) Collect(to chan<- prometheus.Metric) {
	r := s.read()
	out := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	out(upDesc, number(r.up))
	if r.redis.Known || !r.up {
		out(usedDesc, r.redis.Used)
		out(maxDesc, r.redis.Max)
		out(policyDesc, number(r.redis.NoEviction || !r.redis.Known))
		out(replicasDesc, float64(r.redis.Replicas))
	}
	for _, st := range states {
		out(campaignsDesc, float64(r.census.Campaigns[st]), string(st))
	}
	for _, st := range TaskStates {
		out(tasksDesc, float64(r.census.Tasks[st]), st)
	}
	workers := r.census.Workers
	if r.age > workersGone {
		workers = 0
	}
	out(workersDesc, float64(workers))
	out(desiredDesc, float64(max(1, r.census.Desired)))
	if r.taken {
		out(censusAgeDesc, max(0, r.age.Seconds()))
	}
	for _, a := range s.known(r.census) {
		collectAccount(out, a)
	}
}

// The method "known" returns the accounts of the census, and the accounts of this process that the
// census lacks.
func (s *Source) known(c census.Census) []census.Account {
	out, there := c.Accounts[:len(c.Accounts):len(c.Accounts)], map[string]bool{}
	for _, a := range out {
		there[a.Name] = true
	}
	for _, a := range s.accounts {
		if !there[a.Name] {
			out = append(out, census.Account{Name: a.Name, Provider: a.Provider, Rate: a.Rate})
		}
	}
	return out
}

func collectAccount(out func(*prometheus.Desc, float64, ...string), a census.Account) {
	for _, class := range classes {
		out(backlogDesc, float64(a.Backlog[class]), a.Name, string(class))
		out(oldestDesc, a.Oldest[class], a.Name, string(class))
	}
	out(rateDesc, a.Rate, a.Name)
	for _, kind := range census.HoldKinds {
		out(heldDesc, number(a.Held == kind), a.Name, kind)
	}
	if a.Credit != nil && a.CreditAge != nil {
		out(creditDesc, *a.Credit, a.Name)
		out(creditAgeDesc, *a.CreditAge, a.Name)
	}
	out(doubtfulDesc, float64(a.Doubtful), a.Name)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// The method "read" returns the current values in Redis. Simultaneous scrapes share one read. If Redis does
// not answer within readTimeout, the method returns the last values, with the field "up" set to false.
func (s *Source) read() reading {
	s.mu.Lock()
	if time.Since(s.readAt) < freshFor {
		defer s.mu.Unlock()
		return s.last
	}
	done := s.inFlight
	if done == nil {
		done = make(chan struct{})
		s.inFlight = done
		go s.refresh(done)
	}
	s.mu.Unlock()
	timeout := time.NewTimer(readTimeout)
	defer timeout.Stop()
	late := false
	select {
	case <-done:
	case <-timeout.C:
		late = true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.last
	if late {
		r.up = false
	}
	return r
}

// refresh reads the census and the state of Redis. It runs in a separate goroutine, because a call to
// Redis may take longer than its context allows.
func (s *Source) refresh(done chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*readTimeout)
	defer cancel()
	c, age, taken, err := s.census(ctx)
	var r Redis
	if err == nil {
		r, err = s.redis(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last.up, s.readAt, s.inFlight = err == nil, time.Now(), nil
	if err == nil {
		s.last = reading{up: true, redis: r, census: c, age: age, taken: taken}
	}
	close(done)
}
