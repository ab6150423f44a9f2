package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/worker"
)

// backend is Redis, connected, with a client on it.
type backend struct {
	*producer.Client
	rdb redis.UniversalClient
	cfg *config
}

// Close closes the connection.
func (b *backend) Close() {
	_ = b.Client.Close()
	_ = b.rdb.Close() // nothing is written at the end that could fail
}

// connect opens what a command that needs Redis works on.
func (a *app) connect(ctx context.Context) (*backend, error) {
	cfg, err := a.config(false)
	if err != nil {
		return nil, err
	}
	return openBackend(ctx, cfg, 0)
}

// pingWithin is how long Redis may take for its first answer.
const pingTimeout = 5 * time.Second

func openBackend(ctx context.Context, cfg *config, connections int) (*backend, error) {
	open, err := parseRedis(cfg.redis.url)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	rdb := open(connections)
	client, err := producer.New(rdb, producer.WithDurability(cfg.redis.durability))
	if err == nil {
		err = ping(ctx, rdb, cfg.redis)
	}
	if err != nil {
		return nil, errors.Join(err, rdb.Close())
	}
	return &backend{Client: client, rdb: rdb, cfg: cfg}, nil
}

// ping says in one line what to do if Redis does not answer.
func ping(ctx context.Context, rdb redis.UniversalClient, cfg redisConfig) error {
	ctx, cancel := context.WithTimeoutCause(ctx, pingTimeout, fmt.Errorf("no answer in %s", pingTimeout))
	defer cancel()
	err := rdb.Ping(ctx).Err()
	if err == nil {
		return nil
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = context.Cause(ctx)
	}
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		err = fmt.Errorf("there is no host %s", dns.Name)
	case errors.As(err, &op) && op.Op == "dial":
		err = op.Err
	}
	advice := "start it, or say where it is with TUMA_REDIS_URL or redis.url in tuma.yaml"
	if redis.HasErrorPrefix(err, "NOAUTH") || redis.HasErrorPrefix(err, "WRONGPASS") {
		//nolint:gosec // no password, but how to write one
		advice = "the URL needs its login: redis://USER:PASSWORD@HOST:6379/0"
	}
	if strings.Contains(err.Error(), "cluster has no nodes") {
		advice = "none of its nodes serves any hash slot: redis-cli --cluster check tells more"
	}
	return fmt.Errorf("cannot reach Redis at %s (%s): %w; %s", urlWithoutLogin(cfg.url), cfg.source, err, advice)
}

// refuseUnwritable returns an error for a Redis that takes no writes, before any work.
func refuseUnwritable(ctx context.Context, b *backend) error {
	if err := worker.CheckWritable(ctx, b.rdb); err != nil {
		return fmt.Errorf("redis at %s: %w", urlWithoutLogin(b.cfg.redis.url), err)
	}
	return nil
}

// refuseEviction returns an error for a Redis that throws campaigns away when it
// is full, unless the configuration accepts that. What a hosted Redis does not
// tell is no reason to refuse.
func refuseEviction(ctx context.Context, b *backend) error {
	info, err := b.rdb.InfoMap(ctx, "memory").Result()
	if err != nil {
		return nil //nolint:nilerr // INFO is forbidden, and the next command will tell of a Redis that is down
	}
	policy := info["Memory"]["maxmemory_policy"]
	if policy == "" || policy == "noeviction" || b.cfg.redis.unsafe {
		return nil
	}
	return fmt.Errorf("redis at %s throws keys away when it is full (maxmemory-policy %s), and campaigns with them: "+
		"set maxmemory-policy noeviction; redis.unsafe: true in tuma.yaml goes on regardless", urlWithoutLogin(b.cfg.redis.url), policy)
}

// workerConfig is what a worker needs to serve the accounts.
func workerConfig(b *backend, accounts []*accountConfig) worker.Config {
	c := worker.Config{
		Redis: b.rdb, Routes: b.cfg.routes, Country: b.cfg.country, Windows: b.cfg.windows, Retention: b.cfg.retention, FailoverAfter: b.cfg.failoverAfter, UnsafeRedis: b.cfg.redis.unsafe, Durability: b.cfg.redis.durability,
	}
	for _, acc := range accounts {
		c.Accounts = append(c.Accounts, acc.worker)
	}
	return c
}

// connectionsFor is how many connections a worker's pool should hold: a call has
// a claim to write and a settle to read at the same time as the queues poll.
func poolSizeFor(accounts []*accountConfig) int {
	calls := 0
	for _, acc := range accounts {
		calls += max(acc.worker.Concurrency, 8)
	}
	return max(10*runtime.GOMAXPROCS(0), 2*calls+20)
}
