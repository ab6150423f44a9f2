package httpclient

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

var (
	errLate   = fmt.Errorf("the deadline passed before the first byte of the request was sent: %w", context.DeadlineExceeded)
	errSealed = errors.New("write refused: the call was cancelled or its request was already sent")
)

// The states of an attempt. The only transitions are unsent → writing → sent, writing → unsent and
// unsent → sealed. A write that fails without writing a byte goes back to unsent. After sealed, no
// byte may be written.
const (
	unsent uint32 = iota
	writing
	sent
	sealed
)

// attempt records whether any byte of one request can have been written. The goroutine that writes
// and the goroutine that cancels both change state atomically. If the write comes first, the
// outcome of the call is unknown. If the cancellation comes first, the state becomes sealed and no
// byte is ever written. One of the two always comes first. So a call that is reported as not sent
// was certainly not sent.
type attempt struct {
	state    atomic.Uint32
	late     atomic.Bool // true if checkTime has sealed the attempt, because the deadline had passed
	deadline time.Time
	now      func() time.Time
	cancel   context.CancelCauseFunc
}

// spent is a sealed attempt: a connection whose attempt is spent can write nothing. gotConn gives
// spent to a new connection if the request has already been written to another connection.
var spent = func() *attempt {
	a := new(attempt)
	a.state.Store(sealed)
	return a
}()

// gotConn connects the attempt to the connection that the transport has chosen. The transport calls
// gotConn before it writes any byte of the request.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	conn := info.Conn
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn() // for a proxied call the transport wraps our connection in TLS
	}
	g, ok := conn.(*gateConn)
	switch s := a.state.Load(); {
	case !ok:
		a.state.Store(sent) // should not happen: a connection of another type does not report its writes
	case s == writing || s == sent:
		// net/http repeats some requests on a new connection. A call must be sent only once, so the
		// new connection must write nothing.
		g.attempt.Store(spent)
	default:
		g.attempt.Store(a)
		a.checkTime()
	}
}

// begin permits one write and must be called right before it. If begin returns an error, the write
// must not happen.
func (a *attempt) begin() error {
	switch a.state.Load() {
	case sent:
		return nil
	case sealed:
		return errSealed
	}
	a.checkTime()
	if !a.state.CompareAndSwap(unsent, writing) {
		return errSealed
	}
	return nil
}

// wrote records that a write has written n bytes. begin must have permitted that write.
func (a *attempt) wrote(n int) {
	if n > 0 {
		a.state.Store(sent)
		return
	}
	a.state.CompareAndSwap(writing, unsent)
}

// seal cancels the request. It returns true if no byte of the request has been written; then none will be
// written.
func (a *attempt) seal() bool {
	return a.state.CompareAndSwap(unsent, sealed) || a.state.Load() == sealed
}

// checkTime seals an attempt whose deadline has passed by either clock. Neither of the two clocks
// is sufficient: the monotonic clock stops while the machine is suspended, and the wall clock can
// be set.
func (a *attempt) checkTime() {
	now := a.now()
	if now.Before(a.deadline) && now.Round(0).Before(a.deadline.Round(0)) {
		return
	}
	if a.seal() {
		a.late.Store(true)
		a.cancel(errLate)
	}
}

// gateConn is a connection that calls begin() of its current attempt before each write. A check
// when the request's body is read would be too late, because net/http may already have written the
// headers. If this package creates the TLS connection, gateConn wraps the TLS connection. So a
// gateConn sees the bytes of the request and no TLS alerts.
type gateConn struct {
	net.Conn
	attempt atomic.Pointer[attempt]
}

// Write writes p unless the current attempt is sealed.
func (g *gateConn) Write(p []byte) (int, error) {
	a := g.attempt.Load()
	if a == nil {
		return g.Conn.Write(p) // p is part of the handshake with a proxy, before any request
	}
	if err := a.begin(); err != nil {
		return 0, err
	}
	n, err := g.Conn.Write(p)
	a.wrote(n)
	return n, err
}
