package prometheus

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/deploy/deploytest"
)

// faultRig is a typical installation of Tuma: two accounts with a worker each, `tuma serve`, and a Prometheus.
type faultRig struct {
	*liveRig
	*server
	kobo      *deploytest.Process
	koboAt    string // address of the worker of kobo-main
	callbacks string // address of the doors of `tuma serve`
}

// fault makes one alert fire. The function "undo" ends the fault; it may be nil.
type fault struct {
	alert  string
	inject func(*testing.T, *faultRig)
	undo   func(*testing.T, *faultRig)
}

// The order of the faults is important: no fault may hide the alert of a later fault.
var faults = []fault{
	{"TumaAccountHeld",
		func(t *testing.T, r *faultRig) { r.run(t, "hold", "kobo-main", "--reason", "test") },
		func(t *testing.T, r *faultRig) { r.run(t, "release", "kobo-main") }},
	{"TumaRedisMemory",
		func(t *testing.T, r *faultRig) {
			for line := range strings.Lines(r.cli(t, "INFO", "memory")) {
				if text, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
					used, err := strconv.Atoi(text)
					if err != nil {
						t.Fatal(err)
					}
					r.cli(t, "CONFIG", "SET", "maxmemory", strconv.Itoa(used*100/90))
				}
			}
		},
		func(t *testing.T, r *faultRig) { r.cli(t, "CONFIG", "SET", "maxmemory", "1gb") }},
	{"TumaRedisEvicts",
		func(t *testing.T, r *faultRig) { r.cli(t, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru") },
		func(t *testing.T, r *faultRig) { r.cli(t, "CONFIG", "SET", "maxmemory-policy", "noeviction") }},
	{"TumaRedisReplicaLost", loseReplica, nil},
	{"TumaInvariantBreached",
		func(t *testing.T, r *faultRig) {
			r.send(t, "breached", "kobo-main", 5, "--start-at", "in 2h")
			r.cli(t, "HINCRBY", "tuma:{breached}:l", "pending", "-1")
		},
		func(t *testing.T, r *faultRig) { r.cli(t, "HINCRBY", "tuma:{breached}:l", "pending", "1") }},
	{"TumaCreditLow",
		func(t *testing.T, r *faultRig) {
			for _, credit := range []string{"2000", "1000"} {
				r.post(t, "credit", "gateway", "kobo", "credit", credit)
				r.kobo.Stop(t, syscall.SIGTERM)
				r.startKobo(t) // a worker reads the credit when it starts, and then only every five minutes
				deploytest.Wait(t, "the credit of "+credit, func() bool {
					v, ok := r.value(t, `max(tuma_account_credit{account="kobo-main"})`)
					return ok && fmt.Sprint(v) == credit
				})
			}
		},
		func(t *testing.T, r *faultRig) { r.post(t, "credit", "gateway", "kobo", "credit", "1000000") }},
	{"TumaUnknownGrowing",
		func(t *testing.T, r *faultRig) {
			r.post(t, "faults", "fault", "accept_close", "n", "2", "gateway", "africastalking")
			r.send(t, "unknown", "at-main", 100)
		},
		func(t *testing.T, r *faultRig) { r.run(t, "release", "at-main") }},
	{"TumaCallbacksSilent",
		func(t *testing.T, r *faultRig) {
			r.report(t, "1")
			deploytest.Wait(t, "the last reports", func() bool {
				v, ok := r.value(t, `sum(increase(tuma_callbacks_total{kind="delivery"}[20s]))`)
				return ok && v == 0
			})
			r.send(t, "silent", "at-main", 300)
		},
		func(t *testing.T, r *faultRig) { r.report(t, "0") }},
	{"TumaDoubtfulCalls",
		func(t *testing.T, r *faultRig) {
			r.post(t, "faults", "fault", "accept_close", "p", "1", "gateway", "kobo")
			r.send(t, "doubtful", "kobo-main", 50)
		},
		func(t *testing.T, r *faultRig) {
			r.post(t, "faults", "clear", "1")
			r.run(t, "release", "kobo-main")
		}},
	{"TumaOrphanedWork", orphan, func(t *testing.T, r *faultRig) { r.startKobo(t) }},
	{"TumaNoWorker",
		func(t *testing.T, r *faultRig) {
			r.kobo.Stop(t, syscall.SIGTERM)
			r.send(t, "no-worker", "kobo-main", 500)
		},
		func(t *testing.T, r *faultRig) { r.startKobo(t) }},
	{"TumaStalled",
		func(t *testing.T, r *faultRig) {
			r.send(t, "stalled", "kobo-main", 6000)
			deploytest.Wait(t, "calls", func() bool { return r.above(t, `sum(rate(tuma_calls_total{account="kobo-main"}[5s]))`, 0) })
			r.kobo.Signal(t, syscall.SIGSTOP)
		},
		func(t *testing.T, r *faultRig) { r.kobo.Signal(t, syscall.SIGCONT) }},
	{"TumaRedisDown", func(t *testing.T, r *faultRig) { r.redisServer.Stop(t, syscall.SIGKILL) }, nil},
}

// startKobo starts the worker of kobo-main.
func (r *faultRig) startKobo(t *testing.T) {
	t.Helper()
	r.kobo = deploytest.Start(t, r.dir, r.env, r.tuma, "worker", "--accounts", "kobo-main", "--listen", r.koboAt)
	deploytest.Wait(t, "the worker of kobo-main", func() bool { return deploytest.Listens(r.koboAt) })
}

// The method "report" makes the simulated Africa's Talking post delivery reports. The parameter "lost" is the share of
// the reports that the simulated gateway never posts.
func (r *faultRig) report(t *testing.T, lost string) {
	t.Helper()
	r.post(t, "reports", "gateway", "africastalking", "url", "http://"+r.callbacks+"/callbacks/at-main/trial-callback-secret/delivery", "delay", "500ms", "lost", lost)
}

// loseReplica adds a replica to Redis, and then stops the replica.
func loseReplica(t *testing.T, r *faultRig) {
	replica := r.startRedis(t, deploytest.FreeAddress(t), t.TempDir(), "--replicaof", strings.ReplaceAll(r.liveRig.redis, ":", " "))
	deploytest.Wait(t, "the replica", func() bool { return r.above(t, "max(tuma_redis_replicas)", 0) })
	replica.Stop(t, syscall.SIGTERM)
}

// orphan stops the worker of kobo-main, enqueues 30 campaigns for kobo-main and deletes the queues. Then the sweeper of
// the worker of at-main has to queue the work of these campaigns again.
func orphan(t *testing.T, r *faultRig) {
	r.kobo.Stop(t, syscall.SIGTERM)
	for i := range 30 {
		r.send(t, "orphan-"+strconv.Itoa(i), "kobo-main", 1)
	}
	r.cli(t, "EVAL", "for _, k in ipairs(redis.call('KEYS', 'asynq:*')) do redis.call('DEL', k) end return 1", "0")
}

func newFaultRig(t *testing.T) *faultRig {
	t.Helper()
	r := &faultRig{koboAt: deploytest.FreeAddress(t)}
	r.liveRig = newLive(t, func(gateway string) string {
		return "  kobo-main: {provider: kobo, base_url: \"http://" + gateway + "/kobo\", user: any, pass: any, sender: ACME, rate: 100/s, max_recipients: 5, timeout: 3s}\n" +
			"  at-main: {provider: africastalking, base_url: \"http://" + gateway + "/africastalking\", username: any, api_key: any, sender: ACME, rate: 100/s, max_recipients: 10, callback_secret: trial-callback-secret}\n"
	})
	at, serve := deploytest.FreeAddress(t), deploytest.FreeAddress(t)
	r.callbacks = deploytest.FreeAddress(t)
	r.startKobo(t)
	deploytest.Start(t, r.dir, r.env, r.tuma, "worker", "--accounts", "at-main", "--listen", at)
	deploytest.Start(t, r.dir, r.env, r.tuma, "serve", "--listen", r.callbacks, "--metrics-listen", serve)
	deploytest.Wait(t, "tuma serve", func() bool { return deploytest.Listens(r.callbacks) && deploytest.Listens(serve) })
	r.server = startPrometheus(t, shorten, map[string]string{"worker-kobo": r.koboAt, "worker-at": at, "serve": serve})
	r.report(t, "0")
	return r
}

// TestLive_AlertsFireInTheirFaults first runs Tuma without a fault; during this time no alert may fire. Then it injects
// the fault of each alert. At the end, each query of the dashboard must have had data. The test uses a copy of the
// rules with shorter durations.
func TestLive_AlertsFireInTheirFaults(t *testing.T) {
	needLive(t)
	r := newFaultRig(t)
	r.send(t, "clean-kobo", "kobo-main", 2000)
	r.send(t, "clean-at", "at-main", 2000)
	deploytest.Wait(t, "4,000 accepted messages", func() bool { return r.above(t, `sum(tuma_messages_total{outcome="accepted"})`, 3999) })
	deploytest.Wait(t, "2,000 reports", func() bool { return r.above(t, `sum(tuma_reports_total)`, 1999) })
	clean := time.Now()
	deploytest.Wait(t, "30 quiet seconds", func() bool { return time.Since(clean) > 30*time.Second })
	for _, x := range r.query(t, `max_over_time(ALERTS{alertstate="firing"}[5m])`) {
		t.Errorf("%s fired in a clean run", x.Metric["alertname"])
	}
	for _, x := range r.query(t, `sum by (kind) (tuma_sweeper_repairs_total) > 0`) {
		t.Logf("repairs in the clean run: %v %v", x.Metric["kind"], x.Value[1])
	}
	_, alerts := rules(t)
	for _, a := range alerts {
		if !slices.ContainsFunc(faults, func(f fault) bool { return f.alert == a.Alert }) {
			t.Errorf("%s has no fault that makes it fire", a.Alert)
		}
	}
	for _, f := range faults {
		deploytest.Wait(t, f.alert+" to be quiet before its fault", func() bool { return !slices.Contains(r.firing(t), f.alert) })
		begun := time.Now()
		f.inject(t, r)
		deploytest.Wait(t, f.alert, func() bool { return slices.Contains(r.firing(t), f.alert) })
		t.Logf("%-22s fires %4.1f s after the fault began; firing: %v", f.alert, time.Since(begun).Seconds(), r.firing(t))
		if f.undo != nil {
			f.undo(t, r)
		}
	}
	for _, q := range queries(t) {
		if !r.hasData(t, q) {
			t.Errorf("the dashboard has no data for %s", q)
		}
	}
	t.Logf("%d queries of the dashboard have data", len(queries(t)))
}
