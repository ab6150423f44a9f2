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

// These are the states of an attempt. The only transitions are unsent → writing → sent, writing →
// unsent and unsent → sealed. If a write fails without writing a byte, the state changes back to
// unsent. In the state sealed, no byte may be written.
const (
	unsent uint32 = iota
	writing
	sent
	sealed
)

// attempt records whether any byte of one request can have been written. The goroutine that writes
// and the goroutine that cancels both change the field "state" atomically. If the write comes
// first, the outcome of the call is unknown. If the cancellation comes first, the state becomes
// sealed and no byte is ever written. One of the two always comes first. So a call that is
// reported as not sent was certainly not sent.
type attempt struct {
	state    atomic.Uint32
	late     atomic.Bool // The field "late" is true if checkTime has sealed the attempt, because the deadline had passed.
	deadline time.Time
	now      func() time.Time
	cancel   context.CancelCauseFunc
}

// The variable "spent" is a sealed attempt. A connection with this attempt cannot write. gotConn gives the attempt
// "spent" to a new connection if the request has already been written to another connection.
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
		a.state.Store(sent) // this should not happen: only a gateConn reports its writes, so the request counts as sent
	case s == writing || s == sent:
		// net/http repeats some requests on a new connection. A call must be sent only once, so the
		// new connection must write nothing.
		g.attempt.Store(spent)
	default:
		g.attempt.Store(a)
		a.checkTime()
	}
}

// The method "begin" permits one write. The caller must call it right before the write. If it
// returns an error, the caller must not write.
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

// The method "wrote" records that n bytes have been written. The caller must have called the method
// "begin" before the write.
func (a *attempt) wrote(n int) {
	if n > 0 {
		a.state.Store(sent)
		return
	}
	a.state.CompareAndSwap(writing, unsent)
}

// The method "seal" cancels the request. It returns true if no byte of the request has been
// written. In that case no byte will ever be written.
func (a *attempt) seal() bool {
	return a.state.CompareAndSwap(unsent, sealed) || a.state.Load() == sealed
}

// checkTime seals an attempt if its deadline has passed on the monotonic clock or on the wall
// clock. Both clocks are needed: the monotonic clock stops while the machine is suspended, and a
// person may set the wall clock.
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

// gateConn is a connection that calls begin() of its current attempt before each write. A check at
// the first read of the request's body would be too late, because net/http may write the headers
// earlier. If this package creates the TLS connection, gateConn wraps the TLS connection. So a
// gateConn sees the bytes of the request and no TLS alerts.
type gateConn struct {
	net.Conn
	attempt atomic.Pointer[attempt]
}

// Write writes the bytes p, unless the current attempt is sealed.
func (g *gateConn) Write(p []byte) (int, error) {
	a := g.attempt.Load()
	if a == nil {
		return g.Conn.Write(p) // p is part of the handshake with a proxy, which precedes the request
	}
	if err := a.begin(); err != nil {
		return 0, err
	}
	n, err := g.Conn.Write(p)
	a.wrote(n)
	return n, err
}
