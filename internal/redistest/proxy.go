package redistest

import (
	"errors"
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy stands between a client and a Redis and breaks what passes: it cuts
// connections, in the middle of an answer if asked, and holds answers back.
// Requests always go through, so a command whose answer is lost has been run.
// It ends with the test. Its methods are safe for concurrent use.
type Proxy struct {
	t        testing.TB
	listener net.Listener
	running  sync.WaitGroup

	mu     sync.Mutex
	target string
	change *sync.Cond // paused, gone or closed has changed
	conns  map[*link]struct{}
	paused bool
	closed bool
	armed  bool  // CutAfter is in force
	budget int64 // bytes of answers still to pass before the cut
}

// link is one client's connection and the one behind it.
type link struct {
	client, server net.Conn
	gone           bool
}

// NewProxy listens on a free loopback port and passes everything to target, a host:port.
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
		// Its only error is that it is closed, and only we close it.
		_ = l.Close()
		p.mu.Lock()
		p.closed = true
		p.mu.Unlock()
		p.Cut()
		p.running.Wait()
	})
	return p
}

// Addr is the host:port that clients dial instead of the target's.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Cut breaks every connection there is, and with them every answer held back.
// New ones are let through.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.conns {
		p.drop(l)
	}
}

// Retarget passes new connections to another host:port: a failover. Those there are
// stay until they are cut.
func (p *Proxy) Retarget(target string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.target = target
}

// CutAfter lets n more bytes of answers through, counted over all connections,
// and then, once, breaks the connection whose answer would go on. With n = 0
// the next command is run and its whole answer is lost; a client without a
// connection would lose the answer to its greeting instead, so have it ping first.
func (p *Proxy) CutAfter(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.budget = true, n
}

// Pause holds all answers back until Resume: to a client the Redis hangs.
func (p *Proxy) Pause() { p.setPaused(true) }

// Resume lets go what Pause held back, except on connections cut since.
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
			// The Redis is down: a client of it would be turned away too.
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

// drop breaks one connection; p.mu is held.
func (p *Proxy) drop(l *link) {
	if l.gone {
		return
	}
	l.gone = true
	delete(p.conns, l)
	if err := errors.Join(l.client.Close(), l.server.Close()); err != nil {
		p.t.Errorf("redistest: proxy: cut: %v", err)
	}
	p.change.Broadcast()
}

func (p *Proxy) requests(l *link) {
	// However it ends, the connection is over.
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

// admit waits while answers are held back, and says how many of n bytes may
// pass and whether the connection ends after them.
func (p *Proxy) admit(l *link, n int) (pass int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.paused && !l.gone && n > 0 {
		p.change.Wait()
	}
	if l.gone {
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
