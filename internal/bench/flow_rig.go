//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tuma-sms/tuma/internal/sandbox"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// logins are the login fields of an account at each gateway.
var logins = catalog.Logins()

// flowAccount is an account of the configuration, named as its gateway.
type flowAccount struct {
	gateway     string
	rate        string
	perCall     int
	concurrency int
	timeout     time.Duration
}

// flowSetup is what a case needs.
type flowSetup struct {
	accounts []flowAccount
	workers  int
	latency  time.Duration
	traced   bool
	counting bool // of duplicates
}

// flowRig is a redis-server, a sandbox and workers, all of one case's own.
type flowRig struct {
	dir, binary, config string
	redis               *redisServer
	gateway             *sandbox.Server
	web                 *http.Server
	client              *producer.Client
	workers             []*process
	accounts            int
}

// mostLogged bounds the gateway's memory: three minutes of the fastest case.
const maxLogged = 500_000

// newFlowRig returns when every worker serves every account.
func newFlowRig(ctx context.Context, o flowOptions, s flowSetup) (r *flowRig, err error) {
	r = &flowRig{binary: o.binary, accounts: len(s.accounts)}
	if s.traced {
		r.binary = o.traced
	}
	defer func() {
		if err != nil {
			r.end()
		}
	}()
	if r.dir, err = os.MkdirTemp(o.dir, "case-"); err != nil {
		return r, err
	}
	if r.redis, err = startRedis(ctx, options{aof: true, dir: r.dir}); err != nil {
		return r, err
	}
	r.gateway = sandbox.New(sandbox.Options{Latency: s.latency, NoCount: !s.counting, Log: maxLogged})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return r, err
	}
	r.web = &http.Server{Handler: r.gateway, ReadHeaderTimeout: time.Minute}
	go func() { _ = r.web.Serve(l) }() // until it is closed
	r.config = filepath.Join(r.dir, "tuma.yaml")
	if err := os.WriteFile(r.config, []byte(flowConfig(r.redis.url, "http://"+l.Addr().String(), s)), 0o600); err != nil {
		return r, err
	}
	if r.client, err = producer.New(r.redis.client); err != nil {
		return r, err
	}
	return r, r.startWorkers(ctx, s.workers)
}

func flowConfig(url, base string, s flowSetup) string {
	var b strings.Builder
	fmt.Fprintf(&b, "redis: {url: '%s'}\ndefault_country: KE\nwindows: off\naccounts:\n", url)
	for _, a := range s.accounts {
		fmt.Fprintf(&b, "  %[1]s:\n    provider: %[1]s\n    base_url: %[2]s/%[1]s\n    sender: ACME\n    rate: %[3]s\n", a.gateway, base, a.rate)
		fmt.Fprintf(&b, "    concurrency: %d\n    timeout: %s\n", max(8, a.concurrency), max(a.timeout, time.Second))
		if a.perCall > 0 && a.gateway != "connectmedia" {
			fmt.Fprintf(&b, "    max_recipients: %d\n", a.perCall)
		}
		for _, field := range logins[a.gateway] {
			fmt.Fprintf(&b, "    %s: demo\n", field)
		}
	}
	return b.String()
}

// command is a tuma with the case's configuration; its output is added to a log.
func (r *flowRig) command(args ...string) *exec.Cmd {
	cmd := exec.Command(r.binary, append(args, "--config", r.config)...)
	cmd.Env = []string{"HOME=" + r.dir}
	cmd.SysProcAttr = withParent()
	return cmd
}

func (r *flowRig) startWorkers(ctx context.Context, n int) error {
	log, err := os.OpenFile(filepath.Join(r.dir, "workers.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close() // the workers have their own
	for range n {
		cmd := r.command("worker", "--log-level", "warn", "--log-format", "json")
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			return err
		}
		r.workers = append(r.workers, &process{cmd: cmd})
	}
	return poll(ctx, time.Minute, "the workers", func() (bool, error) {
		accounts, err := r.client.Accounts(ctx)
		for _, a := range accounts {
			if a.Workers < len(r.workers) {
				return false, err
			}
		}
		return len(accounts) == r.accounts, err
	})
}

// until asks every few milliseconds whether something has come about.
func poll(ctx context.Context, within time.Duration, what string, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for tick := time.Tick(10 * time.Millisecond); ; {
		ok, err := ask()
		if err != nil || ok {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", what, ctx.Err())
		case <-tick:
		}
	}
}

// wait waits until an instant.
func wait(ctx context.Context, at time.Time) error {
	timer := time.NewTimer(time.Until(at))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// kill ends a worker at once.
func (r *flowRig) kill(p *process) {
	if p.cmd.ProcessState == nil {
		_ = p.cmd.Process.Signal(syscall.SIGKILL) // it may have ended by itself
		_ = p.cmd.Wait()                          // nor does it matter how
	}
}

func (r *flowRig) end() {
	for _, w := range r.workers {
		r.kill(w)
	}
	if r.web != nil {
		r.gateway.Close()
		_ = r.web.Close() // nothing depends on it any more
	}
	if r.redis != nil {
		r.redis.client.Close()
		r.kill(&r.redis.process)
	}
}

// enqueue commits a campaign of n numbers that no other of the case has.
func (r *flowRig) enqueue(ctx context.Context, id, via, from string, n, first int) error {
	_, err := r.client.Enqueue(ctx, producer.Campaign{ID: id, Via: via, From: from, Body: body}, numbers(n, first))
	return err
}

func numbers(n, first int) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		for i := range n {
			if !yield(producer.Recipient{Number: fmt.Sprintf("+2547%08d", first+i)}, nil) {
				return
			}
		}
	}
}

// firstCall waits until the gateway has taken a call and says when.
func (r *flowRig) firstCall(ctx context.Context) (time.Time, error) {
	var at time.Time
	err := poll(ctx, 30*time.Second, "the first call", func() (bool, error) {
		log := r.gateway.Log()
		if len(log) > 0 {
			at = log[0].At
		}
		return len(log) > 0, nil
	})
	return at, err
}

// commands is how many commands Redis has served, those inside of scripts included.
func (r *flowRig) commands(ctx context.Context) (int64, error) {
	m, err := r.redis.client.InfoMap(ctx, "stats").Result()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(m["Stats"]["total_commands_processed"], 10, 64)
	return n, errors.Join(err)
}
