package providertest

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

var silenceChecks = []check{
	{"a call whose connection is refused counts as not sent", refusedConnection},
	{"a call to a server with an untrusted certificate sends nothing", badTLS},
	{"a call with an ended context sends nothing", func(x *exam) { contextOver(x, context.WithCancel) }},
	{"a call whose deadline has passed sends nothing", func(x *exam) {
		contextOver(x, func(parent context.Context) (context.Context, context.CancelFunc) {
			return context.WithDeadline(parent, time.Now().Add(-time.Second))
		})
	}},

	{"the connection is closed after the request was read", unanswered(func(*conn, exchange) {})},
	{"the connection is reset after the request was read", unanswered(func(c *conn, _ exchange) {
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
	})},
	{"the connection is closed half-way through the reply", unanswered(func(c *conn, e exchange) {
		text := e.raw(e.reply)
		c.say(text[:len(text)-len(e.reply)/2])
	})},
	{"the connection is closed half-way through a reply in chunks", unanswered(func(c *conn, e exchange) {
		c.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(e.reply))
	})},
	{"the connection is closed half-way through the headers", unanswered(func(c *conn, _ exchange) { c.say("HTTP/1.1 200 OK\r\nContent-Ty") })},
	{"the connection is closed after an interim answer", unanswered(func(c *conn, _ exchange) { c.say("HTTP/1.1 103 Early Hints\r\n\r\n") })},
	{"an answer that is not HTTP", unanswered(func(c *conn, e exchange) { c.say(string(e.reply) + "\r\n\r\n") })},
	{"an answer without headers", unanswered(func(c *conn, e exchange) { c.say("HTTP/1.1 200 OK\r\n" + string(e.reply) + "\r\n\r\n") })},

	{"the server hangs until the deadline", givenUp(context.DeadlineExceeded, false)},
	{"the server hangs until the call is cancelled", givenUp(context.Canceled, false)},
	{"the server hangs half-way through the reply until the deadline", givenUp(context.DeadlineExceeded, true)},
	{"the server hangs half-way through the reply until the call is cancelled", givenUp(context.Canceled, true)},

	{"a reused connection is closed after the second request was read", reusedConnection},
	{"an idle connection that the gateway has closed", idleConnection},
}

func refusedConnection(x *exam) {
	// No program listens on port 1, which only root may use. If the test used a free port instead,
	// another test could occupy this port in the meantime.
	p := x.open("http://127.0.0.1:1")
	x.wantNotSent(x.send(p, x.newBatch(p, 3)), "connection refused")
}

func (x *exam) wantNotSent(a answer, when string) {
	x.Helper()
	x.wantError(a, providers.Retryable, providers.Account, providers.CauseConnection, when)
}

func badTLS(x *exam) {
	var requests atomic.Int64
	web := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	web.Config.ErrorLog = quiet
	web.StartTLS()
	x.Cleanup(web.Close)
	p := x.open(web.URL)
	x.wantNotSent(x.send(p, x.newBatch(p, 3)), "an untrusted certificate")
	x.wantSeen(requests.Load(), 0, "an untrusted certificate")
}

func contextOver(x *exam, over func(context.Context) (context.Context, context.CancelFunc)) {
	g := x.gateway()
	p := x.open(g.url)
	ctx, cancel := over(x.Context())
	cancel()
	x.wantNotSent(x.sendIn(ctx, p, x.newBatch(p, 3)), "an ended context")
	x.wantSeen(int64(len(g.exchanges())), 0, "an ended context")
	// The provider must behave in the same way if it has an idle connection to the gateway.
	x.wantAll(x.send(p, x.newBatch(p, 1)), providers.Accepted, "the next call")
	x.wantNotSent(x.sendIn(ctx, p, x.newBatch(p, 3)), "an ended context")
	x.wantSeen(int64(len(g.exchanges())), 1, "two calls with an ended context, and a call between them")
}

func (x *exam) wantNoAnswer(a answer, when string) {
	x.Helper()
	x.wantError(a, providers.Unknown, providers.Call, providers.CauseNoAnswer, when)
}

// unanswered returns a check that sends one call to a server. The server reads the request, runs
// the script and closes the connection. The outcome of the call must be Unknown. The script's
// parameter e holds the gateway's real reply to such a call.
func unanswered(script func(c *conn, e exchange)) func(x *exam) {
	return func(x *exam) {
		b := batch(nil)
		p := x.open("http://127.0.0.1:1")
		b.To = x.newBatch(p, 3).To
		e, _ := x.realExchange(b)
		s := x.serve(func(c *conn) {
			if _, ok := c.request(); ok {
				script(c, e)
			}
		})
		b.To = x.numbers(len(b.To))
		x.wantNoAnswer(x.send(x.open(s.url), b), "no complete answer")
		x.wantSeen(s.requests.Load(), 1, "no complete answer")
	}
}

// chunk returns the first half of a text as one HTTP chunk. Without the final empty chunk, the reply
// is incomplete.
func chunk(text []byte) string {
	half := text[:(len(text)+1)/2]
	const hex = "0123456789abcdef"
	var size []byte
	for n := len(half); n > 0; n /= 16 {
		size = append([]byte{hex[n%16]}, size...)
	}
	return string(size) + "\r\n" + string(half) + "\r\n"
}

// The type "ending" is a context that a test ends at a chosen time with a chosen error. A context with a
// real deadline could end too early, before the request is written.
type ending struct {
	context.Context
	done chan struct{}
	err  error
}

// Done returns the channel that the test closes to end the context.
func (e ending) Done() <-chan struct{} { return e.done }

// Err returns the chosen error after the test has ended the context.
func (e ending) Err() error {
	select {
	case <-e.done:
		return e.err
	default:
		return e.Context.Err()
	}
}

// givenUp returns a check that sends one call to a server. The server reads the request, writes half a
// reply or nothing, and keeps the connection open. Then the call's context ends with the error in the
// parameter "cause". The outcome of the call must be Unknown.
func givenUp(cause error, half bool) func(x *exam) {
	return func(x *exam) {
		ctx := ending{x.Context(), make(chan struct{}), cause}
		s := x.serve(func(c *conn) {
			if _, ok := c.request(); !ok {
				return
			}
			if half {
				c.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[")
			}
			close(ctx.done)
			c.wait()
		})
		p := x.open(s.url)
		x.wantNoAnswer(x.sendIn(ctx, p, x.newBatch(p, 3)), "a call whose context ended")
		x.wantSeen(s.requests.Load(), 1, "a call whose context ended")
	}
}

func reusedConnection(x *exam) {
	p := x.open("http://127.0.0.1:1")
	b := x.newBatch(p, 2)
	e, _ := x.realExchange(b)
	s := x.serve(func(c *conn) {
		if _, ok := c.request(); ok {
			c.say(e.raw(e.reply))
			c.request()
		}
	})
	p = x.open(s.url)
	x.wantAll(x.send(p, b), providers.Accepted, "the first call")
	x.wantNoAnswer(x.send(p, batch(b.To)), "the second call")
	x.wantSeen(s.requests.Load(), 2, "two calls")
	if n := s.connections.Load(); n != 1 {
		x.Errorf("got %d connections for two calls, want 1", n)
	}
}

func idleConnection(x *exam) {
	p := x.open("http://127.0.0.1:1")
	b := x.newBatch(p, 2)
	e, _ := x.realExchange(b)
	noticed := make(chan struct{}, 1)
	s := x.serve(func(c *conn) {
		if _, ok := c.request(); !ok {
			return
		}
		c.say(e.raw(e.reply))
		if tcp, ok := c.Conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
		c.wait() // this waits until the client has noticed the close and no longer uses the connection
		noticed <- struct{}{}
	})
	p = x.open(s.url)
	late := time.After(10 * time.Second)
	for range 3 {
		x.wantAll(x.send(p, b), providers.Accepted, "a call after the gateway has closed an idle connection")
		select {
		case <-noticed:
		case <-late:
			x.Fatalf("the client did not notice within 10 s that the server closed its connection")
		}
	}
	x.wantSeen(s.requests.Load(), 3, "three calls")
}
