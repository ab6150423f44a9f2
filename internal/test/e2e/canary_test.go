package e2e

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// blockingCounter is a proxy in front of a gateway. It counts how often each number arrives, including numbers
// that the gateway refuses. After unblockedNumbers numbers it blocks calls until the test closes the channel
// "open".
type blockingCounter struct {
	next http.Handler
	open chan struct{}
	mu   sync.Mutex
	seen map[string]int
}

// unblockedNumbers is the number of phone numbers that blockingCounter forwards before it blocks.
const unblockedNumbers = 20

var numberPattern = regexp.MustCompile(`2547\d{8}`)

// ServeHTTP counts the numbers of a call and forwards the call.
func (c *blockingCounter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	c.mu.Lock()
	for _, n := range numberPattern.FindAllString(string(body), -1) {
		c.seen[n]++
	}
	wait := len(c.seen) > unblockedNumbers
	c.mu.Unlock()
	if wait {
		select {
		case <-c.open:
		case <-r.Context().Done():
			return
		}
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	c.next.ServeHTTP(w, r)
}

func (c *blockingCounter) counts() (numbers, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, n := range c.seen {
		most = max(most, n)
	}
	return len(c.seen), most
}

// newRejectingDeployment returns a deployment with one account, and the counter in front of its
// gateway. The gateway has no idempotency keys and rejects each of the first n numbers of
// deployment.recipients.
func newRejectingDeployment(t *testing.T, n int) (*deployment, *blockingCounter) {
	t.Helper()
	gateway := catalog.Simulate(simulator.Options{})
	door := &blockingCounter{next: gateway, open: make(chan struct{}), seen: map[string]int{}}
	srv := httptest.NewServer(door)
	t.Cleanup(func() {
		gateway.Close()
		srv.Close()
	})
	f := deploymentWith(t, gateway, "  kobo-main: {provider: africastalking, base_url: '"+srv.URL+
		"', username: demo, api_key: demokey, sender: ACME, timeout: 5s, concurrency: 2, max_recipients: 5}\n")
	numbers := make([]uint64, n)
	for i := range numbers {
		numbers[i] = mustNumber(t, fmt.Sprintf("2547%08d", 10_000_000+i))
	}
	if err := gateway.Gateway("africastalking").SetReply(simulator.Reject, numbers...); err != nil {
		t.Fatal(err)
	}
	return f, door
}

// A worker is killed in the middle of a canary, at a gateway without idempotency keys that rejects
// every number. Each of the 50 messages of the canary must arrive at the gateway once. The other
// 4,950 messages must not be sent.
func TestCanary_KilledWorkerSendsNothingBeyondIt(t *testing.T) {
	t.Parallel()
	f, door := newRejectingDeployment(t, 5000)
	f.start()
	sent := make(chan string, 1)
	go func() {
		out, errOut, exit := f.tuma("send", "--id", "sale", "--via", "kobo-main", "--body", "Half price", "--file", f.recipients("sale.csv", 5000),
			"--canary", "50", "--max-rejected", "5", "--wait")
		sent <- fmt.Sprint(exit, out, errOut)
	}()
	f.eventually(30*time.Second, "calls to wait", func() bool { n, _ := door.counts(); return n > unblockedNumbers })
	f.kill(f.workers[0])
	close(door.open)
	f.start()
	var said string
	select {
	case said = <-sent:
	case <-time.After(2 * time.Minute):
		t.Fatalf("the campaign is not paused: %+v", f.status("sale"))
	}
	if !strings.HasPrefix(said, "3") || !strings.Contains(said, "50 of 50 canary messages were rejected or are unknown") || !strings.Contains(said, "tuma resume") {
		t.Errorf("tuma send printed %s", said)
	}
	s := f.status("sale")
	if s.State != producer.Paused || s.Rejected+s.Unknown != 50 || s.Unknown == 0 || s.Unknown > 10 || s.Pending != 4950 {
		t.Errorf("got %+v, want state paused, 4950 pending, and 50 rejected or unknown, 1 to 10 of them unknown", s)
	}
	if n, most := door.counts(); n != 50 || most != 1 {
		t.Errorf("got %d numbers, one of them up to %d times; want 50 numbers once", n, most)
	}

	// After a restart of Redis and the worker, the campaign is still paused and the reason is still known.
	f.kill(f.workers[1])
	f.redis.Kill()
	f.redis.Restart()
	f.start()
	if s := f.status("sale"); s.State != producer.Paused || s.TooManyRejected == nil {
		t.Errorf("after a restart: got %+v, want state paused with the counts that led to the pause", s)
	}
	if n, _ := door.counts(); n != 50 {
		t.Errorf("after a restart: got %d numbers, want 50", n)
	}
	f.must("cancel", "sale")
	if s := f.wait("sale", time.Minute); s.Skipped != 4950 {
		t.Errorf("after the cancel: got %+v, want 4950 skipped", s)
	}
}
