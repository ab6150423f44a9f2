package redistest

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy forwards connections from clients to a Redis, and injects faults. It closes connections, even in the
// middle of a reply, and delays replies. It always forwards requests, so if a reply is lost, Redis has run the
// command. The proxy ends with the test. Its methods are safe for concurrent use.
type Proxy struct {
	t        testing.TB
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	target string
	change *sync.Cond // signals a change of the field "paused", or of the field "closed" of a link
	conns  map[*link]struct{}
	paused bool
	closed bool
	armed  bool  // CutAfter is set
	budget int64 // number of bytes of replies that are forwarded before the cut
}

// link is a connection from a client to the proxy, and the proxy's connection to Redis that serves
// this client.
type link struct {
	client, server net.Conn
	closed         bool
}

// NewProxy returns a proxy that listens on a free loopback port and forwards to target, a host:port.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("redistest: proxy: %v", err)
	}
	p := &Proxy{t: t, target: target, listener: l, conns: make(map[*link]struct{})}
	p.change = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	t.Cleanup(func() {
		// Close fails only if the listener is closed already.
		_ = l.Close()
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.Cut()
		p.running.Wait()
	})
	return p
}

// Addr returns the host:port that clients dial instead of the target's.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut closes every open connection, and drops delayed replies. New connections are forwarded.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.conns {
		p.drop(l)
	}
}

// Retarget forwards new connections to another host:port, as after a failover of Redis. Open connections stay
// until Cut.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// CutAfter forwards n more bytes of replies, counted over all connections. Then it closes the
// connection on which the next reply comes. With n = 0, Redis runs the next command, but the client
// gets no part of the reply. The client must have sent a PING before, because a client without a connection
// would lose the reply to its greeting instead.
func (p *Proxy) CutAfter(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.budget = true, n
}

// Pause delays all replies until Resume, so that Redis seems to hang.
func (p *Proxy) Pause() { p.setPaused(true) }

// Resume forwards the replies that Pause has delayed, except on connections that were closed meanwhile.
func (p *Proxy) Resume() { p.setPaused(false) }

func (p *Proxy) setPaused(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = on
	p.change.Broadcast()
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		target := p.target
		p.mu.Unlock()
		server, err := net.Dial("tcp", target)
		if err != nil {
			// Redis is down. Without the proxy, the client's connection would also be refused.
			_ = client.Close()
			continue
		}
		l := &link{client: client, server: server}
		p.mu.Lock()
		p.conns[l] = struct{}{}
		if p.closed {
			p.drop(l)
		}
		p.mu.Unlock()
		p.running.Go(func() { p.requests(l) })
		p.running.Go(func() { p.answers(l) })
	}
}

// drop closes one connection. The caller holds p.mu.
func (p *Proxy) drop(l *link) {
	if l.closed {
		return
	}
	l.closed = true
	delete(p.conns, l)
	if err := errors.Join(l.client.Close(), l.server.Close()); err != nil {
		p.t.Errorf("redistest: proxy: close both connections of a client: %v", err)
	}
	p.change.Broadcast()
}

func (p *Proxy) requests(l *link) {
	// The error is ignored, because the connection has ended in any case.
	_, _ = io.Copy(l.server, l.client)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.drop(l)
}

func (p *Proxy) answers(l *link) {
	buf := make([]byte, 32<<10)
	for {
		n, err := l.server.Read(buf)
		n, cut := p.admit(l, n)
		if n > 0 {
			if _, werr := l.client.Write(buf[:n]); werr != nil {
				cut = true
			}
		}
		if err != nil || cut {
			p.mu.Lock()
			p.drop(l)
			p.mu.Unlock()
			return
		}
	}
}

// admit waits while replies are delayed. It returns how many of n bytes may be forwarded, and whether the
// connection must then be closed.
func (p *Proxy) admit(l *link, n int) (pass int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.paused && !l.closed && n > 0 {
		p.change.Wait()
	}
	if l.closed {
		return 0, true
	}
	if !p.armed {
		return n, false
	}
	if int64(n) <= p.budget {
		p.budget -= int64(n)
		return n, false
	}
	p.armed = false
	return int(p.budget), true
}
