package main

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// addressesOf returns the addresses that the log of a command names.
func addressesOf(log string) (all []string) {
	for line := range strings.SplitSeq(log, "\n") {
		var said struct{ Address string }
		if json.Unmarshal([]byte(line), &said) == nil && said.Address != "" {
			all = append(all, said.Address)
		}
	}
	return all
}

// page returns the status and the body of a page.
func page(t *testing.T, address, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if err := resp.Body.Close(); err != nil {
		t.Error(err)
	}
	return resp.StatusCode, string(body)
}

func TestMetrics_AreOnTheAddressOfTheFlag(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	for name, c := range map[string]struct {
		args  []string
		first string // a line that occurs only on the page of this command
		both  bool   // there are two addresses
	}{
		"worker": {[]string{"worker", "--accounts", "kobo-main", "--listen", "127.0.0.1:0", "--log-format", "json"}, "tuma_slots{account=\"kobo-main\"} ", false},
		"worker with its own address": {[]string{"worker", "--accounts", "kobo-main", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0", "--log-format", "json"},
			"tuma_slots{account=\"kobo-main\"} ", true},
		"serve": {[]string{"serve", "--listen", "127.0.0.1:0", "--log-format", "json"}, "tuma_inbound_total{account=\"kobo-main\"} 0", false},
	} {
		p := h.start(c.args...)
		want := 1
		if c.both {
			want = 2
		}
		var at []string
		eventually(t, "the addresses", func() bool { at = addressesOf(p.log.String()); return len(at) >= want })
		status, body := page(t, at[want-1], "/metrics")
		for _, line := range []string{c.first, "tuma_redis_up 1", "tuma_build_info{", "tuma_config_reload_total{result=\"failed\"} 0", "tuma_workers_desired ", "go_goroutines "} {
			if status != http.StatusOK || !strings.Contains(body, line) {
				t.Errorf("%s: /metrics answers %d without %q", name, status, line)
			}
		}
		for _, secret := range []string{"demopass", h.redis.Addr()} {
			if strings.Contains(body, secret) {
				t.Errorf("%s: /metrics contains %q", name, secret)
			}
		}
		if health, _ := page(t, at[want-1], "/healthz"); health != http.StatusOK {
			t.Errorf("%s: /healthz beside /metrics answers %d, want 200", name, health)
		}
		if c.both {
			if status, _ := page(t, at[0], "/metrics"); status != http.StatusNotFound {
				t.Errorf("%s: /metrics on --listen answers %d, want 404", name, status)
			}
		}
		if exit := p.end(t); exit != exitDone {
			t.Errorf("%s: exit %d\n%s", name, exit, p.log)
		}
	}
}

func TestMetrics_AddressInUseNamesItsFlag(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	p := h.start("worker", "--metrics-listen", "127.0.0.1:0", "--accounts", "kobo-main", "--log-format", "json")
	var at []string
	eventually(t, "the address", func() bool { at = addressesOf(p.log.String()); return len(at) > 0 })
	if _, errOut, exit := h.run("worker", "--accounts", "kobo-main", "--metrics-listen", at[0]); exit != exitFailed || !strings.Contains(errOut, "--metrics-listen: ") {
		t.Errorf("exit %d and %q, want 1 and an error about --metrics-listen", exit, errOut)
	}
}
