//go:build unix

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuma-sms/tuma/producer"
)

// apiTimeout is how long a client waits for an answer before it repeats its request.
const apiTimeout = 5 * time.Second

// apiClients is how many clients post one campaign or message at once.
const apiClients = 3

// apiClient posts campaigns and messages to the HTTP API of `tuma serve`. It chooses one of the two processes at
// random for each request. Safe for concurrent use.
type apiClient struct {
	key     string
	address func() string
	client  *http.Client

	answers, repeated atomic.Int64 // the number of 2xx answers, and the number of repeated requests
}

// apiReceipt is the part of an answer that is the same for all clients that post one campaign or message.
type apiReceipt struct {
	ID      string    `json:"id"`
	Created time.Time `json:"created_at"`
}

// errRefused means that the HTTP API would also refuse a repetition of the request.
var errRefused = errors.New("the HTTP API refused a valid request")

// newAPIClient makes an API key with the command `tuma keys create`.
func (r *chaosRun) newAPIClient(ctx context.Context, config string) (*apiClient, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, r.binary, "--config", config, "keys", "create", "--name", "chaos", "--scopes", "send")
	cmd.Env = []string{"TUMA_CONFIG=", "HOME=" + filepath.Dir(config)}
	var output strings.Builder
	cmd.Stderr = &output
	key, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("tuma keys create: %w: %s", err, output.String())
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 32, IdleConnTimeout: 10 * time.Second}
	return &apiClient{key: strings.TrimSpace(string(key)), address: r.relay.address, client: &http.Client{Transport: transport, Timeout: apiTimeout}}, nil
}

// The method "request" returns the path and the body of the request that enqueues a campaign, or a message.
func (c *campaign) request(spec producer.Campaign) (path string, body []byte, err error) {
	if c.message {
		body, err = json.Marshal(map[string]any{"to": fmt.Sprint(c.first), "via": spec.Via, "body": spec.Body})
		return "/v1/messages", body, err
	}
	type recipient struct {
		Number string `json:"number"`
	}
	list := make([]recipient, c.total)
	for i := range list {
		list[i].Number = fmt.Sprint(c.first + uint64(i))
	}
	body, err = json.Marshal(map[string]any{"via": spec.Via, "body": spec.Body, "canary": spec.Canary, "max_rejected": spec.MaxRejected, "recipients": list})
	return "/v1/campaigns", body, err
}

// The method "enqueue" posts a campaign or message from several clients at once. The Idempotency-Key is the
// campaign's ID. Each client repeats its request until it gets a 2xx. The method returns the receipts of all clients.
// Its error wraps errRefused, or is the error of ctx.
func (a *apiClient) enqueue(ctx context.Context, c *campaign, spec producer.Campaign) ([]apiReceipt, error) {
	path, body, err := c.request(spec)
	if err != nil {
		return nil, err
	}
	receipts, errs := make([]apiReceipt, apiClients), make([]error, apiClients)
	var clients sync.WaitGroup
	for i := range apiClients {
		clients.Go(func() { receipts[i], errs[i] = a.post(ctx, path, c.id, body) })
	}
	clients.Wait()
	return receipts, errors.Join(errs...)
}

// The method "post" repeats a request until it gets a 2xx.
func (a *apiClient) post(ctx context.Context, path, id string, body []byte) (apiReceipt, error) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 4*time.Second) {
		r, err := a.once(ctx, path, id, body)
		if err == nil || errors.Is(err, errRefused) {
			return r, err
		}
		a.repeated.Add(1)
		select {
		case <-ctx.Done():
			return r, ctx.Err()
		case <-time.After(wait + rand.N(200*time.Millisecond)):
		}
	}
}

// The method "once" sends a request once. Its error wraps errRefused if the answer is a 4xx other than 409 and 429.
func (a *apiClient) once(ctx context.Context, path, id string, body []byte) (r apiReceipt, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+a.address()+path, bytes.NewReader(body))
	if err != nil {
		return r, err
	}
	req.Header.Set("Authorization", "Bearer "+a.key)
	req.Header.Set("Idempotency-Key", id)
	req.Header.Set("Content-Type", "application/json")
	res, err := a.client.Do(req)
	if err != nil {
		return r, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return r, err
	case res.StatusCode == http.StatusConflict || res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= http.StatusInternalServerError:
		return r, fmt.Errorf("status %d", res.StatusCode)
	case res.StatusCode/100 != 2:
		return r, fmt.Errorf("%w: %d %.300s", errRefused, res.StatusCode, text)
	}
	a.answers.Add(1)
	if err := json.Unmarshal(text, &r); err != nil {
		return r, fmt.Errorf("%w: the answer is %.300q: %w", errRefused, text, err)
	}
	return r, nil
}

func (a *apiClient) close() {
	if a != nil {
		a.client.CloseIdleConnections()
	}
}

// enqueueByAPI enqueues a campaign or message over the HTTP API. It returns false if ctx ends, or after a broken promise.
func (t *traffic) enqueueByAPI(ctx context.Context, c *campaign, spec producer.Campaign) bool {
	receipts, err := t.api.enqueue(ctx, c, spec)
	if err != nil {
		if errors.Is(err, errRefused) {
			t.breach("enqueue %s over HTTP: %v", c.id, err)
		}
		return false
	}
	t.mu.Lock()
	c.receipt = receipts[0]
	t.mu.Unlock()
	for _, b := range receiptBreaches(c.id, receipts) {
		t.breach("%s", b)
	}
	return true
}

// receiptBreaches compares the receipts of one campaign's clients.
func receiptBreaches(id string, receipts []apiReceipt) (breaches []string) {
	for _, r := range receipts {
		if r.ID != id || r.Created.IsZero() || !r.Created.Equal(receipts[0].Created) {
			breaches = append(breaches, fmt.Sprintf("%s: one client got the receipt %+v, another one %+v", id, receipts[0], r))
		}
	}
	return breaches
}

// messagePause is the longest time between two single messages, in multiples of traffic.pause.
const messagePause = 2

// runMessages enqueues single messages over the HTTP API, at the gateways in turn, until the channel "over" is
// closed. It skips gateways with idempotency keys, because such a gateway has one campaign at a time (see
// concurrentCampaigns).
func (t *traffic) runMessages(ctx context.Context, over <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		case <-ctx.Done():
			return
		case <-time.After(rand.N(messagePause * t.pause)):
		}
		names := t.gateway.Names()
		gateway := names[n%len(names)]
		if hasKeys(gateway) {
			continue
		}
		c := t.newMessage(gateway)
		if c == nil {
			continue
		}
		t.background.Go(func() {
			if t.enqueue(ctx, c) {
				t.follow(ctx, c)
			}
		})
	}
}

// checkList compares the list of Tuma's campaigns and messages with the campaigns and messages that chaos has
// enqueued. The parameter "all" has what chaos enqueued, and the parameter "listed" has the statuses in Tuma's list.
func checkList(all []*campaign, listed []producer.Status) (breaches noticed) {
	known, times := map[string]*campaign{}, map[string]int{}
	for _, c := range all {
		known[c.id] = c
	}
	for _, s := range listed {
		c := known[s.ID]
		times[s.ID]++
		switch {
		case c == nil:
			breaches.add("the list of campaigns has %s, which was not enqueued", s.ID)
		case times[s.ID] > 1:
			breaches.add("the list of campaigns has %s twice", s.ID)
		case s.Total != c.total:
			breaches.add("%s has %d recipients in the list of campaigns, and %d were enqueued", s.ID, s.Total, c.total)
		case c.byAPI && c.enqueued && !s.CreatedAt.Equal(c.receipt.Created):
			breaches.add("%s was created at %s, but its receipt over HTTP says %s", s.ID, s.CreatedAt, c.receipt.Created)
		}
	}
	for _, c := range all {
		if c.enqueued && times[c.id] == 0 {
			breaches.add("%s was enqueued, but the list of campaigns does not have it", c.id)
		}
	}
	return breaches
}

// checkCampaigns checks that every enqueued campaign and message exists once. It returns the broken promises.
func (r *chaosRun) checkCampaigns(ctx context.Context) ([]string, error) {
	var listed []producer.Status
	for s, err := range r.traffic.watcher.ListCampaigns(ctx, producer.ListOptions{Messages: true}) {
		if err != nil {
			return nil, fmt.Errorf("list campaigns: %w", err)
		}
		listed = append(listed, s)
	}
	return checkList(r.traffic.campaigns(), listed), nil
}
