//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/producer"
)

const (
	// apiRate is the rate of messages at which the time to the gateway is measured. apiMedian is the limit of that time
	// for half of the messages. apiSlowest is the limit for 99 of 100 messages.
	apiRate    = 200
	apiMedian  = 15 * time.Millisecond
	apiSlowest = 60 * time.Millisecond
	// fewestMessages is the rate that one `tuma serve` must reach: the smallest permitted number of accepted messages
	// in a second.
	fewestMessages = 2000
)

// apiRole measures the HTTP API. It measures the rate at which one `tuma serve` accepts messages, and compares this rate
// with that of a handler that only parses. It also measures the time from a request until the message reaches the
// gateway, at a fixed rate. The exit status is 1 if a bound is not kept.
//
//	go run ./internal/test/bench api
func apiRole(ctx context.Context, args []string) error {
	x := &reportsBench{options: options{pollInterval: 10 * time.Millisecond, aof: true}}
	f := flag.NewFlagSet("bench api", flag.ContinueOnError)
	f.IntVar(&x.n, "n", 20_000, "messages that are posted as fast as tuma serve takes them")
	f.IntVar(&x.concurrency, "concurrency", 32, "requests in flight")
	if err := f.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "tuma-api-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	x.dir = dir
	end, err := x.start(ctx)
	defer end()
	if err != nil {
		return err
	}
	gateway, err := newStampGateway(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = gateway.server.Close() }()
	x.sandbox = gateway.url
	key, err := x.startAPI(ctx)
	if err != nil {
		return err
	}
	defer key.end()
	return errors.Join(x.timeToGateway(ctx, gateway, key.secret), x.accepted(ctx, key.secret))
}

// apiProcesses has a worker, a `tuma serve` and a key of its API.
type apiProcesses struct {
	secret        string
	worker, serve child
}

func (p apiProcesses) end() {
	p.worker.end()
	p.serve.end()
}

func (x *reportsBench) startAPI(ctx context.Context) (p apiProcesses, err error) {
	if p.worker, err = x.run("off", "worker"); err != nil {
		return p, err
	}
	if p.serve, err = x.run("off", "serve", "--listen", x.serve); err != nil {
		return p, err
	}
	if err := awaitServe(ctx, "http://"+x.serve+"/readyz"); err != nil {
		return p, err
	}
	c, err := producer.New(x.redis.client)
	if err != nil {
		return p, err
	}
	if err := waitForAccount(ctx, c); err != nil {
		return p, err
	}
	out, err := exec.CommandContext(ctx, x.binary, "keys", "create", "--name", "bench", "--scopes", "send", "--config", filepath.Join(x.dir, "off.yaml")).Output()
	p.secret = strings.TrimSpace(string(out))
	return p, err
}

// The function "messages" returns n requests that send one message each. The phone numbers are consecutive, and begin
// with the parameter "first".
func messages(secret string, first, n int) (out [][]byte) {
	for i := range n {
		body := fmt.Sprintf(`{"to":"+2547%08d","via":"at","body":"Your code is 123456."}`, first+i)
		out = append(out, fmt.Appendf(nil, "POST /v1/messages HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", secret, len(body), body))
	}
	return out
}

// timeToGateway posts messages at apiRate, and measures for each message the time until the gateway has it.
func (x *reportsBench) timeToGateway(ctx context.Context, g *stampGateway, secret string) error {
	const n = apiRate * 20
	requests := messages(secret, 0, n)
	begun := time.Now()
	due := func(i int) time.Time { return begun.Add(time.Duration(i) * time.Second / apiRate) }
	err := postEach(ctx, x.serve, requests, x.concurrency, func(i int) {
		wait := time.NewTimer(time.Until(due(i)))
		<-wait.C
	}, func(int) {})
	if err != nil {
		return err
	}
	if err := g.await(ctx, n); err != nil {
		return err
	}
	var took []time.Duration
	for i := range n {
		took = append(took, g.at(fmt.Sprintf("+2547%08d", i)).Sub(due(i)))
	}
	took = took[apiRate:] // leave out the messages of the first second, because the connections start then
	slices.Sort(took)
	p50, p99 := took[len(took)/2], took[len(took)*99/100]
	fmt.Printf("at %d messages a second, from the request to the gateway: p50 %.1f ms, p99 %.1f ms\n", apiRate, p50.Seconds()*1000, p99.Seconds()*1000)
	if p50 > apiMedian || p99 > apiSlowest {
		return fmt.Errorf("p50 is %s and p99 %s, must be at most %s and %s", p50, p99, apiMedian, apiSlowest)
	}
	return nil
}

// The method "accepted" posts messages as fast as `tuma serve` takes them, and prints the rate.
func (x *reportsBench) accepted(ctx context.Context, secret string) error {
	parse, err := parseOnly(ctx)
	if err != nil {
		return err
	}
	bare, err := postAll(ctx, parse, messages(secret, 1_000_000, x.n), x.concurrency)
	if err != nil {
		return err
	}
	rate, err := postAll(ctx, x.serve, messages(secret, 2_000_000, x.n), x.concurrency)
	if err != nil {
		return err
	}
	fmt.Printf("messages accepted: %.0f a second; a handler that only parses: %.0f a second; ratio %.2f\n", rate, bare, rate/bare)
	if rate < fewestMessages {
		return fmt.Errorf("%.0f messages a second, must be at least %d", rate, fewestMessages)
	}
	return nil
}

// stampGateway answers like Africa's Talking, and records the arrival time of each number.
type stampGateway struct {
	url    string
	server *http.Server

	mu    sync.Mutex
	times map[string]time.Time
}

func newStampGateway(ctx context.Context) (*stampGateway, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	g := &stampGateway{url: "http://" + l.Addr().String(), times: map[string]time.Time{}}
	g.server = &http.Server{Handler: g, ReadHeaderTimeout: time.Minute}
	go func() { _ = g.server.Serve(l) }() // it ends with Close
	return g, nil
}

func (g *stampGateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	now := time.Now()
	type recipient struct {
		StatusCode int    `json:"statusCode"`
		Number     string `json:"number"`
		Status     string `json:"status"`
		Cost       string `json:"cost"`
		MessageID  string `json:"messageId"`
	}
	var out struct {
		SMSMessageData struct {
			Message    string
			Recipients []recipient
		}
	}
	var body struct {
		PhoneNumbers []string `json:"phoneNumbers"`
	}
	numbers := strings.Split(r.FormValue("to"), ",")
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") && json.NewDecoder(r.Body).Decode(&body) == nil {
		numbers = body.PhoneNumbers
	}
	g.mu.Lock()
	for _, n := range numbers {
		if _, ok := g.times[n]; !ok {
			g.times[n] = now
		}
		out.SMSMessageData.Recipients = append(out.SMSMessageData.Recipients, recipient{101, n, "Success", "KES 0.8000", "ATXid_" + n})
	}
	g.mu.Unlock()
	out.SMSMessageData.Message = "Sent"
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(out) // an error is ignored, because the worker may have ended
}

func (g *stampGateway) at(number string) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.times[number]
}

// The method "await" waits until n numbers have arrived.
func (g *stampGateway) await(ctx context.Context, n int) error {
	for range 3000 {
		g.mu.Lock()
		have := len(g.times)
		g.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return fmt.Errorf("not all of %d messages have reached the gateway within 30 s", n)
}
