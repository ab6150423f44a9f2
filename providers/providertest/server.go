package providertest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
)

// gateway is a simulated gateway of the tested kind, with its sandbox server and a log of all requests
// and replies.
type gateway struct {
	*simulator.Gateway
	server *simulator.Server
	url    string
	// hangUp closes every connection and the server.
	hangUp func()

	mu  sync.Mutex
	log []exchange
}

// exchange is a completely read request and its reply.
type exchange struct {
	method, target string
	header         http.Header
	body           []byte
	status         int
	contentType    string
	reply          []byte
}

// gateway starts a sandbox server that accepts only the suite's login.
func (x *exam) gateway() *gateway {
	s := simulator.New(simulator.Options{Users: map[string]string{user: secret}}, map[string]simulator.NewVendor{x.kind.Name: x.simulate})
	g := &gateway{Gateway: s.Gateway(x.kind.Name), server: s}
	web := httptest.NewServer(g)
	g.url = web.URL + "/" + x.kind.Name
	g.hangUp = sync.OnceFunc(func() { s.Close(); web.Close() })
	x.Cleanup(g.hangUp)
	return g
}

// ServeHTTP serves the sandbox and logs the exchange.
func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	t := &tee{ResponseWriter: w, status: http.StatusOK}
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.log = append(g.log, exchange{
			r.Method, r.RequestURI, r.Header, body, t.status, t.Header().Get("Content-Type"), t.body.Bytes(),
		})
	}()
	g.server.ServeHTTP(t, r)
}

// exchanges returns all exchanges so far.
func (g *gateway) exchanges() []exchange {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.log)
}

type tee struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

// WriteHeader writes the status and keeps a copy.
func (t *tee) WriteHeader(status int) {
	t.status = status
	t.ResponseWriter.WriteHeader(status)
}

// Write writes p and keeps a copy.
func (t *tee) Write(p []byte) (int, error) {
	t.body.Write(p)
	return t.ResponseWriter.Write(p)
}

// Unwrap returns the original writer, so that http.ResponseController can flush it.
func (t *tee) Unwrap() http.ResponseWriter { return t.ResponseWriter }

// realExchange sends the batch b to a sandbox that accepts every recipient. It returns the request
// with the gateway's reply, and the provider's answer.
func (x *exam) realExchange(b providers.Batch) (exchange, answer) {
	x.Helper()
	g := x.gateway()
	p := x.open(g.url)
	a := x.send(p, b)
	tape := g.exchanges()
	if a.count(providers.Accepted) != len(b.To) || len(tape) != 1 {
		x.Fatalf("got %d requests and the answer %v, want one request and an answer that accepts every recipient", len(tape), a)
	}
	return tape[0], a
}

// The method "raw" returns the text of a complete HTTP reply. It has the status and the content type of the
// exchange's reply, and the given body.
func (e exchange) raw(body []byte) string {
	return reply(e.status, "Content-Type: "+e.contentType+"\r\n", string(body))
}

// The function "reply" returns an HTTP reply as text. Every header line ends in \r\n.
func reply(status int, header, body string) string {
	var b strings.Builder
	b.Grow(len(header) + len(body) + len("HTTP/1.1 200 Test\r\nContent-Length: 10000000\r\n\r\n"))
	fmt.Fprintf(&b, "HTTP/1.1 %d Test\r\n%s", status, header)
	switch {
	case status < 200 || status == http.StatusNoContent || status == http.StatusNotModified: // these have no body
		b.WriteString("\r\n")
	default:
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(body), body)
	}
	return b.String()
}

// scripted is a server that runs a script on every connection and counts the completely read requests.
type scripted struct {
	url         string
	requests    atomic.Int64
	connections atomic.Int64

	wg   sync.WaitGroup
	mu   sync.Mutex
	open map[net.Conn]bool
}

// conn is the server's side of a connection.
type conn struct {
	net.Conn
	s *scripted
	r *bufio.Reader
}

// serve starts a server that runs the function "script" on each connection. When the function returns,
// the server closes the connection.
func (x *exam) serve(script func(c *conn)) *scripted {
	x.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(x.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		x.Fatalf("listen: %v", err)
	}
	s := &scripted{url: "http://" + l.Addr().String(), open: map[net.Conn]bool{}}
	s.wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			s.connections.Add(1)
			s.set(nc, true)
			s.wg.Go(func() {
				script(&conn{Conn: nc, s: s, r: bufio.NewReader(nc)})
				_ = nc.Close()
				s.set(nc, false)
			})
		}
	})
	x.Cleanup(func() {
		_ = l.Close()
		s.mu.Lock()
		for nc := range s.open {
			_ = nc.Close()
		}
		s.mu.Unlock()
		s.wg.Wait()
	})
	return s
}

func (s *scripted) set(nc net.Conn, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open {
		s.open[nc] = true
		return
	}
	delete(s.open, nc)
}

// The method "request" reads one complete request and returns its body. The result "ok" is false if
// the connection ends first.
func (c *conn) request() (body string, ok bool) {
	r, err := http.ReadRequest(c.r)
	if err != nil {
		return "", false
	}
	all, err := io.ReadAll(r.Body)
	if err != nil {
		return "", false
	}
	c.s.requests.Add(1)
	return string(all), true
}

func (c *conn) say(text string) { _, _ = io.WriteString(c, text) }

// The method "wait" blocks until the client has closed the connection.
func (c *conn) wait() { _, _ = io.Copy(io.Discard, c.r) }

// canned is a server that answers every request with the same reply, which the method "answer" sets.
// The server closes the connection after an empty reply and after a reply with "Connection: close".
type canned struct {
	*scripted
	text atomic.Pointer[[]byte]
}

func (x *exam) canned() *canned {
	x.Helper()
	s := new(canned)
	s.answer("")
	s.scripted = x.serve(func(c *conn) {
		for {
			if _, ok := c.request(); !ok {
				return
			}
			text := *s.text.Load()
			_, _ = c.Write(text)
			if len(text) == 0 || bytes.Contains(text[:min(len(text), 1<<10)], []byte(closing)) {
				return
			}
		}
	})
	return s
}

const closing = "Connection: close\r\n"

func (s *canned) answer(text string) {
	raw := []byte(text)
	s.text.Store(&raw)
}

var quiet = log.New(io.Discard, "", 0)
