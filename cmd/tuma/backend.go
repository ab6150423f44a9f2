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

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/worker"
)

// backend is a connection to Redis and a client that uses it.
type backend struct {
	*producer.Client
	rdb redis.UniversalClient
	cfg *config.Config
}

// Close closes the connection.
func (b *backend) Close() {
	_ = b.Client.Close()
	_ = b.rdb.Close() // if Close fails, no data is lost
}

// connect connects to the Redis that the configuration names. The caller must close the backend.
func (a *app) connect(ctx context.Context) (*backend, error) {
	cfg, err := a.config(false)
	if err != nil {
		return nil, err
	}
	return openBackend(ctx, cfg, 0)
}

// withBackend connects to the Redis that the configuration names, calls the function "do"
// and closes the connection.
func (a *app) withBackend(ctx context.Context, do func(*backend) error) error {
	b, err := a.connect(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	return do(b)
}

// pingTimeout is how long Redis may take for its first answer.
const pingTimeout = 5 * time.Second

// openBackend connects to Redis and checks that Redis answers. The parameter "connections" is the
// size of the connection pool; 0 means the default of go-redis.
func openBackend(ctx context.Context, cfg *config.Config, connections int) (*backend, error) {
	b, err := newBackend(cfg, connections)
	if err != nil {
		return nil, err
	}
	if err := ping(ctx, b.rdb, cfg.Redis, cfg.File == "" && cfg.Redis.Source != "TUMA_REDIS_URL"); err != nil {
		b.Close()
		return nil, err
	}
	return b, nil
}

// newBackend is like openBackend, but sends nothing to Redis, so it does not check that Redis
// answers.
func newBackend(cfg *config.Config, connections int) (*backend, error) {
	open, err := config.ParseRedis(cfg.Redis.URL)
	if err != nil {
		return nil, fmt.Errorf("redis: %w", err)
	}
	rdb := open(connections, cfg.Redis.TLS)
	client, err := producer.New(rdb, producer.WithPrefix(cfg.Redis.Prefix), producer.WithDurability(producer.Durability(cfg.Redis.Durability)),
		producer.WithTraceparent(tracing.Header), producer.WithAccounts(configuredAccounts(cfg)...), producer.WithRoutes(publicRoutes(cfg.Routes)...))
	if err != nil {
		return nil, errors.Join(err, rdb.Close())
	}
	return &backend{Client: client, rdb: rdb, cfg: cfg}, nil
}

// ping checks that Redis answers. The parameter "noFile" is true if the URL of Redis is the
// default, because the configuration file does not exist. The error is one line with advice on
// what to do.
func ping(ctx context.Context, rdb redis.UniversalClient, cfg config.Redis, noFile bool) error {
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
		err = fmt.Errorf("host %s not found", dns.Name)
	case errors.As(err, &op) && op.Op == "dial":
		err = op.Err
	}
	if isLoginError(err) {
		return fmt.Errorf("cannot use Redis at %s (%s): %w", config.URLWithoutLogin(cfg.URL), cfg.Source, err)
	}
	advice := "start Redis, or set its address with TUMA_REDIS_URL or redis.url in tuma.yaml"
	if noFile {
		advice = "this folder has no tuma.yaml: change to the folder that has it, or start Redis, or set its address with TUMA_REDIS_URL"
	}
	if strings.Contains(err.Error(), "cluster has no nodes") {
		advice = "none of the nodes of the cluster serves hash slots; run redis-cli --cluster check for details"
	}
	return fmt.Errorf("cannot reach Redis at %s (%s): %w; %s", config.URLWithoutLogin(cfg.URL), cfg.Source, err, advice)
}

// isLoginError reports whether Redis refused the login. For such an error, errorLines prints what
// to do.
func isLoginError(err error) bool {
	return redis.HasErrorPrefix(err, "NOAUTH") || redis.HasErrorPrefix(err, "WRONGPASS")
}

// refuseUnwritable returns an error if Redis accepts no writes.
func refuseUnwritable(ctx context.Context, b *backend) error {
	if err := worker.CheckWritable(ctx, b.rdb); err != nil {
		return fmt.Errorf("redis at %s: %w", config.URLWithoutLogin(b.cfg.Redis.URL), err)
	}
	return nil
}

// refuseEviction returns an error if Redis evicts keys when it is full. It returns nil if
// redis.unsafe is set. It also returns nil if it cannot read the eviction policy, because some
// hosted services forbid the command INFO.
func refuseEviction(ctx context.Context, b *backend) error {
	info, err := b.rdb.InfoMap(ctx, "memory").Result()
	if err != nil {
		return nil //nolint:nilerr // INFO may be forbidden; if Redis is down the next command fails
	}
	policy := info["Memory"]["maxmemory_policy"]
	if policy == "" || policy == "noeviction" || b.cfg.Redis.Unsafe {
		return nil
	}
	return fmt.Errorf("redis at %s deletes keys, and campaigns with them, when it is full (maxmemory-policy %s): "+
		"set maxmemory-policy noeviction, or accept the risk with redis.unsafe: true in tuma.yaml", config.URLWithoutLogin(b.cfg.Redis.URL), policy)
}

// workerConfig returns the configuration of a worker that serves the given accounts.
func workerConfig(b *backend, accounts []*config.Account) worker.Config {
	c := worker.Config{
		Redis: b.rdb, Prefix: b.cfg.Redis.Prefix, Country: b.cfg.Country, Windows: b.cfg.Windows, Retention: b.cfg.Retention, MessageRetention: b.cfg.Messages.Retention, FailoverAfter: b.cfg.FailoverAfter,
		UnsafeRedis: b.cfg.Redis.Unsafe, Durability: worker.Durability(b.cfg.Redis.Durability),
	}
	for _, r := range b.cfg.Routes {
		c.Routes = append(c.Routes, worker.Route(r))
	}
	for _, acc := range accounts {
		c.Accounts = append(c.Accounts, acc.Worker)
	}
	return c
}

// poolSizeFor returns the number of Redis connections of a worker: two for each concurrent call, and
// some for polling the queues.
func poolSizeFor(accounts []*config.Account) int {
	calls := 0
	for _, acc := range accounts {
		calls += max(acc.Worker.Concurrency, 8)
	}
	return max(10*runtime.GOMAXPROCS(0), 2*calls+20)
}
