//go:build unix

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// poster posts requests over one connection. It uses much less CPU time than http.Client. This is important, because
// the bench runs on the same processors as the server that it measures.
type poster struct {
	conn net.Conn
	in   *bufio.Reader
}

func newPoster(ctx context.Context, address string) (*poster, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	return &poster{conn, bufio.NewReader(conn)}, nil
}

// The method "post" sends a request and reads the answer, which must have a 2xx status.
func (p *poster) post(request []byte) error {
	if _, err := p.conn.Write(request); err != nil {
		return err
	}
	length := 0
	for first := true; ; first = false {
		line, err := p.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		if first && !bytes.Contains(line, []byte(" 20")) {
			return fmt.Errorf("the server answered %q", bytes.TrimSpace(line))
		}
		if value, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return err
			}
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
	}
	_, err := p.in.Discard(length)
	return err
}

// postEach posts each request once, over the given number of connections. It calls the function before() with
// the number of a request just before it sends the request. When it has the answer, it calls the function
// after().
func postEach(ctx context.Context, address string, requests [][]byte, connections int, before, after func(i int)) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, connections)
	for range connections {
		p, err := newPoster(ctx, address)
		if err != nil {
			return err
		}
		wg.Go(func() {
			defer p.conn.Close()
			for ctx.Err() == nil {
				i := int(next.Add(1) - 1)
				if i >= len(requests) {
					return
				}
				before(i)
				if err := p.post(requests[i]); err != nil {
					errs <- err
					return
				}
				after(i)
			}
		})
	}
	wg.Wait()
	select {
	case err := <-errs:
		return fmt.Errorf("post a delivery report: %w", err)
	default:
		return ctx.Err()
	}
}

// postAll posts all requests as fast as the server takes them, and returns the number of requests a second.
func postAll(ctx context.Context, address string, requests [][]byte, connections int) (rate float64, err error) {
	begun := time.Now()
	err = postEach(ctx, address, requests, connections, func(int) {}, func(int) {})
	return float64(len(requests)) / time.Since(begun).Seconds(), err
}

// postAt posts requests at a rate. It returns the median and the 99th percentile of the times of the requests.
// The time of a request begins when the request is due, and ends with its answer.
func postAt(ctx context.Context, address string, requests [][]byte, rate, connections int) (p50, p99 time.Duration, err error) {
	begun := time.Now()
	due := func(i int) time.Time { return begun.Add(time.Duration(i) * time.Second / time.Duration(rate)) }
	took := make([]time.Duration, len(requests))
	err = postEach(ctx, address, requests, connections,
		func(i int) {
			wait := time.NewTimer(time.Until(due(i)))
			<-wait.C
		},
		func(i int) { took[i] = time.Since(due(i)) })
	slices.Sort(took)
	return took[len(took)/2], took[len(took)*99/100], err
}
