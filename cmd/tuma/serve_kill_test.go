package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// killedServe is `tuma serve` as a process that is killed while clients post.
type killedServe struct {
	*fixture
	address, key string
	process      *exec.Cmd
	client       http.Client
	over         chan struct{} // The channel "over" is closed after the last kill.
	numbers      atomic.Int64
	answers      atomic.Int64 // answers with 2xx

	mu       sync.Mutex
	accepted []uint64        // recipients of requests that were answered with 2xx
	ids      map[string]bool // of those requests
}

// receipt has the fields that clients compare. They are fields of a campaign's receipt or of a message's status.
type receipt struct {
	ID      string    `json:"id"`
	Total   int       `json:"total"`
	Created time.Time `json:"created_at"`
}

func (s *killedServe) launch() {
	s.t.Helper()
	s.process = s.cli.process("serve", "--listen", s.address, "--log-level", "error")
}

func (s *killedServe) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

// post repeats a request until the server answers it with 2xx. Any client must repeat a request in this way if it does
// not know whether the request succeeded.
func (s *killedServe) post(ctx context.Context, path, id, body string) (receipt, error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		r, again, err := s.once(ctx, path, id, body)
		if !again {
			return r, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return r, fmt.Errorf("%s was not answered: %w", id, err)
		}
	}
}

// The method "once" sends the request a single time. The result "again" reports whether the client must repeat the
// request.
func (s *killedServe) once(ctx context.Context, path, id, body string) (r receipt, again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+s.address+path, strings.NewReader(body))
	if err != nil {
		return r, false, err
	}
	req.Header.Set("Authorization", "Bearer "+s.key)
	req.Header.Set("Idempotency-Key", id)
	req.Header.Set("Content-Type", "application/json")
	res, err := s.client.Do(req)
	if err != nil {
		return r, true, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return r, true, err
	case res.StatusCode == http.StatusConflict || res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= 500:
		return r, true, fmt.Errorf("%d %s", res.StatusCode, text)
	case res.StatusCode >= 300:
		return r, false, fmt.Errorf("%s: %d %s", id, res.StatusCode, text)
	}
	s.answers.Add(1)
	return r, false, json.Unmarshal(text, &r)
}

func (s *killedServe) number() uint64 { return 254700000000 + uint64(s.numbers.Add(1)) }

// The method "took" records a request that the server has answered with 2xx.
func (s *killedServe) took(id string, numbers ...uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ids[id] = true
	s.accepted = append(s.accepted, numbers...)
}

// postMessages posts one message after the other until the last kill.
func (s *killedServe) postMessages(ctx context.Context, client int) error {
	for i := 0; ; i++ {
		select {
		case <-s.over:
			return nil
		default:
		}
		n, id := s.number(), fmt.Sprintf("m%d-%d", client, i)
		if _, err := s.post(ctx, "/v1/messages", id, fmt.Sprintf(`{"to":"+%d","via":"kobo-main","body":"Code %s"}`, n, id)); err != nil {
			return err
		}
		s.took(id, n)
	}
}

// postTogether repeats one step until the last kill: it posts one campaign from fifty clients at once. All clients must
// get the same receipt.
func (s *killedServe) postTogether(ctx context.Context) error {
	const clients = 50
	for i := 0; ; i++ {
		select {
		case <-s.over:
			return nil
		default:
		}
		a, b, id := s.number(), s.number(), fmt.Sprintf("c%d", i)
		body := fmt.Sprintf(`{"via":"kobo-main","class":"transactional","body":"Sale","recipients":[{"number":"+%d"},{"number":"+%d"}]}`, a, b)
		var all sync.WaitGroup
		receipts, errs := make([]receipt, clients), make([]error, clients)
		for c := range clients {
			all.Go(func() { receipts[c], errs[c] = s.post(ctx, "/v1/campaigns", id, body) })
		}
		all.Wait()
		for c := range clients {
			if errs[c] != nil {
				return errs[c]
			}
			if receipts[c] != receipts[0] || receipts[c].ID != id || receipts[c].Total != 2 {
				return fmt.Errorf("%s: one client got the receipt %+v, another one %+v", id, receipts[0], receipts[c])
			}
		}
		s.took(id, a, b)
	}
}

// check compares two things with the requests that were answered with 2xx: the messages that went out, and the
// campaigns that exist.
func (s *killedServe) check() {
	s.t.Helper()
	for _, n := range s.accepted {
		eventually(s.t, fmt.Sprint("the message to ", n), func() bool { return s.gateway.Accepted(n) > 0 })
		if got := s.gateway.Accepted(n); got != 1 {
			s.t.Errorf("%d messages went out to %d, want 1", got, n)
		}
	}
	if got, want := int(s.gateway.Stats().Accepted), len(s.accepted); got != want {
		s.t.Errorf("%d messages went out, want the %d of requests that were answered with 2xx", got, want)
	}
	for _, st := range s.campaigns() {
		if !s.ids[st.ID] {
			s.t.Errorf("%s exists, but no request for it was answered with 2xx", st.ID)
		}
		delete(s.ids, st.ID)
	}
	if len(s.ids) > 0 {
		s.t.Errorf("requests were answered with 2xx, but these do not exist: %v", s.ids)
	}
}

// Clients post while `tuma serve` and Redis are killed: each message goes out once, and no request that was answered
// with 2xx is lost. Identical requests make one campaign and get one receipt.
func TestServe_KilledWhileClientsPost(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{}, redistest.WithAOF("always"))
	h.startWorker()
	key, _ := h.mustRun("keys", "create", "--name", "shop", "--scopes", "send")
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &killedServe{fixture: h, address: listener.Addr().String(), key: strings.TrimSpace(key), over: make(chan struct{}), ids: map[string]bool{}}
	_ = listener.Close()
	s.client.Transport = &http.Transport{MaxIdleConnsPerHost: 100}
	t.Cleanup(s.client.CloseIdleConnections)
	s.launch()
	t.Cleanup(func() { s.kill() })
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var clients sync.WaitGroup
	run := func(post func() error) {
		clients.Go(func() {
			if err := post(); err != nil {
				t.Error(err)
			}
		})
	}
	for c := range 4 {
		run(func() error { return s.postMessages(ctx, c) })
	}
	run(func() error { return s.postTogether(ctx) })
	for i := range 8 {
		before := s.answers.Load()
		eventually(t, "answers after a kill", func() bool { return t.Failed() || s.answers.Load() > before+60 })
		s.kill()
		if i%4 == 2 {
			h.redis.Restart()
		}
		s.launch()
	}
	close(s.over)
	clients.Wait()
	if t.Failed() {
		return
	}
	s.check()
	t.Logf("%d answers with 2xx, %d messages", s.answers.Load(), len(s.accepted))
}
