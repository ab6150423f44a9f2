//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/process"
	"github.com/tuma-sms/tuma/producer"
)

// These are the limits for the measurement of delivery reports.
const (
	// fewestCallbacks is the rate that one `tuma serve` with one Redis must reach, in callbacks a second.
	fewestCallbacks = 10_000
	// The latency is measured at a fixed rate, with "appendfsync always". latencyRate is this rate, in callbacks a
	// second. At most 1 % of the callbacks may take longer than slowestCallback.
	latencyRate     = 2_000
	slowestCallback = 50 * time.Millisecond
	// indexBytes is the maximum size of the index in Redis, in bytes for each recipient.
	indexBytes = 8
	// leastThroughput is the smallest permitted share: the throughput of a worker that indexes its messages, divided
	// by the throughput of a worker that does not index them.
	leastThroughput = 0.85
	reportSecret    = "a-secret-for-the-bench"
)

// reportsBench is one measurement of delivery reports: Redis, the sandbox, and the processes of tuma.
type reportsBench struct {
	options
	redis   *redisServer
	sandbox string // URL
	serve   string // address of tuma serve
	binary  string
}

// reportsRole measures delivery reports. It measures the throughput of a worker with and without the index of message
// IDs, the size of the index, and the latency of callbacks at a fixed rate. It also measures the rate at which one
// `tuma serve` takes callbacks, and compares this rate with that of a handler that only parses. The exit status is 1
// if a bound is not kept.
func reportsRole(ctx context.Context, args []string) (err error) {
	x := &reportsBench{options: options{pollInterval: 10 * time.Millisecond, aof: true}}
	f := flag.NewFlagSet("bench reports", flag.ContinueOnError)
	f.IntVar(&x.n, "n", 1_000_000, "recipients")
	f.IntVar(&x.rounds, "rounds", 3, "number of rounds, with and without the index")
	f.IntVar(&x.concurrency, "concurrency", 64, "callbacks in flight")
	if err := f.Parse(args); err != nil {
		return err
	}
	if x.dir, err = os.MkdirTemp("", "tuma-reports-"); err != nil {
		return err
	}
	defer os.RemoveAll(x.dir)
	end, err := x.start(ctx)
	defer end()
	if err != nil {
		return err
	}
	var failed []error
	ratio, err := x.throughput(ctx)
	if err != nil {
		return err
	}
	if ratio < leastThroughput {
		failed = append(failed, fmt.Errorf("the index costs too much: the throughput is %.2f of that without it, must be at least %.2f", ratio, leastThroughput))
	}
	each, err := x.indexSize(ctx)
	if err != nil {
		return err
	}
	if each > indexBytes {
		failed = append(failed, fmt.Errorf("%.2f bytes of index a recipient, must be at most %d", each, indexBytes))
	}
	return errors.Join(append(failed, x.callbacks(ctx))...)
}

// The method "start" builds tuma, and starts Redis and the sandbox. The returned function end() ends all of them.
func (x *reportsBench) start(ctx context.Context) (end func(), err error) {
	var started []interface{ end() }
	end = func() {
		for _, p := range started {
			p.end()
		}
	}
	x.binary = filepath.Join(x.dir, "tuma")
	build := exec.CommandContext(ctx, "go", "build", "-o", x.binary, "github.com/tuma-sms/tuma/cmd/tuma")
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		return end, fmt.Errorf("build tuma: %w", err)
	}
	gateway, err := startRole("sandbox", filepath.Join(x.dir, "sandbox.addr"))
	if err != nil {
		return end, err
	}
	started = append(started, gateway)
	if x.sandbox, err = gateway.address(ctx); err != nil {
		return end, err
	}
	if x.redis, err = startRedis(ctx, x.options); err != nil {
		return end, err
	}
	started = append(started, x.redis)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return end, err
	}
	x.serve = l.Addr().String()
	return end, l.Close()
}

// The method "run" starts a tuma command that runs until the caller ends it. The parameter "reports" is the value of
// the account's setting "reports".
func (x *reportsBench) run(reports string, args ...string) (child, error) {
	file := filepath.Join(x.dir, reports+".yaml")
	text := fmt.Sprintf("redis: {url: '%s', unsafe: true}\ndefault_country: KE\nwindows: off\naccounts:\n  at:\n    provider: africastalking\n    base_url: %s/africastalking\n"+
		"    username: demo\n    api_key: demopass\n    sender: ACME\n    rate: \"0\"\n    max_recipients: 500\n    concurrency: 8\n    callback_secret: %s\n    reports: %s\n", x.redis.url, x.sandbox, reportSecret, reports)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return child{}, err
	}
	cmd := exec.Command(x.binary, append(args, "--config", file, "--log-level", "error")...)
	p, err := process.StartLogged(cmd, filepath.Join(x.dir, "tuma.log"))
	return child{Process: p}, err
}

// The type "sent" has the figures of one campaign: the time since the enqueue, and the CPU times of the worker and of
// Redis.
type sent struct{ wall, worker, redis time.Duration }

// The method "send" sends a campaign to n numbers.
func (x *reportsBench) send(ctx context.Context, reports, id string) (s sent, err error) {
	if err := x.redis.client.FlushAll(ctx).Err(); err != nil {
		return s, err
	}
	w, err := x.run(reports, "worker")
	if err != nil {
		return s, err
	}
	defer w.end()
	c, err := producer.New(x.redis.client, producer.WithPollInterval(x.pollInterval))
	if err != nil {
		return s, err
	}
	if err := waitForAccount(ctx, c); err != nil {
		return s, err
	}
	before, err := x.redis.cpu(ctx)
	if err != nil {
		return s, err
	}
	begun := time.Now()
	to := func(yield func(producer.Recipient, error) bool) {
		for i := range x.n {
			if !yield(producer.Recipient{Number: fmt.Sprintf("+2547%08d", i)}, nil) {
				return
			}
		}
	}
	if _, err := c.Enqueue(ctx, producer.Campaign{ID: id, Via: "at", Body: body}, to); err != nil {
		return s, err
	}
	st, err := c.Wait(ctx, id)
	if err != nil {
		return s, err
	}
	s.wall = time.Since(begun)
	if st.Accepted != x.n {
		return s, fmt.Errorf("%d of %d recipients accepted, must be all: %+v", st.Accepted, x.n, st)
	}
	after, err := x.redis.cpu(ctx)
	w.end()
	s.redis = after - before
	s.worker, _ = w.usage()
	return s, err
}

// The method "throughput" sends campaigns with and without the index in turn. It takes the best round of each kind.
// It returns the throughput with the index, divided by the throughput without the index. Redis keeps the last
// campaign, which has the index.
func (x *reportsBench) throughput(ctx context.Context) (float64, error) {
	best := map[string]time.Duration{}
	for round := range x.rounds {
		for _, reports := range []string{"off", "all"} {
			took, err := x.send(ctx, reports, "bench")
			if err != nil {
				return 0, fmt.Errorf("reports: %s: %w", reports, err)
			}
			fmt.Printf("round %d: %d messages with reports: %s in %.2f s; CPU time of the worker %.2f s, of Redis %.2f s\n",
				round+1, x.n, reports, took.wall.Seconds(), took.worker.Seconds(), took.redis.Seconds())
			if b, ok := best[reports]; !ok || took.wall < b {
				best[reports] = took.wall
			}
		}
	}
	ratio := best["off"].Seconds() / best["all"].Seconds()
	fmt.Printf("throughput with the index: %.2f of that without it\n", ratio)
	return ratio, nil
}

// indexSize returns the bytes of the index for each recipient.
func (x *reportsBench) indexSize(ctx context.Context) (float64, error) {
	used, err := int64(0), error(nil)
	for keys := x.redis.client.Scan(ctx, 0, "tuma:dlr:*", 10_000).Iterator(); keys.Next(ctx); {
		n, err := x.redis.client.MemoryUsage(ctx, keys.Val(), 0).Result()
		if err != nil {
			return 0, err
		}
		used += n
	}
	each := float64(used) / float64(x.n)
	fmt.Printf("index: %.2f bytes a recipient\n", each)
	return each, err
}

// The method "callbacks" posts reports about the messages of the last campaign. It first posts them as fast
// as `tuma serve` takes them, and then at a fixed rate with "appendfsync always".
func (x *reportsBench) callbacks(ctx context.Context) error {
	requests, err := x.requests(ctx)
	if err != nil {
		return err
	}
	parse, err := parseOnly(ctx)
	if err != nil {
		return err
	}
	server, err := x.run("all", "serve", "--listen", x.serve)
	if err != nil {
		return err
	}
	defer server.end()
	if err := awaitServe(ctx, "http://"+x.serve+"/readyz"); err != nil {
		return err
	}
	timed := min(len(requests)/3, 60_000) // half a minute at latencyRate
	flat, rest := requests[:len(requests)-timed], requests[len(requests)-timed:]
	bare, err := postAll(ctx, parse, flat, x.concurrency)
	if err != nil {
		return err
	}
	before, err := x.redis.cpu(ctx)
	if err != nil {
		return err
	}
	rate, err := postAll(ctx, x.serve, flat, x.concurrency)
	if err != nil {
		return err
	}
	after, err := x.redis.cpu(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("callbacks: %.0f a second; a handler that only parses: %.0f a second; ratio %.2f; %.1f µs of Redis each\n", rate, bare, rate/bare, float64((after-before).Microseconds())/float64(len(flat)))
	if err := x.redis.client.ConfigSet(ctx, "appendfsync", "always").Err(); err != nil {
		return err
	}
	p50, p99, err := postAt(ctx, x.serve, rest, latencyRate, x.concurrency)
	if err != nil {
		return err
	}
	fmt.Printf("at %d callbacks a second with appendfsync always: p50 %.1f ms, p99 %.1f ms\n", latencyRate, p50.Seconds()*1000, p99.Seconds()*1000)
	server.end()
	cpu, _ := server.usage()
	fmt.Printf("tuma serve: %.1f µs of CPU time for each callback\n", float64(cpu.Microseconds())/float64(len(requests)))
	var failed []error
	if err := x.allApplied(ctx, len(requests)); err != nil {
		failed = append(failed, err)
	}
	if rate < fewestCallbacks {
		failed = append(failed, fmt.Errorf("%.0f callbacks a second, must be at least %d", rate, fewestCallbacks))
	}
	if p99 > slowestCallback {
		failed = append(failed, fmt.Errorf("p99 is %s, must be at most %s", p99, slowestCallback))
	}
	return errors.Join(failed...)
}

// allApplied returns an error unless all n reports were applied.
func (x *reportsBench) allApplied(ctx context.Context, n int) error {
	c, err := producer.New(x.redis.client)
	if err != nil {
		return err
	}
	s, err := c.Status(ctx, "bench")
	if err == nil && s.Delivered != n {
		err = fmt.Errorf("%d of %d reports were applied, must be all", s.Delivered, n)
	}
	return err
}

// mostRequests is the maximum number of reports that are posted.
const mostRequests = 300_000

// The method "requests" returns the HTTP requests of the reports about the last campaign, shuffled.
func (x *reportsBench) requests(ctx context.Context) (out [][]byte, err error) {
	c, err := producer.New(x.redis.client)
	if err != nil {
		return nil, err
	}
	for r, err := range c.Results(ctx, "bench") {
		if err != nil {
			return nil, err
		}
		form := url.Values{"id": {r.MessageID}, "status": {"Success"}, "phoneNumber": {"+" + r.MSISDN}, "networkCode": {"63902"}, "retryCount": {"0"}}.Encode()
		out = append(out, fmt.Appendf(nil, "POST /callbacks/at/%s/delivery HTTP/1.1\r\nHost: bench\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", reportSecret, len(form), form))
	}
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:min(len(out), mostRequests)], nil
}

// parseOnly starts the role that only parses callbacks, and returns its address.
func parseOnly(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "tuma-parse-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	p, err := startRole("parse", filepath.Join(dir, "parse.addr"))
	if err != nil {
		return "", err
	}
	context.AfterFunc(ctx, p.end)
	to, err := p.address(ctx)
	return strings.TrimPrefix(to, "http://"), err
}

// parseRole serves callbacks and messages, which it parses and answers with a 204. It stores nothing.
func parseRole(ctx context.Context, args []string) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Content-Type") == "application/json" {
			var m struct{ To, Via, Body string }
			if json.NewDecoder(r.Body).Decode(&m) != nil || m.To == "" {
				w.WriteHeader(http.StatusBadRequest)
				return
			}
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if r.ParseForm() != nil || r.PostForm.Get("id") == "" || r.PostForm.Get("status") == "" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})}
	context.AfterFunc(ctx, func() { _ = srv.Close() }) // this ends Serve, and then the process ends
	if err := os.WriteFile(args[0], []byte("http://"+l.Addr().String()), 0o600); err != nil {
		return err
	}
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// awaitServe waits until a URL answers with 200.
func awaitServe(ctx context.Context, to string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client := &http.Client{}
	for tick := time.Tick(20 * time.Millisecond); ; {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, to, http.NoBody)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for tuma serve: %w", errors.Join(err, ctx.Err()))
		case <-tick:
		}
	}
}
