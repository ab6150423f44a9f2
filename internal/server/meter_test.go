package server

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// notes is a Meter that records each call of its methods.
type notes struct {
	mu  sync.Mutex
	all []string
}

func (n *notes) add(text string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.all = append(n.all, text)
}

func (n *notes) Callback(account, kind, result string, d time.Duration) {
	n.add(fmt.Sprintf("%s %s %s %v", account, kind, result, d > 0))
}
func (n *notes) Inbound(account string)          { n.add(account + " stored") }
func (n *notes) OptOut(account string, many int) { n.add(fmt.Sprintf("%s optout %d", account, many)) }

func TestMeter_CountsWhatCallbacksDid(t *testing.T) {
	t.Parallel()
	r := newInboundRig(t)
	cfg, got := r.server.cfg, &notes{}
	cfg.Meter = got
	cfg.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics") })
	var err error
	r.server, err = New(cfg)
	r.ok(err)
	if w := r.request(http.MethodGet, "/metrics", nil); w.Body.String() != "metrics" {
		t.Errorf("/metrics answers %d %q, want the metrics", w.Code, w.Body)
	}
	r.say("acme", "1", "+254710000000", "20880", "Hello")
	r.say("acme", "1", "+254710000000", "20880", "Hello")
	r.say("acme", "2", "+254710000001", "20880", "STOP")
	r.post("/callbacks/at/"+firstSecret+"/optout", "phoneNumber", "+254710000002", "senderId", "ACME")
	r.post("/callbacks/at/"+firstSecret+"/optout", "nothing", "")
	r.post("/callbacks/at/wrong/optout", "phoneNumber", "+254710000002")
	r.redis.Kill()
	r.say("acme", "3", "+254710000003", "20880", "Hello")
	want := []string{
		"acme stored", "acme inbound ok true", "acme inbound ok true", "acme optout 1", "acme stored", "acme inbound ok true",
		"at optout 1", "at optout ok true", "at optout invalid true", "acme inbound failed true",
	}
	if !slices.Equal(got.all, want) {
		t.Errorf("counted:\n%s\nwant:\n%s", strings.Join(got.all, "\n"), strings.Join(want, "\n"))
	}
}

func TestMeter_WithoutMetricsThePathIsUnknown(t *testing.T) {
	t.Parallel()
	if w := newRig(t, nil).request(http.MethodGet, "/metrics", nil); w.Code != http.StatusNotFound {
		t.Errorf("/metrics answers %d, want 404", w.Code)
	}
}
