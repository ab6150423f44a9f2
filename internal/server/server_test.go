package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The method "serve" runs the server on a loopback port. It returns the address of the server, and
// the function "stop", which stops the server and returns the error of Run.
func (r *rig) serve(health net.Listener) (address string, stop func() error) {
	r.Helper()
	l, err := (&net.ListenConfig{}).Listen(r.Context(), "tcp", "127.0.0.1:0")
	r.ok(err)
	ctx, cancel := context.WithCancel(r.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.server.Run(ctx, l, health) }()
	var result error
	stopped := false
	stop = func() error {
		if !stopped {
			stopped = true
			cancel()
			result = <-ended
		}
		return result
	}
	r.Cleanup(func() { _ = stop() })
	return l.Addr().String(), stop
}

func (r *rig) dial(address string) net.Conn {
	r.Helper()
	c, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", address)
	r.ok(err)
	r.Cleanup(func() { _ = c.Close() })
	r.ok(c.SetDeadline(time.Now().Add(20 * time.Second)))
	return c
}

func TestServer_CutsOffSlowClients(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	r.server.headerTimeout, r.server.requestTimeout, r.server.idleTimeout = 100*time.Millisecond, 200*time.Millisecond, 200*time.Millisecond
	address, _ := r.serve(nil)
	head := "POST /callbacks/at/" + firstSecret + "/optout HTTP/1.1\r\nHost: x\r\n"
	for name, tt := range map[string]struct{ sent, want string }{
		"nothing sent":   {"", ""},
		"half a header":  {head, ""},
		"half a body":    {head + "Content-Length: 100\r\n\r\nsenderId=A", "HTTP/1.1 400 "},
		"large header":   {head + "X: " + strings.Repeat("x", 2*maxHeader) + "\r\n\r\n", "HTTP/1.1 431 "},
		"idle, then end": {"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := r.dial(address)
			_, err := io.WriteString(c, tt.sent)
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(c) // the read ends when the server closes the connection
			if err != nil && len(got) == 0 {
				t.Fatalf("the server does not close the connection: %v", err)
			}
			if !strings.HasPrefix(string(got), tt.want) || tt.want == "" && strings.HasPrefix(string(got), "HTTP/1.1 2") {
				t.Errorf("answer is %.60q; want %q", got, tt.want)
			}
		})
	}
}

func TestServer_DrainsRequestsInFlight(t *testing.T) {
	t.Parallel()
	reports := &blockingReports{entered: make(chan struct{}), release: make(chan struct{})}
	r := newRig(t, func(c *Config) { c.Reports = reports })
	health, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	r.ok(err)
	address, stop := r.serve(health)
	c := r.dial(address)
	body := "id=ATXid_1&status=Success&phoneNumber=%2B254711000001"
	_, err = io.WriteString(c, "POST /callbacks/at/"+secondSecret+"/delivery/camp/7.3 HTTP/1.1\r\nHost: x\r\nContent-Length: 53\r\n\r\n"+body)
	r.ok(err)
	<-reports.entered
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	for { // loop until the listener is closed
		probe, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			break
		}
		_ = probe.Close()
	}
	if w := r.request(http.MethodGet, "/readyz", nil); w.Code != http.StatusServiceUnavailable {
		t.Errorf("while it drains, /readyz answers %d; want 503", w.Code)
	}
	select {
	case err := <-ended:
		t.Fatalf("Run ended with a request in flight: %v", err)
	default:
	}
	close(reports.release)
	got, err := io.ReadAll(c)
	r.ok(err)
	if !strings.HasPrefix(string(got), "HTTP/1.1 200 ") {
		t.Errorf("the request in flight got %.60q; want 200", got)
	}
	r.ok(<-ended)
	if reports.place != "camp/7.3" {
		t.Errorf("the place is %q; want camp/7.3", reports.place)
	}
}

func TestServer_HealthChecksOnTheirOwnAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	health, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	r.ok(err)
	address, stop := r.serve(health)
	for url, want := range map[string]int{
		"http://" + health.Addr().String() + "/healthz": 200, "http://" + health.Addr().String() + "/readyz": 200,
		"http://" + address + "/healthz": 404, "http://" + address + "/readyz": 404,
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
		r.ok(err)
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		r.ok(err)
		r.ok(resp.Body.Close())
		if resp.StatusCode != want {
			t.Errorf("GET %s answers %d; want %d", url, resp.StatusCode, want)
		}
	}
	r.ok(stop())
}
