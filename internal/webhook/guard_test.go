package webhook

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

func TestPublic_Addresses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"8.8.8.8", "1.1.1.1", "172.15.0.1", "172.32.0.1", "192.167.1.1", "100.63.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8"} {
		if !public(netip.MustParseAddr(text)) {
			t.Errorf("%s is refused", text)
		}
	}
	for _, text := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255",
		"192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
		"255.255.255.255", "168.63.129.16", "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
		"64:ff9b::8.8.8.8", "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1",
		"fe80::1%eth0", "fec0::1", "ff02::1", "2606:4700::1111%eth0",
	} {
		if public(netip.MustParseAddr(text)) {
			t.Errorf("%s is allowed", text)
		}
	}
	if public(netip.Addr{}) {
		t.Error("no address is allowed")
	}
}

// nameServer is a DNS server on a loopback port. Each query of an IPv4 address gets the next address in the list. When
// the list is at its end, every query gets the last address.
type nameServer struct {
	address string
	queries atomic.Int32

	mu      sync.Mutex
	answers [][4]byte
}

func newNameServer(t *testing.T, answers ...[4]byte) *nameServer {
	t.Helper()
	conn, err := (&net.ListenConfig{}).ListenPacket(t.Context(), "udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &nameServer{address: conn.LocalAddr().String(), answers: answers}
	var group sync.WaitGroup
	group.Go(func() {
		buf := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if reply := n.reply(buf[:size]); reply != nil {
				_, _ = conn.WriteTo(reply, from)
			}
		}
	})
	t.Cleanup(func() {
		_ = conn.Close()
		group.Wait()
	})
	return n
}

func (n *nameServer) reply(query []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(query) != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	m.Response, m.Additionals = true, nil
	if q.Type == dnsmessage.TypeA {
		n.queries.Add(1)
		n.mu.Lock()
		a := n.answers[0]
		if len(n.answers) > 1 {
			n.answers = n.answers[1:]
		}
		n.mu.Unlock()
		m.Answers = []dnsmessage.Resource{{Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}, Body: &dnsmessage.AResource{A: a}}}
	}
	out, err := m.Pack()
	if err != nil {
		return nil
	}
	return out
}

func (n *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp4", n.address)
	}}
}

// countingServer is an HTTP server that counts its connections.
func countingServer(t *testing.T, h http.HandlerFunc) (port string, connections *atomic.Int32) {
	t.Helper()
	connections = &atomic.Int32{}
	server := httptest.NewUnstartedServer(h)
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port, connections
}

// A private address must never be reached. The URL may contain the address itself or a name, and the address of the
// name may change between the look-up and the connection.
func TestGuard_ReachesNothingPrivate(t *testing.T) {
	t.Parallel()
	loopback, public := [4]byte{127, 0, 0, 1}, [4]byte{8, 8, 8, 8}
	port, connections := countingServer(t, func(http.ResponseWriter, *http.Request) {})
	for name, tt := range map[string]struct {
		host    string
		answers [][4]byte
		queries int32
	}{
		"address":             {"127.0.0.1", [][4]byte{public}, 0},
		"IPv6 address":        {"[::1]", [][4]byte{public}, 0},
		"mapped address":      {"[::ffff:127.0.0.1]", [][4]byte{public}, 0},
		"NAT64 address":       {"[64:ff9b::7f00:1]", [][4]byte{public}, 0},
		"unspecified address": {"0.0.0.0", [][4]byte{public}, 0},
		"name":                {"receiver.example.", [][4]byte{loopback}, 1},
		"name that changes":   {"receiver.example.", [][4]byte{public, loopback}, 2},
	} {
		n := newNameServer(t, tt.answers...)
		s := newSender(n.resolver())
		t.Cleanup(s.close)
		e := endpoint("http://" + tt.host + ":" + port + "/")
		e.AllowPrivate = false
		a := s.send(t.Context(), e, "evt_1", time.Now(), []byte("{}"))
		if a.Delivered || a.Error != errPrivate.Error() || connections.Load() != 0 || n.queries.Load() != tt.queries {
			t.Errorf("%s: %+v, %d connections, %d queries; want a refusal, none, and %d", name, a, connections.Load(), n.queries.Load(), tt.queries)
		}
	}
	// An endpoint that allows private addresses must reach the counting server by the same name. This shows that the
	// name server works, so it is not the cause of the refusals above.
	n := newNameServer(t, loopback)
	s := newSender(n.resolver())
	t.Cleanup(s.close)
	if a := s.send(t.Context(), endpoint("http://receiver.example.:"+port+"/"), "evt_1", time.Now(), []byte("{}")); !a.Delivered || connections.Load() != 1 {
		t.Errorf("an endpoint that allows private addresses: %+v, %d connections; want a delivery", a, connections.Load())
	}
}

// answers returns a receiver with a path for each kind of answer. Its redirects lead to the given port. The channel
// "written" receives the number of bytes of a large answer that the receiver could write.
func answers(port string, written chan<- int64) http.Handler {
	large := strings.Repeat("x", 64<<10)
	mux := http.NewServeMux()
	for code, path := range map[int]string{200: "/200", 204: "/204", 301: "/301", 307: "/307", 308: "/308", 404: "/404", 500: "/500", 503: "/503"} {
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://127.0.0.1:"+port+"/secret")
			w.Header().Set("Retry-After", "90")
			w.WriteHeader(code)
		})
	}
	mux.HandleFunc("/large", func(w http.ResponseWriter, _ *http.Request) {
		var n int64
		for range 160 { // 10 MB
			k, err := w.Write([]byte(large))
			if n += int64(k); err != nil {
				break
			}
		}
		written <- n
	})
	mux.HandleFunc("/slow", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a server notices a disconnected client only after it has read the body
		<-r.Context().Done()
	})
	mux.HandleFunc("/header", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("X-Large", large) })
	return mux
}

func TestSend_Answers(t *testing.T) {
	t.Parallel()
	port, connections := countingServer(t, func(http.ResponseWriter, *http.Request) {})
	written := make(chan int64, 1)
	server := httptest.NewServer(answers(port, written))
	t.Cleanup(server.Close)
	s := newSender(net.DefaultResolver)
	t.Cleanup(s.close)
	send := func(path string) Attempt {
		t.Helper()
		return s.send(t.Context(), endpoint(server.URL+path+"?token=in-the-url"), "evt_1", time.Now(), []byte("{}"))
	}
	for path, want := range map[string]Attempt{
		"/200": {Delivered: true, Status: 200}, "/204": {Delivered: true, Status: 204}, "/large": {Delivered: true, Status: 200},
		"/301": {Status: 301, Error: "the receiver answered 301: redirects are not followed"}, "/307": {Status: 307, Error: "the receiver answered 307: redirects are not followed"},
		"/308": {Status: 308, Error: "the receiver answered 308: redirects are not followed"},
		"/404": {Status: 404, Error: "the receiver answered 404"}, "/500": {Status: 500, Error: "the receiver answered 500"}, "/503": {Status: 503, Error: "the receiver answered 503"},
	} {
		got := send(path)
		if got.Delivered != want.Delivered || got.Status != want.Status || got.Error != want.Error {
			t.Errorf("%s: %+v, want %+v", path, got, want)
		}
		if wait := got.retryAfter; path != "/large" && wait != 90*time.Second {
			t.Errorf("%s: the receiver asks for %s, want 90 s", path, wait)
		}
	}
	if n := connections.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
	if n := <-written; n >= 10<<20 {
		t.Errorf("the receiver could write all of its %d bytes", n)
	}
	s.timeout = 50 * time.Millisecond
	if got := send("/slow"); got.Delivered || got.Error != "no answer in time" {
		t.Errorf("a slow receiver: %+v", got)
	}
	s.timeout = requestTimeout
	if got := send("/header"); got.Delivered || got.Error == "" || strings.Contains(got.Error, "in-the-url") {
		t.Errorf("a header of 64 KB: %+v", got)
	}
	server.Close()
	if got := send("/200"); got.Delivered || got.Error == "" || strings.Contains(got.Error, "in-the-url") {
		t.Errorf("no server: %+v", got)
	}
}

func TestRetryAfter_IsBounded(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{"": 0, "x": 0, "-1": 0, "30": 30 * time.Second, "3600": time.Hour, "99999": time.Hour, "9223372036854775807": time.Hour} {
		if got := retryAfter(http.Header{"Retry-After": {text}}); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
