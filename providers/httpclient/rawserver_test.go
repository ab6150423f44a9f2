package httpclient

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

// rawServer is a server that runs a script on each connection and counts connections, bytes and requests.
type rawServer struct {
	addr     string
	conns    atomic.Int64
	bytes    atomic.Int64 // the number of bytes that the script has read; for a TLS server, decrypted bytes
	requests atomic.Int64 // complete requests only
	wg       sync.WaitGroup
}

// rawConn is the server's side of a connection.
type rawConn struct {
	net.Conn
	s *rawServer
	r *bufio.Reader
}

func (c *rawConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.s.bytes.Add(int64(n))
	return n, err
}

// The method "request" reads one complete request. The result "ok" is false if the connection ends first.
func (c *rawConn) request() (r *http.Request, body string, ok bool) {
	r, err := http.ReadRequest(c.r)
	if err != nil {
		return nil, "", false
	}
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, "", false
	}
	c.s.requests.Add(1)
	return r, string(text), true
}

func (c *rawConn) say(text string) { _, _ = io.WriteString(c, text) }

// reset closes the connection with a TCP reset.
func (c *rawConn) reset() {
	if tcp, ok := c.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

// serve starts a server that runs the function "script" on each connection. When the function returns, the
// server closes the connection.
func serve(t *testing.T, script func(c *rawConn)) *rawServer {
	t.Helper()
	return serveWrapped(t, script, func(c net.Conn) net.Conn { return c })
}

func serveWrapped(t *testing.T, script func(c *rawConn), wrap func(net.Conn) net.Conn) *rawServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &rawServer{addr: l.Addr().String()}
	s.wg.Add(1)
	go func() {
		defer s.wg.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.conns.Add(1)
			s.wg.Go(func() {
				c := &rawConn{Conn: wrap(conn), s: s}
				c.r = bufio.NewReader(c)
				defer func() { _ = c.Close() }()
				script(c)
			})
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		s.wg.Wait()
	})
	return s
}

const okReply = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsent"

// client returns a client for the server. The function "change" may alter the client's configuration.
func (s *rawServer) client(t *testing.T, change func(*ClientConfig)) *Client {
	t.Helper()
	return client(t, "http://"+s.addr, change)
}

func client(t *testing.T, base string, change func(*ClientConfig)) *Client {
	t.Helper()
	cfg := ClientConfig{BaseURL: base, Timeout: time.Minute, Secrets: []providers.Secret{hunter}}
	if change != nil {
		change(&cfg)
	}
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdle)
	return c
}

// The function "form" returns the request that most tests send.
func form() Request {
	return Request{Op: "x send", Path: "/api/send/", ContentType: FormContentType, Body: []byte("to=254712345678&msg=hello")}
}

func wantVerdict(t *testing.T, err error, outcome providers.Outcome, scope providers.Scope, cause providers.Cause) *providers.Error {
	t.Helper()
	e, ok := err.(*providers.Error)
	if !ok {
		t.Fatalf("error %v (%T), want an *Error", err, err)
	}
	if e.Outcome != outcome || e.Scope != scope || e.Cause != cause {
		t.Fatalf("got the verdict %v %v %q, want %v %v %q (%v)", e.Outcome, e.Scope, e.Cause, outcome, scope, cause, e)
	}
	if e.Op != "x send" || strings.Contains(e.Error(), "hunter") {
		t.Fatalf("got the error %v, want the operation \"x send\" and no secret", e)
	}
	return e
}

func wantNotSent(t *testing.T, err error) *providers.Error {
	t.Helper()
	return wantVerdict(t, err, providers.Retryable, providers.Account, providers.CauseConnection)
}

func wantNoAnswer(t *testing.T, err error) *providers.Error {
	t.Helper()
	return wantVerdict(t, err, providers.Unknown, providers.Call, providers.CauseNoAnswer)
}

func (s *rawServer) wantRequests(t *testing.T, want int64) {
	t.Helper()
	if got := s.requests.Load(); got != want {
		t.Errorf("the server got %d requests, want %d", got, want)
	}
}
