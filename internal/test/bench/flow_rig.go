//go:build unix

package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/process"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// infos has the facts about each gateway.
var infos = catalog.Infos()

// The variable "measured" is the name of the gateway for measurements that use only one gateway. This gateway takes
// the most recipients a call.
var measured = slices.MaxFunc(catalog.Names(), func(a, b string) int {
	return cmp.Compare(infos[a].MaxRecipients, infos[b].MaxRecipients)
})

// logins has the names of an account's login fields, by gateway.
var logins = catalog.Logins()

// flowAccount is an account of the configuration. It has the name of its gateway.
type flowAccount struct {
	gateway     string
	rate        string
	perCall     int
	concurrency int
	timeout     time.Duration
}

// flowSetup lists what newFlowRig starts for a case.
type flowSetup struct {
	accounts []flowAccount
	workers  int
	latency  time.Duration
	traced   bool
	counting bool   // the sandbox counts duplicates
	more     string // further lines of tuma.yaml
}

// flowRig is the redis-server, the sandbox and the workers of one case.
type flowRig struct {
	dir, binary, config string
	redis               *redisServer
	gateway             *simulator.Server
	web                 *http.Server
	client              *producer.Client
	workers             []*child
	accounts            int
}

// maxLogged is the maximum number of calls in the sandbox's log. It limits the memory, and is enough for three
// minutes of the fastest case.
const maxLogged = 500_000

// newFlowRig starts all parts of the rig, and returns when every worker serves every account.
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
	r.gateway = catalog.Simulate(simulator.Options{Latency: s.latency, NoCount: !s.counting, Log: maxLogged})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return r, err
	}
	r.web = &http.Server{Handler: r.gateway, ReadHeaderTimeout: time.Minute}
	go func() { _ = r.web.Serve(l) }() // Serve returns when the method "end" closes the server
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
	fmt.Fprintf(&b, "redis: {url: '%s'}\ndefault_country: KE\nwindows: off\n%saccounts:\n", url, s.more)
	for _, a := range s.accounts {
		fmt.Fprintf(&b, "  %[1]s:\n    provider: %[1]s\n    base_url: %[2]s/%[1]s\n    sender: ACME\n    rate: %[3]s\n", a.gateway, base, a.rate)
		fmt.Fprintf(&b, "    concurrency: %d\n    timeout: %s\n", max(8, a.concurrency), max(a.timeout, time.Second))
		if a.perCall > 0 && infos[a.gateway].MaxRecipients > 1 {
			fmt.Fprintf(&b, "    max_recipients: %d\n", a.perCall)
		}
		for _, field := range logins[a.gateway] {
			fmt.Fprintf(&b, "    %s: demo\n", field)
		}
	}
	return b.String()
}

// The method "command" returns a command that runs tuma with the case's configuration.
func (r *flowRig) command(args ...string) *exec.Cmd {
	cmd := exec.Command(r.binary, append(args, "--config", r.config)...)
	cmd.Env = []string{"HOME=" + r.dir}
	return cmd
}

func (r *flowRig) startWorkers(ctx context.Context, n int) error {
	for range n {
		p, err := process.StartLogged(r.command("worker", "--log-level", "warn", "--log-format", "json"), filepath.Join(r.dir, "workers.log"))
		if err != nil {
			return err
		}
		r.workers = append(r.workers, &child{Process: p})
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

// The function "poll" calls the function ask() every 10 ms until ask() returns true or an error. The parameter
// "within" is the time limit. After that time, poll returns an error with the text in the parameter "what", which
// names the awaited condition.
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

// The function "wait" waits until the time "at". If ctx ends first, it returns the error of ctx.
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

func (r *flowRig) end() {
	for _, w := range r.workers {
		_ = w.Kill() // the case has ended, so the error changes nothing
	}
	if r.web != nil {
		r.gateway.Close()
		_ = r.web.Close() // the case is over, so the error changes nothing
	}
	if r.redis != nil {
		r.redis.client.Close()
		_ = r.redis.Kill() // the case has ended, so the error changes nothing
	}
}

// The method "enqueue" enqueues a campaign of n numbers. The parameter "first" is the index of the first number. The
// caller must choose it so that two campaigns never share a number.
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

// firstCall waits until the gateway has received a call, and returns its time.
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

// The method "commands" returns how many commands Redis has run, including commands inside scripts.
func (r *flowRig) commands(ctx context.Context) (int64, error) {
	m, err := r.redis.client.InfoMap(ctx, "stats").Result()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(m["Stats"]["total_commands_processed"], 10, 64)
	return n, errors.Join(err)
}
