package polling

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/process"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/providers/kobo/kobosim"
	"github.com/tuma-sms/tuma/ratelimit"
	"github.com/tuma-sms/tuma/sms"
)

// rig is a ledger whose campaigns go to a simulated KoboMobile. The rig notes the requests for reports.
type rig struct {
	testing.TB
	redis   *redistest.Server
	rdb     *redis.Client
	ledger  *ledger.Ledger
	gateway *simulator.Server
	url     string
	kobo    *kobo.Provider
	// provider is the client of the gateway.
	provider polled

	sample int           // size of the sample of each campaign; 0 means all messages
	span   time.Duration // the length of a span, if the gateway lists the reports of spans

	mu       sync.Mutex
	arrivals []time.Time
	asked    []string // message IDs, in the order of the requests
	open     map[string]int
	together int // the largest number of simultaneous requests about one message
	// If the function "answer" returns true, it has answered a request for a report, and the simulator does not get
	// this request. The function runs without the lock.
	answer func(w http.ResponseWriter, id string) bool
	counts map[tracking.Result]int
	// The map "applied" has the recipients whose final reports were applied. A key is campaign:batch.call:position.
	applied map[string]bool
}

// polled is a provider whose gateway answers requests for reports.
type polled interface {
	providers.Provider
	providers.StatusPoller
}

func newRig(t testing.TB) *rig {
	t.Helper()
	s := redistest.Start(t)
	r := &rig{TB: t, redis: s, rdb: s.Client(), open: map[string]int{}, counts: map[tracking.Result]int{}, applied: map[string]bool{}}
	r.ledger = ledger.New(r.rdb)
	r.gateway = simulator.New(simulator.Options{}, map[string]simulator.NewVendor{kobo.Name: kobosim.New})
	web := httptest.NewServer(http.HandlerFunc(r.serve))
	kobomobile := r.gateway
	t.Cleanup(func() { kobomobile.Close(); web.Close() })
	r.url = web.URL
	r.kobo = newKobo(t, web.URL)
	r.provider = r.kobo
	return r
}

func newKobo(t testing.TB, address string) *kobo.Provider {
	p, err := kobo.New(kobo.Config{Endpoint: providers.Endpoint{BaseURL: address, Timeout: 5 * time.Second}, User: "u", Pass: "p"})
	if err != nil {
		if t == nil {
			panic(err)
		}
		t.Fatal(err)
	}
	return p
}

// The method "serve" records each request for a report. It passes requests on to the simulator.
func (r *rig) serve(w http.ResponseWriter, req *http.Request) {
	if req.URL.Path != "/api/report/" {
		r.gateway.ServeHTTP(w, req)
		return
	}
	now := time.Now()
	body := r.body(req)
	r.mu.Lock()
	id, answer := body.Get("msgid"), r.answer
	r.arrivals, r.asked = append(r.arrivals, now), append(r.asked, id)
	r.open[id]++
	r.together = max(r.together, r.open[id])
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		r.open[id]--
		r.mu.Unlock()
	}()
	if answer != nil && answer(w, id) {
		return
	}
	r.gateway.ServeHTTP(w, req)
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func msisdn(row int) sms.MSISDN { return sms.MSISDN(2348030000000 + row) }

// The method "send" sends a campaign through the gateway, as a worker does. The campaign has the given
// number of calls. The parameter "size" is the number of recipients of each call.
func (r *rig) send(id string, calls, size int) {
	r.Helper()
	ctx := r.Context()
	u, err := r.ledger.BeginUpload(id, campaign.Spec{Body: "Sannu", From: "ACME"})
	r.ok(err)
	b := campaign.PlannedBatch{Calls: slices.Repeat([]int{size}, calls)}
	for row := 1; row <= calls*size; row++ {
		r.ok(u.Add(ctx, msisdn(row).E164()))
		b.To = append(b.To, campaign.Planned{Row: row, MSISDN: msisdn(row)})
	}
	_, err = u.Commit(ctx)
	r.ok(err)
	p, err := r.ledger.StartPlan(ctx, id, func(campaign.Spec) (campaign.PlanSnapshot, error) {
		return campaign.PlanSnapshot{Country: "NG", Accounts: []campaign.SnapshotAccount{{Name: "kobo-main", MaxRecipients: 500, BatchSize: 500}}}, nil
	})
	r.ok(err)
	_, _, err = p.CommitPage(ctx, script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 10_000}, Batches: []campaign.PlannedBatch{b}})
	r.ok(err)
	w, err := r.ledger.LoadWork(ctx, id, campaign.BatchName(0, 0))
	r.ok(err)
	login := r.provider.Info().Fingerprint
	notes := NewNotes(r.ledger.Runner(), zerolog.Nop(), NoteSettings{Login: login, For: 72 * time.Hour, Sample: r.sample, Spans: r.span > 0})
	notes.queue.schedule, notes.queue.span = []time.Duration{0}, r.span
	for _, g := range w.Open {
		c, err := r.ledger.Claim(ctx, ledger.ClaimRequest{ID: id, Batch: w.Batch.Name, Gen: g, IdempotencyKey: uuid.New(), Login: login, KeyTTL: time.Hour, Lease: time.Hour, OpenBatchLimit: 10_000})
		r.ok(err)
		to := make([]sms.MSISDN, len(g.To))
		for i, x := range g.To {
			to[i] = x.MSISDN
		}
		results, err := r.provider.Send(ctx, providers.Batch{IdempotencyKey: c.IdempotencyKey.String(), From: "ACME", Body: "Sannu", To: to})
		r.ok(err)
		records := make([]campaign.Record, len(results))
		for i, x := range results {
			records[i] = campaign.Record{Status: campaign.Accepted, MessageID: x.MessageID}
		}
		for range 2 { // a settle may be repeated
			r.ok(notes.Note(ctx, c, records, calls*size))
		}
		_, err = r.ledger.Settle(ctx, c, records, campaign.SettleAnswer, 1, 0)
		r.ok(err)
	}
}

// poller returns a Poller for one simulated process, with a separate client.
func (r *rig) poller(rate ratelimit.Rate, schedule ...time.Duration) *Poller {
	return New(Config{Ledger: ledger.New(r.redis.Client()), Log: zerolog.Nop(), Schedule: schedule, Slack: 5 * time.Second, Applied: r.noteApplied, Accounts: []Account{{Name: "kobo-main", Provider: r.provider,
		Login: r.provider.Info().Fingerprint, Rate: rate, For: 72 * time.Hour, Timeout: 5 * time.Second, Sample: r.sample, Count: func(x tracking.Result, n int) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.counts[x] += n
		}}}})
}

// noteApplied notes the recipients whose final reports were applied. A recipient must not occur twice.
func (r *rig) noteApplied(_ context.Context, list []tracking.Applied) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, x := range list {
		name := fmt.Sprintf("%s:%s.%d:%d", x.Campaign, x.Batch, x.Call, x.Position)
		if r.applied[name] {
			r.Errorf("%s was applied twice", name)
		}
		r.applied[name] = true
	}
}

// The method "run" runs Pollers until the function "done" returns true, and then stops them.
func (r *rig) run(done func() bool, pollers ...*Poller) {
	r.Helper()
	ctx, stop := context.WithCancel(r.Context())
	var group sync.WaitGroup
	for _, p := range pollers {
		group.Go(func() { p.Run(ctx) })
	}
	r.until(done)
	stop()
	group.Wait()
}

// The method "until" blocks until the function "done" returns true.
func (r *rig) until(done func() bool) {
	r.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for !done() {
		select {
		case <-tick.C:
		case <-limit:
			r.mu.Lock()
			defer r.mu.Unlock()
			r.Fatalf("the condition did not come true within a minute; %d requests, counts %v", len(r.asked), r.counts)
		}
	}
}

func (r *rig) requests() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.asked)
}

// The method "final" returns how many messages of a campaign have a final report. It also checks that the counts of the
// campaign add up to the number of its recipients.
func (r *rig) final(id string) int {
	r.Helper()
	s, err := r.ledger.Summary(r.Context(), id)
	r.ok(err)
	if n := s.Pending + s.Accepted + s.Delivered + s.Undelivered + s.Rejected + s.Unknown + s.Skipped; n != s.Total {
		r.Errorf("I1: the counts of %s add up to %d of %d", id, n, s.Total)
	}
	return s.Delivered + s.Undelivered
}

// isEmpty reports whether no call is waiting. If no call is waiting and a key of the queue still
// exists, it fails the test.
func (r *rig) isEmpty() bool {
	r.Helper()
	login := r.provider.Info().Fingerprint
	n, err := r.rdb.HLen(r.Context(), statesKey(login)).Result()
	r.ok(err)
	if n > 0 {
		return false
	}
	keys, err := r.rdb.Keys(r.Context(), turnsKey(login)+"*").Result()
	r.ok(err)
	if keys = slices.DeleteFunc(keys, func(k string) bool { return k == budgetKey(login) }); len(keys) > 0 {
		r.Errorf("no call waits, but there are the keys %q", keys)
	}
	return true
}

// withinBudget fails the test if the number of requests in any sliding second is above the
// parameter "most".
func (r *rig) withinBudget(most int) {
	r.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.SortFunc(r.arrivals, time.Time.Compare)
	for i := most; i < len(r.arrivals); i++ {
		if d := r.arrivals[i].Sub(r.arrivals[i-most]); d <= time.Second {
			r.Fatalf("%d requests arrived within %s, and the budget is %d a second", most+1, d, most)
		}
	}
}

const childRedis, childGateway, childRate = "TUMA_POLLING_REDIS", "TUMA_POLLING_GATEWAY", "TUMA_POLLING_RATE"

// runChild polls in a separate process until SIGTERM.
func runChild() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	options, err := redis.ParseURL(os.Getenv(childRedis))
	if err != nil {
		panic(err)
	}
	rate, err := ratelimit.ParseRate(os.Getenv(childRate))
	if err != nil {
		panic(err)
	}
	rdb := redis.NewClient(options)
	defer func() { _ = rdb.Close() }()
	p := newKobo(nil, os.Getenv(childGateway))
	New(Config{Ledger: ledger.New(rdb), Log: zerolog.New(os.Stderr), Schedule: testSchedule, Accounts: []Account{
		{Name: "kobo-main", Provider: p, Login: p.Info().Fingerprint, Rate: rate, For: 72 * time.Hour, Timeout: time.Second}}}).Run(ctx)
}

// testSchedule is the schedule of the processes that startChild starts.
var testSchedule = []time.Duration{time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second}

// startChild starts a process that polls.
func (r *rig) startChild(rate string) *process.Process {
	r.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s", childRedis, r.redis.URL()), childGateway+"="+r.url, childRate+"="+rate)
	p, err := process.StartLogged(cmd, r.TempDir()+"/child.log")
	r.ok(err)
	r.Cleanup(func() { _ = p.Kill() })
	return p
}
