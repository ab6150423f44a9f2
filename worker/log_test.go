package worker_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/ratelimit"
	"github.com/tuma-sms/tuma/worker"
)

// infoLines collects the lines of one or more workers, at info level and above. It is safe for
// concurrent use.
type infoLines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *infoLines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// The method "all" returns all lines. In the result "matching" it returns the lines with the given
// message.
func (l *infoLines) all(t *testing.T, message string) (lines, matching []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range strings.Lines(l.text.String()) {
		fields := map[string]any{}
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		lines = append(lines, fields)
		if fields["message"] == message {
			matching = append(matching, fields)
		}
	}
	return lines, matching
}

// The method "one" returns the only line with the given message. It fails the test if no line has the
// message, or if several lines have it.
func (l *infoLines) one(t *testing.T, message string) map[string]any {
	t.Helper()
	_, matching := l.all(t, message)
	if len(matching) != 1 {
		t.Fatalf("got %d lines %q, want 1; all lines:\n%s", len(matching), message, l.string())
	}
	return matching[0]
}

// count returns the number of lines with the given message.
func (l *infoLines) count(t *testing.T, message string) int {
	t.Helper()
	_, matching := l.all(t, message)
	return len(matching)
}

func (l *infoLines) string() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// startInfo starts a worker whose lines at info level and above go to l.
func (r *testTuma) startInfo(l *infoLines, cfg worker.Config) *startedWorker {
	r.t.Helper()
	cfg.Logger = zerolog.New(l).Level(zerolog.InfoLevel)
	return r.run(cfg)
}

// checkFields compares fields of a log line. Numbers are compared as float64, because JSON decodes
// them so.
func checkFields(t *testing.T, line, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if n, ok := value.(int); ok {
			value = float64(n)
		}
		if line[name] != value {
			t.Errorf("%v: got %s %v, want %v", line["message"], name, line[name], value)
		}
	}
}

func TestLog_DeadNumbersAreCountedNotLogged(t *testing.T) {
	t.Parallel()
	for _, gateway := range []string{"kobo", "africastalking"} {
		t.Run(gateway, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			a := r.account(func(_ *kobo.Config, a *worker.Account) { a.Rate = 100_000 })
			if gateway == "africastalking" {
				a = r.africasTalkingAccount(worker.OnUnknownKeep)
			}
			numbers := kenyanNumbers(2000)
			var dead []uint64
			for i := 0; i < len(numbers); i += 10 {
				n, err := strconv.ParseUint("254"+numbers[i][1:], 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				dead = append(dead, n)
			}
			if err := r.gateway.Gateway(gateway).SetReply(simulator.Reject, dead...); err != nil {
				t.Fatal(err)
			}
			log := &infoLines{}
			x := r.startInfo(log, worker.Config{Accounts: []worker.Account{a}})
			r.enqueue("c", append(numbers, "nonsense", numbers[1]))
			if s := r.wait("c", 120*time.Second); s.Accepted != 1800 || s.Rejected != 200 {
				t.Fatalf("got %d accepted, %d rejected; want 1800, 200", s.Accepted, s.Rejected)
			}
			x.drain(t)
			lines, _ := log.all(t, "")
			if len(lines) > 20 {
				t.Errorf("got %d lines at info level, want at most 20:\n%s", len(lines), log.string())
			}
			checkFields(t, log.one(t, "campaign started"), map[string]any{"campaign": "c", "recipients": 2002, "account": "kobo-main", "class": "marketing"})
			end := log.one(t, "campaign ended")
			checkFields(t, end, map[string]any{"campaign": "c", "state": "done", "recipients": 2002, "accepted": 1800, "rejected": 200, "unknown": 0,
				"skipped": 2, "skipped_duplicate": 1, "skipped_invalid_number": 1})
			took, _ := end["took_ms"].(float64)
			rate, _ := end["messages_per_s"].(float64)
			if took < 1 || rate < 1999/took*1000*0.9 || rate > 2001/took*1000*1.1 {
				t.Errorf("got took_ms %v, messages_per_s %v; want a rate of 2,000 messages in that time", took, rate)
			}
		})
	}
}

func TestLog_StartLineNamesVersionRedisAndRates(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	log := &infoLines{}
	slow := r.account(func(_ *kobo.Config, a *worker.Account) {
		a.Name, a.Rate, a.Unit = "slow", ratelimit.Rate(0.5), worker.UnitSegments
	})
	r.startInfo(log, worker.Config{Accounts: []worker.Account{r.account(), slow}, Version: "v1.2.3"})
	r.eventually(10*time.Second, "the start line", func() bool { return log.count(t, "worker started") == 1 })
	line := log.one(t, "worker started")
	if got := fmt.Sprint(line["version"], " ", line["accounts"]); got != "v1.2.3 map[kobo-main:unlimited slow:30/m segments]" {
		t.Errorf("got version and accounts %s, want v1.2.3 and the accounts with their rates", got)
	}
	if want := r.rdb.Options().Addr + "/0"; line["redis"] != want {
		t.Errorf("got redis %v, want %s", line["redis"], want)
	}
}

// Both workers and the sweeper notice when a campaign starts or ends. But the start and the end must each be logged
// only once.
func TestLog_CampaignsAreLoggedOnceInTheCluster(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Latency: time.Millisecond})
	log := &infoLines{}
	a := r.account(func(c *kobo.Config, _ *worker.Account) { c.MaxRecipients = 5 })
	first := r.startInfo(log, worker.Config{Accounts: []worker.Account{a}})
	r.startInfo(log, worker.Config{Accounts: []worker.Account{a}})
	const campaigns = 20
	for i := range campaigns {
		r.enqueue(fmt.Sprintf("c%d", i), kenyanNumbers(20))
	}
	r.enqueue("single", kenyanNumbers(1))
	for i := range campaigns {
		r.wait(fmt.Sprintf("c%d", i), 30*time.Second)
	}
	r.wait("single", 30*time.Second)
	r.eventually(10*time.Second, "all ends", func() bool { return log.count(t, "campaign ended") >= campaigns })
	first.drain(t)
	// After a retry, the campaign ends a second time.
	if _, err := r.producer.Cancel(t.Context(), "c0"); err == nil {
		t.Error("Cancel of a campaign that has ended: got no error")
	}
	_, ends := log.all(t, "campaign ended")
	seen := map[any]int{}
	for _, line := range ends {
		seen[line["campaign"]]++
	}
	if log.count(t, "campaign started") != campaigns || len(ends) != campaigns || len(seen) != campaigns || seen["single"] != 0 {
		t.Errorf("got %d starts and %d ends of %d campaigns, want %d of each, and none of a single message", log.count(t, "campaign started"), len(ends), len(seen), campaigns)
	}
}

// A cancelled campaign ends without a settle, so the sweeper logs its end. The pause and the resume
// must also be logged.
func TestLog_PauseResumeAndCancel(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Latency: 20 * time.Millisecond})
	log := &infoLines{}
	r.startInfo(log, worker.Config{Accounts: []worker.Account{r.account(func(c *kobo.Config, a *worker.Account) { c.MaxRecipients, a.Concurrency = 1, 1 })}})
	r.enqueue("c", kenyanNumbers(1000))
	r.eventually(10*time.Second, "a call", func() bool { return r.gateway.Stats().Calls > 0 })
	if _, err := r.producer.Pause(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	r.eventually(10*time.Second, "the pause line", func() bool { return log.count(t, "campaign paused") == 1 })
	if _, err := r.producer.Resume(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	r.eventually(10*time.Second, "the resume line", func() bool { return log.count(t, "campaign resumed") == 1 })
	if _, err := r.producer.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	r.eventually(10*time.Second, "the end line", func() bool { return log.count(t, "campaign ended") == 1 })
	end := log.one(t, "campaign ended")
	checkFields(t, end, map[string]any{"state": "cancelled", "recipients": 1000})
	if log.one(t, "campaign resumed")["paused_ms"] == nil || end["skipped"] != end["skipped_cancelled"] {
		t.Errorf("got lines %s, want paused_ms in the line of the resume, and all skipped recipients cancelled", log.string())
	}
	// The worker logs "campaign ended" after it has written the last event, so all events are in the stream now.
	if got, want := r.eventTexts(producer.CampaignStateChanged), []string{"c sending 1000", "c paused 1000", "c sending 1000", "c cancelled 1000"}; !slices.Equal(got, want) {
		t.Errorf("the states in the event stream are %q, want %q", got, want)
	}
}

func TestLog_HoldAndReleaseInPairs(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Credit: 100})
	log := &infoLines{}
	first := r.startInfo(log, worker.Config{Accounts: []worker.Account{r.account(func(c *kobo.Config, _ *worker.Account) { c.MaxRecipients = 10 })}})
	r.enqueue("c", kenyanNumbers(500))
	r.eventually(20*time.Second, "the hold line", func() bool { return log.count(t, "account held") == 1 })
	// Another worker takes over the sweep and logs the release.
	r.startInfo(log, worker.Config{Accounts: []worker.Account{r.account(func(c *kobo.Config, _ *worker.Account) { c.MaxRecipients = 10 })}})
	first.drain(t)
	r.gateway.SetCredit(1e6)
	if _, err := r.producer.Release(t.Context(), "kobo-main"); err != nil {
		t.Fatal(err)
	}
	r.eventually(20*time.Second, "the release line", func() bool { return log.count(t, "account released") >= 1 })
	if s := r.wait("c", 60*time.Second); s.Accepted != 500 {
		t.Errorf("got %d accepted, want 500", s.Accepted)
	}
	checkFields(t, log.one(t, "account held"), map[string]any{"account": "kobo-main", "reason": "credit", "level": "warn"})
	if ms, _ := log.one(t, "account released")["held_ms"].(float64); ms <= 0 {
		t.Errorf("got lines %s, want held_ms above 0", log.string())
	}
	if held, released := r.eventTexts(producer.AccountHeldEvent), r.eventTexts(producer.AccountReleasedEvent); len(held) != 1 || held[0] != "kobo-main credit" || len(released) != 1 {
		t.Errorf("got the events %q and %q, want one hold for credit and one release", held, released)
	}
}

func TestLog_RedisOutageIsTwoLines(t *testing.T) {
	t.Parallel()
	for name, outage := range map[string]struct {
		begin, end func(*redistest.Server)
		restarted  bool
	}{
		"frozen":    {(*redistest.Server).Stop, (*redistest.Server).Cont, false},
		"restarted": {(*redistest.Server).Kill, (*redistest.Server).Restart, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTumaOn(t, simulator.Options{Latency: 5 * time.Millisecond}, redistest.WithAOF("always"))
			log := &infoLines{}
			r.startInfo(log, worker.Config{Accounts: []worker.Account{r.account(func(c *kobo.Config, a *worker.Account) { c.MaxRecipients, a.Rate = 10, 500 })}})
			r.enqueue("c", kenyanNumbers(3000))
			r.eventually(10*time.Second, "calls", func() bool { return r.gateway.Stats().Calls > 20 })
			outage.begin(r.redis)
			waitFor(t, 10*time.Second)
			outage.end(r.redis)
			r.eventually(20*time.Second, "the line that Redis is back", func() bool { return log.count(t, "redis accepts writes again") > 0 })
			if s := r.wait("c", 60*time.Second); s.Accepted != 3000 {
				t.Errorf("got %d accepted, want 3000", s.Accepted)
			}
			r.eventually(10*time.Second, "the end line", func() bool { return log.count(t, "campaign ended") == 1 })
			log.one(t, "redis does not answer: waiting for it")
			back := log.one(t, "redis accepts writes again")
			checkFields(t, back, map[string]any{"restarted": outage.restarted})
			if ms, _ := back["took_ms"].(float64); ms < 8000 || ms > 30_000 {
				t.Errorf("got took_ms %v, want about 10,000", back["took_ms"])
			}
			if lines, _ := log.all(t, ""); len(lines) != 5 { // the worker's start, the campaign's start and end, and the two lines about Redis
				t.Errorf("got %d lines, want 5:\n%s", len(lines), log.string())
			}
		})
	}
}

// A worker knows which Redis it started on, even if Redis is killed as soon as the worker runs.
func TestLog_RestartRightAfterTheStart(t *testing.T) {
	t.Parallel()
	r := newTestTumaOn(t, simulator.Options{}, redistest.WithAOF("always"))
	log := &infoLines{}
	r.startInfo(log, worker.Config{Accounts: []worker.Account{r.account(func(*kobo.Config, *worker.Account) {})}})
	r.eventually(10*time.Second, "the start line", func() bool { return log.count(t, "worker started") == 1 })
	r.redis.Kill()
	r.eventually(20*time.Second, "the line about the outage", func() bool { return log.count(t, "redis does not answer: waiting for it") == 1 })
	r.redis.Restart()
	r.eventually(20*time.Second, "the line that Redis is back", func() bool { return log.count(t, "redis accepts writes again") == 1 })
	checkFields(t, log.one(t, "redis accepts writes again"), map[string]any{"restarted": true})
}
