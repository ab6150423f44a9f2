//go:build unix

package main

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// relayPath is the path of the run's web server to which gateways post callbacks. The account and the kind of the
// callback follow.
const relayPath = "/relay/"

// relayTimeout is how long a gateway waits for the answer to a callback.
const relayTimeout = 2 * time.Second

// relay passes the callbacks of the gateways on to `tuma serve`. It chooses one of the processes at random for each
// callback, and records how each callback was answered. It is safe for concurrent use.
type relay struct {
	addresses []string // of the processes
	client    *http.Client
	// answered is called with the form and the answer's status of each delivery report, before the gateway gets the
	// answer. It is not called for a report without an answer.
	answered func(form url.Values, status int)
	// breach notes a broken promise.
	breach func(format string, args ...any)

	taken, refused, failed, silent atomic.Int64 // callbacks with a 2xx, with a 4xx, with a 5xx, and without an answer
}

func newRelay(answered func(url.Values, int), breach func(string, ...any)) *relay {
	transport := &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 10 * time.Second}
	return &relay{client: &http.Client{Transport: transport, Timeout: relayTimeout}, answered: answered, breach: breach}
}

// ServeHTTP passes a callback on. If `tuma serve` does not answer, the gateway gets a 502, and posts the callback
// again.
func (x *relay) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	body, err := io.ReadAll(q.Body)
	if err != nil {
		return // the gateway closed the connection
	}
	account, kind, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, relayPath), "/")
	status := x.pass(context.WithoutCancel(q.Context()), account, kind, q.Method, q.URL.RawQuery, body)
	if status == 0 {
		status = http.StatusBadGateway
	}
	w.WriteHeader(status)
}

// The method "pass" sends a callback to one of the processes, and returns the status of the answer. It returns 0 if
// the process does not answer.
func (x *relay) pass(ctx context.Context, account, kind, method, query string, body []byte) int {
	u := url.URL{Scheme: "http", Host: x.address(), Path: "/callbacks/" + account + "/" + callbackSecret + "/" + kind, RawQuery: query}
	req, err := http.NewRequestWithContext(ctx, method, u.String(), bytes.NewReader(body))
	if err != nil {
		x.breach("callback %s of %s: %v", kind, account, err)
		return 0
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	status, err := x.do(req)
	switch {
	case err != nil:
		x.silent.Add(1)
		return 0
	case status/100 == 2:
		x.taken.Add(1)
	case status/100 == 5:
		x.failed.Add(1)
	default:
		x.refused.Add(1)
		x.breach("tuma serve answered %d to a callback %s of %s; only 2xx and 5xx are right, because the callback is valid", status, kind, account)
	}
	if form, err := url.ParseQuery(string(body)); err == nil && kind == "delivery" {
		x.answered(form, status)
	}
	return status
}

// The method "address" returns the address of one of the processes.
func (x *relay) address() string { return x.addresses[rand.IntN(len(x.addresses))] }

// The method "readiness" returns the status of a process' /readyz.
func (x *relay) readiness(ctx context.Context, address string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return 0, err
	}
	return x.do(req)
}

// The method "do" sends a request and returns the status of the answer. It reads the answer's body to its end.
func (x *relay) do(req *http.Request) (int, error) {
	res, err := x.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	if _, err := io.Copy(io.Discard, res.Body); err != nil {
		return 0, err
	}
	return res.StatusCode, nil
}

func (x *relay) close() { x.client.CloseIdleConnections() }
