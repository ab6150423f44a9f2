package worker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/worker"
)

// logLines collects a worker's log.
type logLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *logLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// count returns the number of log lines that contain all of the given words.
func (l *logLines) count(words ...string) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			n++
		}
	}
	return n
}

func (r *testTuma) startLogged(accounts ...worker.Account) *logLines {
	r.t.Helper()
	var log logLines
	r.run(worker.Config{Accounts: accounts, Country: "KE", Logger: zerolog.New(&log).Level(zerolog.WarnLevel), SweepEvery: 50 * time.Millisecond})
	return &log
}

// publishAccount starts and stops a worker that serves the account, so that campaigns can be
// enqueued while no worker runs.
func (r *testTuma) publishAccount(a worker.Account) { r.start(a).drain(r.t) }

func (r *testTuma) hset(id, field, value string) {
	r.t.Helper()
	if err := r.rdb.HSet(r.t.Context(), "tuma:{"+id+"}:l", field, value).Err(); err != nil {
		r.t.Fatal(err)
	}
}

func (r *testTuma) hget(id, field string) string {
	r.t.Helper()
	v, err := r.rdb.HGet(r.t.Context(), "tuma:{"+id+"}:l", field).Result()
	if err != nil {
		r.t.Fatal(err)
	}
	return v
}

// waitForSweeps waits until a few more sweeps have ended.
func (r *testTuma) waitForSweeps() {
	r.t.Helper()
	done := time.After(12 * 50 * time.Millisecond)
	<-done
}

// fiveCallsABatch returns an account at a stub that takes 100 recipients a call: five calls a
// batch.
func (r *testTuma) fiveCallsABatch() (*stubGateway, worker.Account) {
	s := newStubGateway(providers.Info{MaxRecipients: 100, KeyTTL: keyTTL})
	return s, r.account(func(_ *kobo.Config, a *worker.Account) { a.Provider, a.Concurrency = s, 1 })
}

const ready100 = "r - 0 0 0 0 0 0 0 - - 0 100 0"

func allPositions() string {
	var b []byte
	for i := range 100 {
		b = binary.BigEndian.AppendUint16(b, uint16(i))
	}
	return string(b)
}

func allPending() string { return strings.Repeat("\x00\x00", 100) }

// damage is an unreadable value of a field of a campaign's ledger.
type damage struct {
	field, value string // value is the field's new value. If it is "", the old value loses its last byte.
	before       map[string]string
	waits        int // The field "waits" is the number of recipients that cannot get the message.
}

var damages = map[string]damage{
	"a batch cut short":                              {field: "b0.1", waits: 500},
	"an empty batch":                                 {field: "b0.1", value: "\x00", waits: 500},
	"random bytes for a batch":                       {field: "b0.1", value: "\xf3\x01\x02", waits: 500},
	"a wake number":                                  {field: "w0.1", value: "x", waits: 500},
	"a count of open generations":                    {field: "l0.1", value: "x", waits: 500},
	"a list of generations":                          {field: "x0.1", value: "x 9.9", waits: 500},
	"a generation cut short":                         {field: "g0.1.2.0", value: ready100[:20], waits: 100},
	"random bytes for a generation":                  {field: "g0.1.2.0", value: "\xff\x00\x01", waits: 100},
	"an empty generation":                            {field: "g0.1.2.0", value: " ", waits: 100},
	"positions cut short":                            {field: "i0.1.2.0", value: cut(allPositions()), before: map[string]string{"g0.1.2.0": ready100}, waits: 100},
	"positions without the last one":                 {field: "i0.1.2.0", value: cut(cut(allPositions())), before: map[string]string{"g0.1.2.0": ready100}, waits: 100},
	"positions out of range":                         {field: "i0.1.2.0", value: "\xff" + cut(allPositions()), before: map[string]string{"g0.1.2.0": ready100}, waits: 100},
	"results cut short":                              {field: "r0.1.2", value: cut(allPending()), before: map[string]string{"g0.1.2.0": ready100}, waits: 100},
	"random bytes for results":                       {field: "r0.1.2", value: "\x09\xff\x01", before: map[string]string{"g0.1.2.0": ready100}, waits: 100},
	"random bytes for results, generation untouched": {field: "r0.1.2", value: "\x09\xff\x01", waits: 100},
}

func cut(s string) string { return s[:len(s)-1] }

// The method "damage" waits until the paused campaign "c" is planned, makes a record unreadable, and resumes "c".
func (r *testTuma) damage(d damage) {
	r.t.Helper()
	// Wait until the queues are idle. Otherwise a worker may have loaded a batch already, and can send
	// this batch although the test damages its record.
	r.eventually(20*time.Second, "the plan, and idle queues", func() bool {
		ctx, q := r.t.Context(), "asynq:{tuma-send:kobo-main}:"
		busy := r.rdb.LLen(ctx, q+"active").Val() + r.rdb.LLen(ctx, q+"pending").Val()
		return r.status("c").Batches == 3 && r.rdb.ZCard(ctx, "tuma:{c}:o").Val() == 3 && busy == 0
	})
	if d.value == "" {
		d.value = cut(r.hget("c", d.field))
	}
	for f, v := range d.before {
		r.hset("c", f, v)
	}
	r.hset("c", d.field, d.value)
	if _, err := r.producer.Resume(r.t.Context(), "c"); err != nil {
		r.t.Fatal(err)
	}
}

// One record of one of three batches is unreadable. Work that does not need the record must
// continue, and the fault must be logged once.
func TestQuarantine_UnreadableRecordStopsNothingElse(t *testing.T) {
	t.Parallel()
	for name, x := range damages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			gateway, account := r.fiveCallsABatch()
			r.publishAccount(account)
			r.enqueue("c", kenyanNumbers(1200))
			if _, err := r.producer.Pause(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			log := r.startLogged(account)
			r.damage(x)
			r.enqueue("other", kenyanNumbers(300))
			r.eventually(15*time.Second, "all readable work to be sent", func() bool {
				s := r.status("c")
				return s.Accepted == 1200-x.waits && s.Quarantined > 0 && len(s.BlockedBy) == 1 && s.BlockedBy[0].Reason == "set_aside"
			})
			r.wait("other", 10*time.Second)
			r.waitForSweeps()
			s := r.status("c")
			if n := log.count("cannot be read", `"campaign":"c"`, fmt.Sprintf(`"record":%q`, x.field)); n != 1 {
				t.Errorf("got %d log lines for the record, want 1:\n%s", n, log.text.String())
			}
			if s.Pending != x.waits || s.Accepted+x.waits != 1200 || len(s.Unreadable) == 0 || !strings.HasPrefix(strings.Join(s.Unreadable, " "), x.field[:1]) &&
				!strings.Contains(strings.Join(s.Unreadable, " "), x.field) {
				t.Errorf("got the status %+v, want %d pending, all others accepted, and the unreadable record %s named", s, x.waits, x.field)
			}
			if _, err := r.producer.Cancel(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			if name == "random bytes for results, generation untouched" {
				return // the call's answer is quarantined, so the sweeper needs some minutes to end the call
			}
			if s := r.status("c"); !s.Ended() || s.Skipped != x.waits {
				t.Errorf("got the status after Cancel %+v, want the campaign ended and %d skipped", s, x.waits)
			}
			for number, n := range gateway.all() {
				if n > 2 { // the gateway may take one message to each number in each of the two campaigns
					t.Fatalf("%s was taken %d times, want at most 2", number, n)
				}
			}
		})
	}
}

func TestQuarantine_RepairedRecordContinuesAfterResume(t *testing.T) {
	t.Parallel()
	const page, n = campaign.MaxPageRows, campaign.MaxPageRows + 200
	r := newTestTuma(t, simulator.Options{})
	gateway, account := r.fiveCallsABatch()
	r.publishAccount(account)
	r.enqueue("c", kenyanNumbers(n))
	good := r.hget("c", "p1")
	r.hset("c", "p1", good[:len(good)-2])
	log := r.startLogged(account)
	r.eventually(15*time.Second, "the whole batches of the first page to be sent", func() bool {
		s := r.status("c")
		// Planning keeps the last recipients of the first page, fewer than a batch of 250, for the second
		// page. The record of the second page is unreadable, so these recipients wait.
		return s.Accepted > page-250 && s.Accepted <= page && s.Quarantined == 1 && s.BlockedBy[0].Reason == "set_aside"
	})
	r.waitForSweeps()
	if n := log.count("cannot be read", `"record":"p1"`, `"kept_in":"tuma:{c}:a"`); n != 1 {
		t.Errorf("got %d log lines for the record, want 1:\n%s", n, log.text.String())
	}
	// The record's bytes hold numbers, which must not be logged in any form.
	head := good[:16]
	if kept := r.rdb.HGet(t.Context(), "tuma:{c}:a", "p1").Val(); kept == "" || log.count(hex.EncodeToString([]byte(head))) > 0 || log.count(kenyanNumbers(page + 1)[page]) > 0 {
		t.Errorf("%d bytes were quarantined, want more than 0, and neither bytes nor numbers of the record in the log:\n%s", len(kept), log.text.String())
	}
	if _, err := r.producer.Resume(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	r.eventually(15*time.Second, "the record to be quarantined again", func() bool {
		return log.count("cannot be read", `"record":"p1"`) == 2 && r.status("c").Quarantined == 1
	})
	r.hset("c", "p1", good)
	if _, err := r.producer.Resume(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 15*time.Second); s.Accepted != n || s.Quarantined != 0 {
		t.Errorf("got the final status %+v, want %d accepted and 0 quarantined", s, n)
	}
	if len(gateway.all()) != n {
		t.Errorf("%d numbers were sent to, want %d", len(gateway.all()), n)
	}
}

// All work of a campaign needs the campaign's spec and plan snapshot. If these two records are
// unreadable, other campaigns must not be affected.
func TestQuarantine_UnreadableCampaignDelaysNoOther(t *testing.T) {
	t.Parallel()
	for _, record := range []string{"spec", "frozen", "v"} {
		t.Run(record, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			_, account := r.fiveCallsABatch()
			r.publishAccount(account)
			r.enqueue("c", kenyanNumbers(300))
			switch record {
			case "spec":
				r.rdb.Set(t.Context(), "tuma:{c}:s", `{"b":"Hel`, redis.KeepTTL)
			case "frozen":
				r.hset("c", "frozen", "")
			case "v":
				r.hset("c", "v", "x")
			}
			log := r.startLogged(account)
			r.enqueue("other", kenyanNumbers(300))
			r.wait("other", 10*time.Second)
			r.eventually(10*time.Second, "the log line", func() bool { return log.count("cannot be read", `"campaign":"c"`) > 0 })
			r.waitForSweeps()
			if n := log.count(`"level":"error"`); n != 1 {
				t.Errorf("got %d error lines, want 1:\n%s", n, log.text.String())
			}
			s, err := r.producer.Status(t.Context(), "c")
			if record == "v" {
				if err == nil || !strings.Contains(err.Error(), "record v") {
					t.Errorf("got the status %+v and the error %v, want an error that names record v", s, err)
				}
				return
			}
			if err != nil || s.Quarantined != 1 || s.Pending != 300 || s.BlockedBy[0].Reason != "set_aside" {
				t.Errorf("got the status %+v and the error %v, want 300 pending, 1 quarantined and the block set_aside", s, err)
			}
			if _, err := r.producer.Cancel(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			if s := r.status("c"); !s.Ended() || s.Skipped != 300 {
				t.Errorf("got the status after Cancel %+v, want the campaign ended and 300 skipped", s)
			}
		})
	}
}

func TestQuarantine_UnreadablePayloadsAreQuarantined(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	_, account := r.fiveCallsABatch()
	r.publishAccount(account)
	// A worker drops the task of an unplanned campaign. During the hold, a worker plans the campaign and sends nothing.
	if err := r.producer.Hold(t.Context(), account.Name, "test"); err != nil {
		t.Fatal(err)
	}
	r.enqueue("c", kenyanNumbers(300))
	log := r.startLogged(account)
	r.eventually(10*time.Second, "the plan", func() bool { return r.status("c").State == producer.Sending })
	client := asynq.NewClientFromRedisClient(r.rdb)
	for id, payload := range map[string]string{"c:0.0:7": "{", "c:0.9:1": `{"v":1,"c":"c","b":"7.0","w":1}`, "stranger": "\xff\x00", "d:plan:1": ""} {
		if _, err := client.EnqueueContext(t.Context(), asynq.NewTask(queue.TypeSend, []byte(payload)), asynq.Queue("tuma-send:kobo-main"), asynq.TaskID(id)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.producer.Release(t.Context(), account.Name); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 15*time.Second); s.Accepted != 300 {
		t.Errorf("got the status %+v, want 300 accepted", s)
	}
	r.eventually(10*time.Second, "all four log lines", func() bool { return log.count("cannot be read") == 4 })
	r.waitForSweeps()
	if n := log.count(`"level":"error"`); n != 4 {
		t.Errorf("got %d error lines, want 4:\n%s", n, log.text.String())
	}
	if s := r.status("c"); s.Quarantined != 2 || s.State != producer.Done {
		t.Errorf("got the status %+v, want state done and 2 quarantined", s)
	}
	if n := r.rdb.HLen(t.Context(), "tuma:payloads").Val(); n != 2 {
		t.Errorf("%d payloads of unknown campaigns were quarantined, want 2", n)
	}
	if n := r.rdb.ZCard(t.Context(), "asynq:{tuma-send:kobo-main}:archived").Val(); n != 0 {
		t.Errorf("asynq archived %d tasks, want 0", n)
	}
}

// A record may become unreadable while its call is in flight. Even then, the answer must be kept,
// and no recipient may get the message twice.
func TestQuarantine_AnswerForADamagedRecordIsKept(t *testing.T) {
	t.Parallel()
	for _, field := range []string{"g0.0.0.0", "r0.0.0"} {
		t.Run(field, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			gateway, account := r.fiveCallsABatch()
			begun, goOn := make(chan struct{}, 9), make(chan struct{})
			gateway.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
				begun <- struct{}{}
				<-goOn
				return gateway.accept(ctx, b)
			}
			account.Concurrency = 1
			r.publishAccount(account)
			r.enqueue("c", kenyanNumbers(600))
			log := r.startLogged(account)
			<-begun
			r.hset("c", field, "\x09\xff")
			close(goOn)
			r.eventually(15*time.Second, "the other batches to be sent", func() bool {
				s := r.status("c")
				return s.Accepted > 0 && s.Accepted+s.Pending == 600 && s.Quarantined >= 2 && len(s.BlockedBy) > 0
			})
			s := r.status("c")
			if s.Pending == 0 || s.Pending > 100 || s.InFlight.Recipients != s.Pending {
				t.Errorf("got the status %+v, want 1 to 100 pending, all of them in flight", s)
			}
			if !strings.Contains(strings.Join(s.Unreadable, "; "), "answer:0.0.0.0") {
				t.Errorf("got the unreadable records %q, want answer:0.0.0.0 among them", s.Unreadable)
			}
			if n := log.count("answer:0.0.0.0", `"kept_in":`); n != 1 {
				t.Errorf("the answer was logged %d times:\n%s", n, log.text.String())
			}
			for number, n := range gateway.all() {
				if n != 1 {
					t.Fatalf("%s was taken %d times, want 1", number, n)
				}
			}
		})
	}
}

// Provider.Send panics at a gateway without idempotency keys. Only the recipients of that call may
// end unknown.
func TestSend_PanicLeavesOnlyItsCallUnknown(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gateway := newStubGateway(providers.Info{MaxRecipients: 10})
	gateway.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if gateway.calls.Load() == 5 {
			panic("panic of a client")
		}
		return gateway.accept(ctx, b)
	}
	account := r.account(func(_ *kobo.Config, a *worker.Account) { a.Provider, a.Concurrency = gateway, 1 })
	r.start(account)
	r.enqueue("c", kenyanNumbers(100))
	if s := r.wait("c", 20*time.Second); s.Unknown == 0 || s.Unknown > 10 || s.Accepted+s.Unknown != 100 {
		t.Errorf("got the status %+v, want 100 accepted or unknown, 1 to 10 of them unknown", s)
	}
	if n := len(gateway.all()); n < 90 {
		t.Errorf("%d numbers were sent to, want at least 90", n)
	}
}
