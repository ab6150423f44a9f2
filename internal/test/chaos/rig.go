//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/catalog"
)

// logins has the names of an account's login fields, by gateway.
var logins = catalog.Logins()

// infos has the facts about each gateway.
var infos = catalog.Infos()

// oneByOne reports whether a gateway takes only one number a call.
func oneByOne(gateway string) bool { return infos[gateway].MaxRecipients == 1 }

// hasKeys reports whether a gateway has idempotency keys.
func hasKeys(gateway string) bool { return infos[gateway].KeyTTL > 0 }

// chaosRun is everything that a run has started.
type chaosRun struct {
	options
	dir         string
	out         io.Writer
	redis       *redisServer // nil if -redis is given
	direct      *redis.Client
	viaProxy    *redis.Client
	proxy       *proxy
	gateway     *simulator.Server
	web         *http.Server
	callersGone map[string]*atomic.Int64 // for each gateway, the number of calls whose caller closed the connection before the answer
	slots       []*processSlot           // the workers
	serveSlots  []*processSlot           // the processes `tuma serve`; empty with -serve=false
	relay       *relay
	deliveries  *deliveryLog
	polls       pollLog
	inbound     *inboundLog
	traffic     *traffic
	claims      *claims
	optOuts     *optOutLog
	redisMu     sync.Mutex // held during a fault of Redis
	latency     sync.Mutex // held while the gateways are slow
	injected    tally
	printing    sync.Mutex // guards the field "out", so that lines do not mix
	began       time.Time
}

// newChaosRun starts Redis, the proxy and the gateways. It prepares the workers and the processes `tuma serve`, which
// the method "play" starts. If newChaosRun fails, it closes what it has started.
func newChaosRun(ctx context.Context, o options, dir string, out io.Writer) (r *chaosRun, err error) {
	r = &chaosRun{options: o, dir: dir, out: out, callersGone: map[string]*atomic.Int64{}, traffic: &traffic{}}
	r.deliveries = newDeliveryLog(r.traffic.breach)
	r.inbound = newInboundLog()
	r.relay = newRelay(r.deliveries.answered, r.traffic.breach)
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	url, err := r.startRedis(ctx)
	if err != nil {
		return r, err
	}
	base, err := r.startGateways(ctx)
	if err != nil {
		return r, err
	}
	config := filepath.Join(dir, "tuma.yaml")
	if err := os.WriteFile(config, []byte(r.config(url, base)), 0o600); err != nil {
		return r, err
	}
	for n := range o.workers {
		r.slots = append(r.slots, newWorkerSlot(o, dir, config, n))
	}
	if err := r.newServeSlots(ctx, config); err != nil {
		return r, err
	}
	return r, r.startTraffic(ctx, config)
}

// startRedis starts a redis-server, or connects to the Redis that the flag -redis names. It starts the proxy and
// returns the URL of Redis through the proxy. It returns an error if the database is not empty.
func (r *chaosRun) startRedis(ctx context.Context) (url string, err error) {
	at := &redis.Options{}
	url = r.options.redis
	if !r.foreign {
		if r.redis, err = startRedis(ctx, r.dir, r.fsync); err != nil {
			return "", err
		}
		url = "redis://" + r.redis.address() + "/0"
	}
	if at, err = redis.ParseURL(url); err != nil || at.TLSConfig != nil || at.Network != "tcp" {
		return "", errors.New("-redis: must be of the form redis://[USER:PASSWORD@]HOST:PORT/DB")
	}
	if r.proxy, err = newProxy(at.Addr); err != nil {
		return "", err
	}
	straight := *at
	straight.ContextTimeoutEnabled, straight.MaxRetries = true, -1
	r.direct = redis.NewClient(&straight)
	bent := *at
	bent.Addr = r.proxy.address()
	r.viaProxy = redis.NewClient(&bent)
	n, err := r.direct.DBSize(ctx).Result()
	if err != nil {
		return "", fmt.Errorf("redis: %w", err)
	}
	if n > 0 {
		return "", fmt.Errorf("-redis: the database has %d keys; it must be empty, since chaos deletes keys", n)
	}
	return strings.Replace(url, at.Addr, bent.Addr, 1), nil
}

// startGateways starts the sandbox, which simulates all gateways, and returns its base URL.
func (r *chaosRun) startGateways(ctx context.Context) (base string, err error) {
	for name := range logins {
		r.callersGone[name] = new(atomic.Int64)
	}
	r.optOuts = newOptOutLog()
	r.gateway = catalog.Simulate(simulator.Options{Latency: latency, Seed: r.seed})
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	r.web = &http.Server{Handler: http.HandlerFunc(r.serve), ReadHeaderTimeout: time.Minute}
	go func() { _ = r.web.Serve(l) }() // Serve returns when the method "close" closes the server
	base = "http://" + l.Addr().String()
	if r.serves > 0 {
		err = r.reportGateways(base)
	}
	return base, err
}

// The method "serve" passes callbacks to the relay, and all other requests to the sandbox. It records the time of each
// request for delivery reports, and the phone numbers in each call. If the caller closes the connection before the
// answer to a call is ready, the method counts the call in callersGone. If a fault closes the connection of a call, the
// sandbox has counted this call. The method does not count it, because the sandbox ends the method with a panic.
func (r *chaosRun) serve(w http.ResponseWriter, q *http.Request) {
	if strings.HasPrefix(q.URL.Path, relayPath) {
		r.relay.ServeHTTP(w, q)
		return
	}
	at := time.Now()
	name, _, _ := strings.Cut(strings.TrimPrefix(q.URL.Path, "/"), "/")
	text, err := readText(q)
	if err != nil {
		return // the caller closed the connection before it had sent the body
	}
	poll := isPoll(name, q.URL.Path, text)
	if poll {
		r.polls.add(name, at)
	} else {
		r.optOuts.readRequest(name, at, text)
	}
	r.gateway.ServeHTTP(w, q)
	if poll || q.Context().Err() == nil {
		return
	}
	if n := r.callersGone[name]; n != nil {
		n.Add(1)
	}
}

func (r *chaosRun) config(url, base string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "redis: {url: '%s', durability: '%s'}\ndefault_country: KE\nwindows: off\naccounts:\n", url, r.durability)
	for _, name := range slices.Sorted(maps.Keys(logins)) {
		fmt.Fprintf(&b, "  %[1]s:\n    provider: %[1]s\n    base_url: %[2]s/%[1]s\n    sender: %[5]s\n    rate: \"0\"\n    timeout: %[3]s\n    reconcile_for: 12s\n    concurrency: %[4]d\n",
			name, base, callTimeout, concurrency, sender)
		if !oneByOne(name) {
			fmt.Fprintf(&b, "    max_recipients: %d\n", perCall)
		}
		for _, field := range logins[name] {
			fmt.Fprintf(&b, "    %s: demo\n", field)
		}
		if r.serves > 0 {
			b.WriteString(serveConfig(name))
		}
	}
	return b.String()
}

func (r *chaosRun) startTraffic(ctx context.Context, config string) error {
	d, err := script.ParseDurability(r.durability)
	if err != nil {
		return err
	}
	t := r.traffic
	t.queue, t.gateway, t.given, t.optOuts, t.pause = queue.New(r.viaProxy), r.gateway, map[string]int{}, r.optOuts, 400*time.Millisecond
	t.seeCounts = r.deliveries.seeCounts
	if r.quick {
		t.pause = 200 * time.Millisecond
	}
	t.size = func(gateway string) int {
		switch {
		case r.quick && oneByOne(gateway):
			return 20
		case r.quick:
			return 200
		case oneByOne(gateway):
			return 100
		}
		return 2000
	}
	if t.client, err = producer.New(r.viaProxy, producer.WithDurability(producer.Durability(d))); err != nil {
		return err
	}
	if t.watcher, err = producer.New(r.direct); err != nil {
		return err
	}
	r.optOuts.optOut = r.optOutFunc(t.client, config)
	if r.serves > 0 {
		t.byWord = r.optOutByWord
		if t.api, err = r.newAPIClient(ctx, config); err != nil {
			return err
		}
	}
	r.claims = &claims{rdb: r.direct, open: t.notEnded, exposed: map[string]bool{}}
	return nil
}

// awaitWorkers returns when all workers serve every gateway.
func (r *chaosRun) awaitWorkers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for tick := time.Tick(50 * time.Millisecond); ; {
		accounts, err := r.traffic.watcher.Accounts(ctx)
		if err == nil && len(accounts) == len(logins) &&
			!slices.ContainsFunc(accounts, func(a producer.Account) bool { return a.Workers < r.workers }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the workers must serve every gateway within a minute (log %s): %w", r.slots[0].log, errors.Join(err, ctx.Err()))
		case <-tick:
		}
	}
}

// verbosef prints a line with the time since the start of the run, if -v is set.
func (r *chaosRun) verbosef(format string, args ...any) {
	if r.verbose {
		r.logf(format, args...)
	}
}

// logf prints a line with the time since the start of the run.
func (r *chaosRun) logf(format string, args ...any) {
	r.printing.Lock()
	defer r.printing.Unlock()
	fmt.Fprintf(r.out, "%7.1fs  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// concurrentCampaigns returns how many campaigns are sent through a gateway at a time. Several are
// needed to keep the account's slots busy, because each slot sends one batch and a campaign has few
// batches. A gateway with idempotency keys has one campaign at a time. After each campaign, chaos changes the
// gateway's answer to a repeated key.
func concurrentCampaigns(gateway string) int {
	switch {
	case hasKeys(gateway):
		return 1
	case oneByOne(gateway):
		return 4
	}
	return 2
}

// The method "close" ends everything that the run has started. It deletes the run's keys from the database of -redis.
func (r *chaosRun) close() error {
	var errs []error
	for _, s := range slices.Concat(r.slots, r.serveSlots) {
		s.end()
	}
	r.relay.close()
	r.traffic.api.close()
	if r.web != nil {
		r.gateway.Close()
		errs = append(errs, r.web.Close())
	}
	if r.foreign && r.direct != nil && r.traffic.watcher != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		errs = append(errs, r.wipe(ctx, "tuma:*"), r.wipe(ctx, "asynq:*"))
	}
	if r.direct != nil {
		errs = append(errs, r.direct.Close(), r.viaProxy.Close())
	}
	if r.proxy != nil {
		errs = append(errs, r.proxy.close())
	}
	if r.redis != nil {
		errs = append(errs, r.redis.kill())
	}
	return errors.Join(errs...)
}

// The method "wipe" deletes all keys that match a pattern.
func (r *chaosRun) wipe(ctx context.Context, pattern string) error {
	for keys := r.direct.Scan(ctx, 0, pattern, 1000); ; {
		page, cursor, err := keys.Result()
		if err != nil {
			return fmt.Errorf("wipe %s: %w", pattern, err)
		}
		if len(page) > 0 {
			if err := r.direct.Unlink(ctx, page...).Err(); err != nil {
				return fmt.Errorf("wipe %s: %w", pattern, err)
			}
		}
		if cursor == 0 {
			return nil
		}
		keys = r.direct.Scan(ctx, cursor, pattern, 1000)
	}
}
