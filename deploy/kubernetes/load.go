//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	account = "try-kobo"
	// fullRate is the account's rate in messages a second. burst is the account's burst.
	fullRate, burst = 60, 10
	// latency is how long the gateway takes for a call. It is the same in all steps, because tuma_workers_desired also
	// depends on the duration of earlier calls, even of workers that have ended.
	latency = 100 * time.Millisecond
	// password is the account's password. No output of the cluster may contain this password.
	password = "planted-password-4711"
)

// load has the work for the workers: Redis, the simulated gateway and campaigns.
type load struct {
	*machine
	tuma           string // path of the tuma binary, which is also in the image
	redis, gateway string // addresses
	// keda is the folder of KEDA's programs. If it is empty, the method "follow" sets the number of workers.
	keda  string
	turns turns
	// sent is the number of recipients of all campaigns so far. skipped is how many of these recipients were skipped
	// because their campaign was cancelled.
	sent, skipped int
	spans         []span
}

// span is a period in which one rate was in force and the workers always had messages to send.
type span struct {
	name       string
	start, end time.Time
	rate       int
}

// counts has the fields of the gateway's own count that the checks need.
type counts struct {
	Accepted   int `json:"accepted"`
	Numbers    int `json:"numbers"`
	Duplicates int `json:"duplicates"`
	Conflicts  int `json:"conflicts"`
	Replays    int `json:"replays"`
}

// newLoad starts Redis and the gateway, and writes tuma.yaml for the commands of this program.
func newLoad(ctx context.Context, m *machine, built, scaler string) (*load, error) {
	l := &load{machine: m, keda: scaler, tuma: filepath.Join(built, "bin", "linux-"+runtime.GOARCH, "tuma")}
	host := subnet + ".1"
	for _, address := range []*string{&l.redis, &l.gateway} {
		var err error
		if *address, err = freeAddress(ctx, host); err != nil {
			return nil, err
		}
	}
	_, port, _ := strings.Cut(l.redis, ":")
	server := os.Getenv("REDIS_SERVER")
	if server == "" {
		server = "redis-server"
	}
	if _, err := m.start("redis", server, "--bind", host, "--port", port, "--protected-mode", "no", "--dir", m.path("redis"),
		"--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction"); err != nil {
		return nil, err
	}
	if _, err := m.start("sandbox", l.tuma, "sandbox", "--listen", l.gateway, "--latency", latency.String()); err != nil {
		return nil, err
	}
	config := fmt.Sprintf("redis: {url: \"redis://%s/0\"}\naccounts:\n  %s: {%s, user: any, pass: %s}\ndefault_country: NG\nwindows: off\n", l.redis, account, l.settings(), password)
	if err := os.WriteFile(m.path("tuma.yaml"), []byte(config), 0o600); err != nil {
		return nil, err
	}
	if err := until(ctx, "Redis and the gateway", time.Minute, func() error {
		if _, err := l.counts(ctx); err != nil {
			return again("%v", err)
		}
		if out, err := m.run(ctx, "", l.tuma, "list"); err != nil {
			return again("%s %v", out, err)
		}
		return nil
	}); err != nil {
		return nil, err
	}
	end, err := l.turns.watch(ctx, l.redis)
	if err != nil {
		return nil, err
	}
	m.onEnd(end)
	return l, nil
}

// The method "settings" returns the keys of the account, without its login.
func (l *load) settings() string {
	return fmt.Sprintf("provider: kobo, base_url: \"http://%s/kobo\", allow_http: true, rate: %d/s, burst: %d, concurrency: 4, timeout: 10s, sender: ACME", l.gateway, fullRate, burst)
}

// counts returns the gateway's count of all messages so far.
func (l *load) counts(ctx context.Context) (c counts, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.gateway+"/_sandbox/stats", nil)
	if err != nil {
		return c, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return c, err
	}
	defer func() { _ = answer.Body.Close() }()
	return c, json.NewDecoder(answer.Body).Decode(&c)
}

// The method "list" returns a list of n recipients that are in no earlier campaign. Each recipient has a different
// name, so each message needs a separate call.
func (l *load) list(n int) string {
	var out strings.Builder
	out.WriteString("phone,name\n")
	for range n {
		fmt.Fprintf(&out, "%d,customer %d\n", 2348030000000+l.sent, l.sent)
		l.sent++
	}
	return out.String()
}

// enqueue enqueues a campaign of n messages.
func (l *load) enqueue(ctx context.Context, id string, n int) error {
	_, err := l.run(ctx, l.list(n), l.tuma, "send", "--id", id, "--via", account, "--body", "Hello {{name}}", "--yes")
	return err
}

// The method "finish" waits until a campaign has ended, and returns an error unless all its messages are accepted.
func (l *load) finish(ctx context.Context, id string, limit time.Duration) error {
	var status struct {
		State                                            string
		Total, Accepted, Delivered, Undelivered, Pending int
	}
	err := until(ctx, "the end of campaign "+id, limit, func() error {
		out, err := l.run(ctx, "", l.tuma, "status", id, "--json")
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(out), &status); err != nil {
			return err
		}
		if status.State != "done" {
			return again("%+v", status)
		}
		return nil
	})
	// `tuma serve` asks for the delivery reports of a sample. A message with a report was accepted earlier, so this
	// check counts it as accepted.
	if err == nil && status.Accepted+status.Delivered+status.Undelivered != status.Total {
		err = fmt.Errorf("campaign %s: %+v, want all accepted", id, status)
	}
	return err
}

// The method "measured" calls the function "step" while a campaign is sent, and records the span of time of this
// step for the method "check".
func (l *load) measured(ctx context.Context, name string, rate int, step func() error) error {
	if err := sleep(ctx, 3*time.Second); err != nil { // wait until the rate is in force and the bucket is empty
		return err
	}
	s := span{name: name, start: time.Now(), rate: rate}
	if err := step(); err != nil {
		return err
	}
	s.end = time.Now()
	after, err := l.counts(ctx)
	if err != nil {
		return err
	}
	l.spans = append(l.spans, s)
	if after.Accepted >= l.sent-l.skipped {
		return fmt.Errorf("%s: the campaign ended before the end of the step, so a part of the step had no load", name)
	}
	return nil
}

// The method "check" compares the gateway's count with the number of enqueued messages, and the limiter's grants
// with the rate.
func (l *load) check(ctx context.Context) error {
	c, err := l.counts(ctx)
	if err != nil {
		return err
	}
	want := l.sent - l.skipped
	fmt.Printf("   %d messages to send: %d accepted, %d lost, %d duplicates, %d calls repeated with the same idempotency key\n", want, c.Accepted, want-c.Numbers, c.Duplicates, c.Replays)
	if c.Accepted != want || c.Numbers != want || c.Duplicates != 0 || c.Conflicts != 0 {
		return fmt.Errorf("the gateway counts %+v, want %d messages, each to a different number", c, want)
	}
	var failed []error
	for _, s := range l.spans {
		granted := l.turns.between(s.start, s.end)
		if len(granted) < s.rate {
			return fmt.Errorf("%s: %d grants were seen, fewer than the rate allows in one second", s.name, len(granted))
		}
		most, share := busiest(granted), used(granted, s.rate)
		fmt.Printf("   %-16s %5.1f s, %5d grants, at most %d in a second (limit %d), %.2f %% of %d/s used\n", s.name, s.end.Sub(s.start).Seconds(), len(granted), most, s.rate+burst, 100*share, s.rate)
		if most > s.rate+burst {
			failed = append(failed, fmt.Errorf("%s: %d grants in a second, want at most %d", s.name, most, s.rate+burst))
		}
		if share < leastUsed {
			failed = append(failed, fmt.Errorf("%s: %.2f %% of the rate used, want at least %.0f %%", s.name, 100*share, 100*leastUsed))
		}
	}
	return errors.Join(failed...)
}

// leastUsed is the smallest share of the rate that must be used in every measured step.
const leastUsed = 0.99

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
