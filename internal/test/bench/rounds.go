//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/process"
	"github.com/tuma-sms/tuma/producer"
)

// runBare measures the bare loop, the program without Tuma, in a separate process.
func runBare(ctx context.Context, o options, url, file string) (figures, error) {
	var f figures
	begun := time.Now()
	p, err := startRole("bare", "", url, file, filepath.Join(o.dir, "bare.csv"), strconv.Itoa(o.concurrency))
	if err != nil {
		return f, err
	}
	if err := p.Wait(); err != nil {
		return f, err
	}
	f.wall = time.Since(begun)
	f.cpu, f.producerPeak = p.usage()
	return f, ctx.Err()
}

// runTuma measures Tuma from the start of the producer to the state done. The worker already runs,
// as in production. The parameter "most" is the maximum number of recipients in a call. If the
// parameter "note" is not empty, each process writes the number of its commands to Redis to a file
// whose name begins with the text in "note".
func runTuma(ctx context.Context, o options, url, file string, r *redisServer, id, most, note string) (figures, error) {
	var f figures
	if err := r.client.FlushAll(ctx).Err(); err != nil {
		return f, err
	}
	w, err := startRole("worker", "", r.url, url, strconv.Itoa(o.concurrency), most, note)
	if err != nil {
		return f, err
	}
	defer w.end()
	c, err := producer.New(r.client, producer.WithPollInterval(o.pollInterval))
	if err != nil {
		return f, err
	}
	if err := waitForAccount(ctx, c); err != nil {
		return f, err
	}
	redisCPU, err := r.cpu(ctx)
	if err != nil {
		return f, err
	}
	if f.redisIdle, err = r.used(ctx); err != nil {
		return f, err
	}
	peak := r.watchPeak(ctx, o.pollInterval)
	begun := time.Now()
	p, err := startRole("producer", "", r.url, file, id, most, note)
	if err != nil {
		return f, err
	}
	if err := p.Wait(); err != nil {
		return f, fmt.Errorf("producer: %w", err)
	}
	f.enqueued = time.Since(begun)
	f.producerCPU, f.producerPeak = p.usage()
	s, err := c.Wait(ctx, id)
	if err != nil {
		return f, err
	}
	f.wall = time.Since(begun)
	if s.Accepted != o.n {
		return f, fmt.Errorf("%d of %d recipients accepted, must be all: %+v", s.Accepted, o.n, s)
	}
	f.redisPeak = peak()
	after, err := r.cpu(ctx)
	if err != nil {
		return f, err
	}
	f.redisCPU = after - redisCPU
	w.end()
	f.workerCPU, f.workerPeak = w.usage()
	f.cpu = f.producerCPU + f.workerCPU + f.redisCPU
	f.results, err = readResults(o, r, id)
	return f, err
}

// readResults writes the results of a campaign to a file, and returns how long that takes.
func readResults(o options, r *redisServer, id string) (time.Duration, error) {
	begun := time.Now()
	p, err := startRole("results", "", r.url, id, filepath.Join(o.dir, "results.csv"))
	if err != nil {
		return 0, err
	}
	if err := p.Wait(); err != nil {
		return 0, fmt.Errorf("results: %w", err)
	}
	return time.Since(begun), nil
}

func waitForAccount(ctx context.Context, c *producer.Client) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for tick := time.Tick(10 * time.Millisecond); ; {
		accounts, err := c.Accounts(ctx)
		if err != nil {
			return err
		}
		if len(accounts) > 0 && accounts[0].Workers > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the worker: %w", ctx.Err())
		case <-tick:
		}
	}
}

// redisServer is a redis-server that the bench starts.
type redisServer struct {
	child
	url    string
	client *redis.Client
}

func startRedis(ctx context.Context, o options) (*redisServer, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, fmt.Errorf("find redis-server (apt-get install redis-server, brew install redis or dnf install redis): %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err = errors.Join(err, l.Close()); err != nil {
		return nil, err
	}
	appendOnly := "no"
	if o.aof {
		appendOnly = "yes"
	}
	cmd := exec.Command(binary, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", appendOnly, "--dir", o.dir)
	cmd.Stderr = os.Stderr
	p, err := process.Start(cmd)
	if err != nil {
		return nil, err
	}
	r := &redisServer{child: child{Process: p}, url: "redis://127.0.0.1:" + port}
	if r.client, err = dial(r.url); err != nil {
		return nil, err
	}
	for tick := time.Tick(10 * time.Millisecond); r.client.Ping(ctx).Err() != nil; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick:
		}
	}
	return r, nil
}

func (r *redisServer) used(ctx context.Context) (int64, error) {
	m, err := r.client.InfoMap(ctx, "memory").Result()
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(m["Memory"]["used_memory"], 10, 64)
}

func (r *redisServer) cpu(ctx context.Context) (time.Duration, error) {
	m, err := r.client.InfoMap(ctx, "cpu").Result()
	if err != nil {
		return 0, err
	}
	user, err1 := strconv.ParseFloat(m["CPU"]["used_cpu_user"], 64)
	sys, err2 := strconv.ParseFloat(m["CPU"]["used_cpu_sys"], 64)
	return time.Duration((user + sys) * float64(time.Second)), errors.Join(err1, err2)
}

// watchPeak samples used_memory until the caller calls the returned function. That function
// returns the peak in bytes.
func (r *redisServer) watchPeak(ctx context.Context, every time.Duration) func() int64 {
	ctx, stop := context.WithCancel(ctx)
	var peak atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.Tick(every); ; {
			if n, err := r.used(ctx); err == nil && n > peak.Load() {
				peak.Store(n)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick:
			}
		}
	}()
	return func() int64 {
		stop()
		<-done
		return peak.Load()
	}
}
