//go:build unix

package main

import (
	"fmt"
	"io"
	"net"
	"sync"
)

// proxy stands between the project and its Redis and loses answers. Requests always
// go through: a command whose answer is lost has been run. Safe for concurrent use.
type proxy struct {
	listener net.Listener
	target   string
	running  sync.WaitGroup

	mu     sync.Mutex
	moved  *sync.Cond // silent, a pair's gone or closed has changed
	pairs  map[*pair]struct{}
	silent bool
	closed bool
	// cutIn is how many bytes of answers pass before the next cut; below 0: none is due.
	cutIn int64
	cuts  chan struct{} // gets one for every cut within an answer
}

// pair is a client's connection and the one behind it.
type pair struct {
	near, far net.Conn
	gone      bool
}

// newProxy passes connections to a free loopback port on to target.
func newProxy(target string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &proxy{listener: l, target: target, pairs: map[*pair]struct{}{}, cutIn: -1, cuts: make(chan struct{}, 1)}
	p.moved = sync.NewCond(&p.mu)
	p.running.Go(p.accept)
	return p, nil
}

func (p *proxy) address() string { return p.listener.Addr().String() }

// close ends the proxy and every connection through it.
func (p *proxy) close() error {
	err := p.listener.Close()
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cutAll()
	p.running.Wait()
	return err
}

// cutAll breaks every connection there is; new ones go through.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for x := range p.pairs {
		p.end(x)
	}
}

// cutAfter breaks the connection on which, after so many more bytes of all
// answers, an answer would go on.
func (p *proxy) cutAfter(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cutIn = bytes
	select {
	case <-p.cuts: // of a cut that nobody has waited for
	default:
	}
}

// hush holds all answers back, or lets them go.
func (p *proxy) holdAnswers(silent bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.silent = silent
	p.moved.Broadcast()
}

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		far, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = near.Close() // there is no Redis now, and that is what its client sees
			continue
		}
		x := &pair{near: near, far: far}
		p.mu.Lock()
		p.pairs[x] = struct{}{}
		if p.closed {
			p.end(x)
		}
		p.mu.Unlock()
		p.running.Go(func() {
			_, _ = io.Copy(x.far, x.near) // its error is that the connection is over
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

// end breaks a pair; p.mu is held.
func (p *proxy) end(x *pair) {
	if x.gone {
		return
	}
	x.gone = true
	delete(p.pairs, x)
	_, _ = x.near.Close(), x.far.Close() // one that is closed already is as good
	p.moved.Broadcast()
}

func (p *proxy) copyAnswers(x *pair) {
	defer p.over(x)
	buf := make([]byte, 16<<10)
	for {
		n, err := x.far.Read(buf)
		pass, cut := p.allow(x, n)
		if pass > 0 {
			if _, werr := x.near.Write(buf[:pass]); werr != nil {
				return
			}
		}
		if err != nil || cut {
			return
		}
	}
}

// let waits while there is silence, and says how many of n bytes may pass and
// whether the connection is cut behind them.
func (p *proxy) allow(x *pair, n int) (pass int, cut bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.silent && !x.gone && n > 0 {
		p.moved.Wait()
	}
	switch {
	case x.gone:
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
