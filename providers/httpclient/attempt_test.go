package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/tuma-sms/tuma/providers"
)

var quiet = log.New(io.Discard, "", 0)

// The function "leaping" returns a clock. The first correctReads reads of the clock are correct. In all later
// reads, the wall clock is ahead by the parameter "wall", and the monotonic clock is ahead by
// the parameter "monotonic". So the clock simulates a process that is stopped between two
// reads, or a machine that is suspended.
func leaping(correctReads int64, wall, monotonic time.Duration) func() time.Time {
	var looks atomic.Int64
	return func() time.Time {
		now := time.Now()
		if looks.Add(1) <= correctReads {
			return now
		}
		now = now.Add(wall)
		// Only this code can create a Time whose two clocks disagree. A Time with a monotonic
		// reading keeps that reading in its second word.
		parts := (*struct {
			wall      uint64
			monotonic int64
			loc       *time.Location
		})(unsafe.Pointer(&now))
		parts.monotonic += int64(monotonic - wall)
		return now
	}
}

func TestJumpingClock_JumpsByTheGivenTime(t *testing.T) {
	t.Parallel()
	before := time.Now()
	now := leaping(0, time.Hour, 0)()
	if mono, wall := now.Sub(before), now.Round(0).Sub(before.Round(0)); mono > time.Minute || wall < time.Hour {
		t.Errorf("got a leap of %v monotonic and %v wall, want 0 and 1h", mono, wall)
	}
}

func TestAttempt_NoByteIsWrittenAfterTheDeadline(t *testing.T) {
	t.Parallel()
	for name, setUp := range map[string]func(t *testing.T) (*Client, *rawServer){
		"http": func(t *testing.T) (*Client, *rawServer) {
			s := serve(t, answerAll)
			return s.client(t, nil), s
		},
		"https": func(t *testing.T) (*Client, *rawServer) {
			web, s := serveTLS(t)
			return client(t, "https://"+s.addr, trust(web)), s
		},
		"https through a proxy": func(t *testing.T) (*Client, *rawServer) {
			web, s := serveTLS(t)
			proxy := serveProxy(t)
			c := client(t, "https://"+s.addr, trust(web))
			c.transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: proxy.addr})
			return c, s
		},
	} {
		for look, right := range map[string]int64{"when the connection is available": 0, "before the first byte": 1} {
			for clocks, ahead := range map[string][2]time.Duration{"both": {time.Hour, time.Hour}, "wall": {time.Hour, 0}, "monotonic": {0, time.Hour}} {
				for kind, r := range map[string]Request{"form": form(), "no body": {Op: "x send", Path: "/"}} {
					t.Run(strings.Join([]string{name, look, clocks, kind}, "/"), func(t *testing.T) {
						t.Parallel()
						c, s := setUp(t)
						if _, err := c.Do(t.Context(), r); err != nil { // the call also leaves an idle connection for the next call
							t.Fatal(err)
						}
						before := s.bytes.Load()
						c.now = leaping(right, ahead[0], ahead[1])
						_, err := c.Do(t.Context(), r)
						if e := wantNotSent(t, err); !errors.Is(e, context.DeadlineExceeded) {
							t.Errorf("got the error %v, want a passed deadline", e)
						}
						c.now = time.Now
						if _, err := c.Do(t.Context(), r); err != nil {
							t.Fatalf("the next call: got %v, want no error", err)
						}
						s.wantRequests(t, 2)
						if after := s.bytes.Load(); after != 2*before {
							t.Errorf("the server got %d bytes of two requests and %d of one, want twice as many", after, before)
						}
					})
				}
			}
		}
	}
}

func answerAll(c *rawConn) {
	for {
		if _, _, ok := c.request(); !ok {
			return
		}
		c.say(okReply)
	}
}

// serveTLS returns a raw server with TLS, and a web server. The raw server uses the certificate of
// the web server.
func serveTLS(t *testing.T) (*httptest.Server, *rawServer) {
	t.Helper()
	web := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(web.Close)
	cfg := &tls.Config{Certificates: web.TLS.Certificates, SessionTicketsDisabled: true}
	return web, serveWrapped(t, answerAll, func(c net.Conn) net.Conn { return tls.Server(c, cfg) })
}

// serveProxy returns an HTTP proxy that supports CONNECT.
func serveProxy(t *testing.T) *rawServer {
	t.Helper()
	return serve(t, func(c *rawConn) {
		r, err := http.ReadRequest(c.r)
		if err != nil || r.Method != http.MethodConnect {
			return
		}
		up, err := net.Dial("tcp", r.Host)
		if err != nil {
			return
		}
		defer func() { _ = up.Close() }()
		c.say("HTTP/1.1 200 OK\r\n\r\n")
		var wg sync.WaitGroup
		wg.Go(func() {
			_, _ = io.Copy(up, c.r)
			_ = up.Close()
		})
		_, _ = io.Copy(c, up)
		_ = c.Close()
		wg.Wait()
	})
}

func TestAttempt_ThroughAProxySentOnce(t *testing.T) {
	t.Parallel()
	for kind, r := range map[string]Request{"form": form(), "GET": {Op: "x send", Path: "/", Method: http.MethodGet}} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			web := httptest.NewTLSServer(http.NotFoundHandler())
			t.Cleanup(web.Close)
			cfg := &tls.Config{Certificates: web.TLS.Certificates}
			s := serveWrapped(t, func(c *rawConn) { // the server answers one request on each connection
				if _, _, ok := c.request(); ok {
					c.say(okReply)
					c.request()
				}
			}, func(c net.Conn) net.Conn { return tls.Server(c, cfg) })
			proxy := serveProxy(t)
			c := client(t, "https://"+s.addr, trust(web))
			c.transport.Proxy = http.ProxyURL(&url.URL{Scheme: "http", Host: proxy.addr})
			if _, err := c.Do(t.Context(), form()); err != nil {
				t.Fatal(err)
			}
			_, err := c.Do(t.Context(), r)
			wantNoAnswer(t, err)
			s.wantRequests(t, 2)
		})
	}
}

// brokenConn takes some bytes of the first write and then fails.
type brokenConn struct {
	net.Conn
	takes int
}

func (c brokenConn) Write([]byte) (int, error) { return c.takes, io.ErrClosedPipe }

func TestAttempt_NoByteTakenIsNotSent(t *testing.T) {
	t.Parallel()
	for takes, want := range map[int]providers.Outcome{0: providers.Retryable, 1: providers.Unknown} {
		s := serve(t, answerAll)
		c := s.client(t, nil)
		c.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			return &gateConn{Conn: brokenConn{conn, takes}}, err
		}
		_, err := c.Do(t.Context(), form())
		if want == providers.Retryable {
			wantNotSent(t, err)
		} else {
			wantNoAnswer(t, err)
		}
		s.wantRequests(t, 0)
	}
}

// TestAttempt_CancelOrWriteWinsNotBoth runs a write and a cancellation at the same time. After a
// successful cancellation no byte may be written, because the call is reported as certainly not
// sent.
func TestAttempt_CancelOrWriteWinsNotBoth(t *testing.T) {
	t.Parallel()
	var notSent, written int
	for range 20_000 {
		_, cancel := context.WithCancelCause(context.Background())
		a := &attempt{deadline: time.Now().Add(time.Hour), now: time.Now, cancel: cancel}
		server, conn := net.Pipe()
		g := &gateConn{Conn: countingConn{conn, new(int)}}
		g.attempt.Store(a)
		var wg sync.WaitGroup
		start := make(chan struct{})
		wg.Go(func() {
			<-start
			_, _ = g.Write([]byte("x"))
		})
		close(start)
		sealed := a.seal()
		wg.Wait()
		wrote := *g.Conn.(countingConn).writes > 0
		if sealed && wrote {
			t.Fatal("the attempt was sealed and a byte was written, want only one of the two")
		}
		if sealed {
			notSent++
		}
		if wrote {
			written++
		}
		_, _ = server.Close(), conn.Close()
		cancel(nil)
	}
	t.Logf("%d not sent, %d written", notSent, written)
}

type countingConn struct {
	net.Conn
	writes *int
}

func (c countingConn) Write(p []byte) (int, error) {
	*c.writes++
	return len(p), nil
}

// TestAttempt_CancelledCallIsNeverSentAndReportedNotSent cancels calls after different times, over
// real connections. A call that is reported as not sent must never reach the server.
func TestAttempt_CancelledCallIsNeverSentAndReportedNotSent(t *testing.T) {
	t.Parallel()
	got := make(chan string, 1000)
	notSent := map[string]bool{}
	t.Cleanup(func() { // this function runs after the server has read all data
		for len(got) > 0 {
			if id := <-got; notSent[id] {
				t.Errorf("call %s reached the server, want it reported as possibly sent and not as not sent", id)
			}
		}
	})
	s := serve(t, func(c *rawConn) {
		for {
			r, err := http.ReadRequest(c.r)
			if err != nil {
				return
			}
			got <- r.Header.Get("Id") // a request counts as sent as soon as its headers have arrived
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
			c.say(okReply)
		}
	})
	c := s.client(t, nil)
	for i := range 300 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%100)*5*time.Microsecond)
		r := form()
		id := time.Duration(i).String()
		r.Header = http.Header{"Id": {id}}
		if _, err := c.Do(ctx, r); err != nil {
			e := err.(*providers.Error)
			if e.Outcome == providers.Retryable {
				notSent[id] = true
			}
		}
		cancel()
	}
	if len(notSent) == 0 {
		t.Error("no call was cancelled before its first byte, so the test has tested nothing")
	}
}

func TestAttempt_LargeRequestArrivesWhole(t *testing.T) {
	t.Parallel()
	body := make([]byte, 3*wireBuffer)
	for i := range body {
		body[i] = 'a' + byte(i%26)
	}
	got := make(chan string, 1)
	s := serve(t, func(c *rawConn) {
		if _, text, ok := c.request(); ok {
			got <- text
			c.say(okReply)
		}
	})
	r := form()
	r.Body = body
	if _, err := s.client(t, nil).Do(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if <-got != string(body) {
		t.Error("the server got a body that differs from the client's body, want the same")
	}
}
