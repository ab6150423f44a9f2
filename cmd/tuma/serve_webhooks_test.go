package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// hookReceiver counts messages whose signature is right.
type hookReceiver struct {
	url string

	mu    sync.Mutex
	taken []string
}

func newHookReceiver(t *testing.T, secret string) *hookReceiver {
	t.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	r := &hookReceiver{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil || hook.Verify(body, req.Header) != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.taken = append(r.taken, string(body))
	}))
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

// The method "has" reports whether the receiver got a message that contains the text.
func (r *hookReceiver) has(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.taken, func(body string) bool { return strings.Contains(body, text) })
}

// A `tuma serve` process delivers events to the webhook of its tuma.yaml. If tuma.yaml gets another webhook, the
// process uses the new webhook without a restart. After a stop, the next process also delivers the events
// that happened while `tuma serve` did not run. Each event is delivered once.
func TestServe_WebhooksOfTheConfiguration(t *testing.T) {
	t.Parallel()
	const first, second = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_dHVtYS10dW1hLXR1bWEtdHVtYS10dW1hLXR1bWE="
	h := newFixture(t, simulator.Options{})
	old, changed := newHookReceiver(t, first), newHookReceiver(t, second)
	before, err := os.ReadFile(filepath.Join(h.dir, "tuma.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	configure := func(url, secret string) {
		t.Helper()
		next := h.file("next.yaml", string(before)+"webhooks:\n  crm: {url: \""+url+"\", allow_private: true, events: [optout.added], secret: "+secret+"}\n")
		if err := os.Rename(next, filepath.Join(h.dir, "tuma.yaml")); err != nil {
			t.Fatal(err)
		}
	}
	start := func() *exec.Cmd {
		t.Helper()
		p := h.process("serve", "--listen", "127.0.0.1:0", "--log-format", "json")
		t.Cleanup(func() {
			_ = p.Process.Kill()
			_ = p.Wait()
		})
		return p
	}
	stop := func(p *exec.Cmd) {
		t.Helper()
		if err := p.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(); err != nil {
			t.Errorf("serve after SIGTERM: %v\n%s", err, p.Stderr)
		}
		for _, secret := range []string{first, second} {
			if strings.Contains(p.Stderr.(*syncBuffer).String(), secret) {
				t.Errorf("the log has a secret:\n%s", p.Stderr)
			}
		}
	}
	rdb := h.redis.Client()
	configure(old.url, first)
	p := start()
	eventually(t, "the webhook to begin", func() bool { return rdb.HExists(t.Context(), "tuma:webhook:{crm}", "cursor").Val() })
	h.mustRun("optout", "add", "0712345671")
	eventually(t, "the first event", func() bool { return old.has("254712345671") })
	configure(changed.url, second)
	eventually(t, "the reload", func() bool { return strings.Contains(p.Stderr.(*syncBuffer).String(), "reloaded") })
	h.mustRun("optout", "add", "0712345672")
	eventually(t, "the event at the new URL", func() bool { return changed.has("254712345672") })
	stop(p)
	h.mustRun("optout", "add", "0712345673")
	p = start()
	eventually(t, "the event of the time without a process", func() bool { return changed.has("254712345673") })
	stop(p)
	if old.has("254712345672") || len(old.taken) != 1 || len(changed.taken) != 2 {
		t.Errorf("the receivers have %q and %q, want each event once", old.taken, changed.taken)
	}
}

// If the secret of a webhook is missing, only `tuma serve` fails.
func TestServe_WebhookWithoutSecret(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	before, err := os.ReadFile(filepath.Join(h.dir, "tuma.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	h.file("tuma.yaml", string(before)+"webhooks:\n  crm:\n    url: https://crm.example.org/\n    secret: ${UNSET_SECRET}\n")
	if _, errOut, exit := h.run("serve", "--listen", "127.0.0.1:0"); exit != exitMisuse || !strings.Contains(errOut, "webhooks.crm.secret: environment variable UNSET_SECRET is not set") {
		t.Errorf("got exit %d and %s; want exit 2 and the variable", exit, errOut)
	}
	h.mustRun("list")
}
