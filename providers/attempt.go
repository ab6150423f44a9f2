package providers

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
	errLate   = fmt.Errorf("the deadline passed before the first byte: %w", context.DeadlineExceeded)
	errSealed = errors.New("refused to write: the call was given up, or has been sent already")
)

// The states of an attempt. Only the moves unsent → writing → sent, writing →
// unsent (a write that took no byte) and unsent → sealed exist.
const (
	unsent uint32 = iota
	writing
	sent
	sealed
)

// attempt knows of one request whether a byte of it can have left. The goroutine
// that writes and the one that gives up meet in state: either the first byte is
// admitted before the call is given up, and then its fate is unknown, or the call
// is sealed first, and then no byte will ever be written. There is no third case,
// and so "not sent" is a fact and not a guess.
type attempt struct {
	state    atomic.Uint32
	late     atomic.Bool
	deadline time.Time
	now      func() time.Time
	cancel   context.CancelCauseFunc
}

// spent is what a connection is given when its request has gone out on another one.
var spent = func() *attempt {
	a := new(attempt)
	a.state.Store(sealed)
	return a
}()

// gotConn is the transport's word that a connection is had. It runs before any
// byte of the request.
func (a *attempt) gotConn(info httptrace.GotConnInfo) {
	conn := info.Conn
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn() // through a proxy the transport puts TLS around our connection
	}
	g, ok := conn.(*gateConn)
	switch s := a.state.Load(); {
	case !ok:
		a.state.Store(sent) // cannot be, and if it could: nothing would tell
	case s == writing || s == sent:
		// net/http replays some requests on a fresh connection; none of ours.
		g.attempt.Store(spent)
	default:
		g.attempt.Store(a)
		a.checkTime()
	}
}

// begin is asked right before bytes go out, and admits them or refuses.
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

// wrote tells how many bytes an admitted write has put out.
func (a *attempt) wrote(n int) {
	if n > 0 {
		a.state.Store(sent)
		return
	}
	a.state.CompareAndSwap(writing, unsent)
}

// seal gives the request up. It reports whether certainly nothing of it was or
// will be written.
func (a *attempt) seal() bool {
	return a.state.CompareAndSwap(unsent, sealed) || a.state.Load() == sealed
}

// checkTime seals an attempt whose time is over. Both clocks count: the monotonic one
// stands still while a machine is suspended, and the other one can be set.
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

// gateConn is a connection that asks the attempt it serves before the first byte.
// A Read of the request's body would be too late to ask: net/http may have written
// the headers by then. It is put around TLS where that is ours to make, so that it
// sees the request's bytes and no alert.
type gateConn struct {
	net.Conn
	attempt atomic.Pointer[attempt]
}

// Write puts p out if the attempt may still begin, or has begun.
func (g *gateConn) Write(p []byte) (int, error) {
	a := g.attempt.Load()
	if a == nil {
		return g.Conn.Write(p) // a proxy's handshake: no request yet
	}
	if err := a.begin(); err != nil {
		return 0, err
	}
	n, err := g.Conn.Write(p)
	a.wrote(n)
	return n, err
}
