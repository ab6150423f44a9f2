//go:build unix

package main

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// proxy is a TCP proxy before Redis that can delay and cut the answers of Redis. It always forwards requests, so
// Redis runs a command even if the answer is lost. Safe for concurrent use.
type proxy struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu      sync.Mutex
	changed *sync.Cond // signals a change of the flag "silent" or "closed", or of the flag "closed" of a pair
	pairs   map[*pair]struct{}
	silent  bool
	closed  bool
	// cutIn is how many bytes of answers pass before the next cut. Below 0: no cut is due.
	cutIn int64
	cuts  chan struct{} // receives a value each time an answer is cut
}

// pair is a connection from a client to the proxy, and the proxy's connection to Redis that serves
// this client.
type pair struct {
	client, server net.Conn
	closed         bool
}

// newProxy starts a proxy on a free loopback port that forwards connections to target.
func newProxy(target string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &proxy{listener: l, target: target, pairs: map[*pair]struct{}{}, cutIn: -1, cuts: make(chan struct{}, 1)}
	p.changed = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// The method "close" closes the proxy and every connection through it, and waits for its goroutines.
func (p *proxy) close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cutAll()
	p.running.Wait()
	return err
}

// cutAll closes every open connection. It does not affect new ones.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for x := range p.pairs {
		p.end(x)
	}
}

// cutAfter lets n more bytes of answers pass, counted over all connections. The proxy then closes
// the connection on which the next byte arrives. That may be in the middle of an answer.
func (p *proxy) cutAfter(n int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutIn = n
	select {
	case <-p.cuts: // drops the value of an earlier cut, if the caller of that cut did not receive the value
	default:
	}
}

// holdAnswers holds all answers back if silent is true, and else releases them.
func (p *proxy) holdAnswers(silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = silent
	p.changed.Broadcast()
}

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return // the method "close" has closed the listener
		}
		far, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = near.Close() // Redis is down, and a closed connection shows this to the client
			continue
		}
		x := &pair{client: near, server: far}
		p.mu.Lock()
		p.pairs[x] = struct{}{}
		if p.closed {
			p.end(x)
		}
		p.mu.Unlock()
		p.running.Go(func() {
			_, _ = io.Copy(x.server, x.client) // Copy returns when the connection is closed
			p.over(x)
		})
		p.running.Go(func() { p.copyAnswers(x) })
	}
}

func (p *proxy) over(x *pair) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.end(x)
}

// The method "end" closes a pair's connections. The caller holds p.mu.
func (p *proxy) end(x *pair) {
	if x.closed {
		return
	}
	x.closed = true
	delete(p.pairs, x)
	_, _ = x.client.Close(), x.server.Close() // errors are ignored, because a connection may be closed already
	p.changed.Broadcast()
}

func (p *proxy) copyAnswers(x *pair) {
	defer p.over(x)
	buf := make([]byte, 16<<10)
	for {
		n, err := x.server.Read(buf)
		pass, cut := p.allow(x, n)
		if pass > 0 {
			if _, werr := x.client.Write(buf[:pass]); werr != nil {
				return
			}
		}
		if err != nil || cut {
			return
		}
	}
}

// The method "allow" waits while answers are held back. It returns how many of n bytes may pass, and whether the
// connection is cut after them.
func (p *proxy) allow(x *pair, n int) (pass int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.silent && !x.closed && n > 0 {
		p.changed.Wait()
	}
	switch {
	case x.closed:
		return 0, true
	case p.cutIn < 0:
		return n, false
	case int64(n) <= p.cutIn:
		p.cutIn -= int64(n)
		return n, false
	}
	pass, p.cutIn = int(p.cutIn), -1
	p.cuts <- struct{}{}
	return pass, true
}
