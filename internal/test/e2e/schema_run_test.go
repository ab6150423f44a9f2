package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/ratelimit"
	"github.com/tuma-sms/tuma/worker"
)

// schemaRig is a worker with two accounts, a producer, and the Redis that the worker and the producer use.
type schemaRig struct {
	t      *testing.T
	rdb    *redis.Client
	client *producer.Client
	worker *worker.Worker
	// The gateway "plain" takes two recipients a call, has no idempotency keys, and names recipients in its delivery
	// reports. The gateway "keyed" takes 500 recipients a call and has idempotency keys.
	plain, keyed *scriptedGateway
	next         int // how many phone numbers were used so far
}

// runSchemaCampaigns makes Tuma write every key, field and name of docs/redis-schema.md, except those in neverWritten.
func runSchemaCampaigns(t *testing.T, rdb *redis.Client) {
	t.Helper()
	r := &schemaRig{t: t, rdb: rdb,
		plain: &scriptedGateway{credit: 100, info: providers.Info{Name: "plain", Fingerprint: "00000000000000aa", MaxRecipients: 2, DLRNamesRecipient: true,
			MaxChars: 905, MaxSegments: 6}},
		keyed: &scriptedGateway{credit: 100, info: providers.Info{Name: "keyed", Fingerprint: "00000000000000bb", MaxRecipients: 500, Flash: true,
			KeyTTL: 30 * 24 * time.Hour, MaxChars: 905, MaxSegments: 6}},
	}
	var err error
	if r.client, err = producer.New(rdb, producer.WithPollInterval(20*time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	stop := r.start(30 * 24 * time.Hour)
	for _, do := range []func(){r.ordinary, r.everything, r.tryAgain, r.optOut, r.quarantine, r.twice, r.credit, r.refusals, r.failOver, r.night, r.large, r.byHand, r.inbound, r.reports, r.message, r.webhooks} {
		do()
	}
	stop()
	// The first sweep of a worker replaces campaigns past retention by tombstones. 8 s is longer than a worker takes to
	// publish its accounts, and shorter than the time since the first campaign ended.
	stop = r.start(8 * time.Second)
	r.until("the tombstone", func() bool {
		n, err := rdb.Exists(t.Context(), "tuma:{ordinary}:t").Result()
		r.ok(err)
		return n == 1
	})
	stop()
}

// The method "start" starts a worker for the accounts "plain" and "keyed". The sending hours of both accounts begin
// in two hours. So bulk campaigns wait during the test.
func (r *schemaRig) start(retention time.Duration) (stop func()) {
	r.t.Helper()
	nairobi := time.Now().UTC().Add(3 * time.Hour)
	closed, err := worker.ParseHours(nairobi.Add(2*time.Hour).Format("15:04") + "-" + nairobi.Add(3*time.Hour).Format("15:04"))
	if err != nil {
		r.t.Fatal(err)
	}
	cfg := worker.Config{Redis: r.rdb, UnsafeRedis: true, Country: "KE", Retention: retention, FailoverAfter: 200 * time.Millisecond,
		PollEvery: 20 * time.Millisecond, SweepEvery: 100 * time.Millisecond, Windows: map[string]worker.Hours{"KE": closed},
		Accounts: []worker.Account{
			{Name: "plain", Provider: r.plain, Rate: ratelimit.Rate(1000), Burst: 100, Sender: "ACME", OnUnknown: worker.OnUnknownResend, Price: "0.80 KES", Timeout: 2 * time.Second, Reports: worker.ReportsAll},
			{Name: "keyed", Provider: polledGateway{r.keyed}, Sender: "ACME", Timeout: 2 * time.Second, Reports: worker.ReportsSample + "1000"},
		}}
	r.ok(json.Unmarshal([]byte(`[{"match": "254", "via": ["plain", "keyed"]}]`), &cfg.Routes))
	if r.worker, err = worker.New(cfg); err != nil {
		r.t.Fatal(err)
	}
	w := r.worker
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("the worker ended with %v", err)
		}
	}
	r.t.Cleanup(stop)
	r.until("the accounts", func() bool {
		accounts, err := r.client.Accounts(ctx)
		return err == nil && len(accounts) == 2
	})
	return stop
}

func (r *schemaRig) until(what string, is func() bool) {
	r.t.Helper()
	deadline := time.After(40 * time.Second)
	for !is() {
		select {
		case <-deadline:
			r.t.Fatalf("waited too long for %s; the accounts and campaigns are %s", what, r.dump())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// The method "dump" returns the hashes of accounts and campaigns, for the message of a failed test.
func (r *schemaRig) dump() string {
	var out strings.Builder
	for _, pattern := range []string{"tuma:account:*", "tuma:{broken*}:*"} {
		keys, err := r.rdb.Keys(r.t.Context(), pattern).Result()
		r.ok(err)
		for _, key := range keys {
			fields, err := r.rdb.HGetAll(r.t.Context(), key).Result() // this fails for a key that is not a hash
			fmt.Fprintf(&out, "\n%s: %q %v", key, fields, err)
		}
	}
	return out.String()
}

func (r *schemaRig) ok(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// The method "numbers" returns n numbers that no other campaign has.
func (r *schemaRig) numbers(n int) []string {
	out := make([]string, n)
	for i := range out {
		r.next++
		out[i] = fmt.Sprintf("+2547%08d", r.next)
	}
	return out
}

// The method "enqueue" enqueues a transactional campaign. Sending hours do not apply to a transactional campaign, so
// it is sent at any hour.
func (r *schemaRig) enqueue(c producer.Campaign, numbers ...string) {
	r.t.Helper()
	c.Class = producer.Transactional
	if c.Body == "" {
		c.Body = "Habari"
	}
	_, err := r.client.Enqueue(r.t.Context(), c, producer.Numbers(numbers...))
	r.ok(err)
}

func (r *schemaRig) status(id string) producer.Status {
	r.t.Helper()
	s, err := r.client.Status(r.t.Context(), id)
	r.ok(err)
	return s
}

func (r *schemaRig) done(id string) producer.Status {
	r.t.Helper()
	r.until(id+" to be done", func() bool { s := r.status(id).State; return s == producer.Done || s == producer.Cancelled })
	return r.status(id)
}

func (r *schemaRig) has(id, field string) bool {
	r.t.Helper()
	ok, err := r.rdb.HExists(r.t.Context(), "tuma:{"+id+"}:l", field).Result()
	r.ok(err)
	return ok
}
