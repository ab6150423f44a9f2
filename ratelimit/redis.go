package ratelimit

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// Redis is the Limiter of an account that many processes share. The bucket is
// one key in Redis and time is Redis's own; a grant is one command. The value
// itself holds no state: another one on the same key, in any process and with
// another rate or burst, works on the same bucket and takes effect at once.
type Redis struct {
	rdb    redis.UniversalClient
	script *redis.Script
	key    string
	hash   string // where a rate set by hand is; empty: nowhere
	rate   Rate
	burst  int
	class  class
}

var _ Limiter = (*Redis)(nil)

//go:embed reserve.lua
var reserveSource string

var reserveScript = redis.NewScript(reserveSource)

// NewRedis makes the limiter of the account whose bucket is at key. A burst of
// 0 is DefaultBurst. It errs on an empty key and on a rate or a burst out of
// range; it does not call Redis. The key needs no preparation, expires by itself
// when it is idle, and losing it costs one burst too many.
func NewRedis(rdb redis.UniversalClient, key string, r Rate, burst int) (*Redis, error) {
	const op = "new redis limiter"
	if key == "" {
		return nil, errors.New(op + ": empty key")
	}
	burst, err := checkBucket(op, r, burst)
	if err != nil {
		return nil, err
	}
	return &Redis{rdb: rdb, script: reserveScript, key: key, rate: r, burst: burst, class: bulk}, nil
}

// Transactional is the same account, on the same key, for transactional calls;
// what it gives them is said at Local's.
func (l *Redis) Transactional() *Redis {
	t := *l
	t.class = transactional
	return &t
}

// Following is the same account where the field "rate" of a hash may hold a rate and a
// burst that win over the limiter's own, as Setting writes them: for as long as the
// field is there, from the next command on, in every process. In a Redis cluster hash
// and key must share a slot.
func (l *Redis) Following(hash string) *Redis {
	f := *l
	f.hash = hash
	return &f
}

// Setting is what the field "rate" of a hash that limiters follow holds for a rate and
// a burst; a burst of 0 is DefaultBurst. It errs on either out of range.
func Setting(r Rate, burst int) (string, error) {
	burst, err := checkBucket("rate setting", r, burst)
	if err != nil {
		return "", err
	}
	return strconv.FormatFloat(float64(r), 'f', -1, 64) + " " + strconv.Itoa(burst), nil
}

// Reserve is Limiter's. It errs also when Redis does not answer; go-redis may
// then have asked more than once, and each time may have booked.
func (l *Redis) Reserve(ctx context.Context, n int, max time.Duration) (wait time.Duration, ok bool, err error) {
	if err := checkTokens("reserve", n); err != nil {
		return 0, false, err
	}
	// go-redis does not look at ctx before it has written.
	if err := ctx.Err(); err != nil {
		return 0, false, fmt.Errorf("reserve: %w", err)
	}
	answer, err := l.run(ctx, l.rdb, "reserve", n, bounded(max).Microseconds(), string(l.class), share, queued)
	if err != nil {
		return 0, false, fmt.Errorf("reserve: %w", err)
	}
	return time.Duration(answer[1]) * time.Microsecond, answer[0] == 1, nil
}

// Return is Limiter's. It errs also when Redis does not answer, and is then not
// tried again, since the same tokens must not be given back twice.
func (l *Redis) Return(ctx context.Context, n int, ahead time.Duration) error {
	if err := checkTokens("return", n); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("return: %w", err)
	}
	if l.rate == Unlimited && l.hash == "" {
		return nil
	}
	if _, err := l.run(ctx, atMostOnce{l.rdb}, "return", n, ahead.Microseconds()); err != nil {
		return fmt.Errorf("return: %w", err)
	}
	return nil
}

// Cooldown is Limiter's. It errs also when Redis does not answer.
func (l *Redis) Cooldown(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cool down: %w", err)
	}
	if d <= 0 {
		return nil
	}
	if _, err := l.run(ctx, l.rdb, "cool", bounded(d).Microseconds()); err != nil {
		return fmt.Errorf("cool down: %w", err)
	}
	return nil
}

// Free says whether nothing limits the account just now, neither a rate nor a cool-down:
// a Reserve would book nothing and have nobody wait. It errs also when Redis does not
// answer.
func (l *Redis) Free(ctx context.Context) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("free: %w", err)
	}
	answer, err := l.run(ctx, l.rdb, "free")
	if err != nil {
		return false, fmt.Errorf("free: %w", err)
	}
	return answer[0] == 1, nil
}

// run has reserve.lua do one thing, and returns its two numbers.
func (l *Redis) run(ctx context.Context, rdb redis.Scripter, what string, args ...any) ([]int64, error) {
	rate := strconv.FormatFloat(float64(l.rate), 'g', -1, 64)
	keys := []string{l.key}
	if l.hash != "" {
		keys = append(keys, l.hash)
	}
	answer, err := l.script.Run(ctx, rdb, keys, append([]any{what, rate, l.burst}, args...)...).Int64Slice()
	if err != nil {
		return nil, err
	}
	if len(answer) != 2 {
		return nil, fmt.Errorf("reserve.lua answered %d numbers, not 2", len(answer))
	}
	return answer, nil
}

// atMostOnce runs scripts without go-redis's own retries, which would run one
// again whose answer was lost.
type atMostOnce struct{ redis.UniversalClient }

// Eval runs a script by its text, once.
func (c atMostOnce) Eval(ctx context.Context, text string, keys []string, args ...any) *redis.Cmd {
	return c.once(ctx, "eval", text, keys, args)
}

// EvalSha runs a script by its digest, once.
func (c atMostOnce) EvalSha(ctx context.Context, digest string, keys []string, args ...any) *redis.Cmd {
	return c.once(ctx, "evalsha", digest, keys, args)
}

func (c atMostOnce) once(ctx context.Context, name, script string, keys []string, args []any) *redis.Cmd {
	words := []any{name, script, len(keys)}
	for _, k := range keys {
		words = append(words, k)
	}
	cmd := redis.NewCmd(ctx, append(words, args...)...)
	// The error is in cmd too, where the caller looks for it.
	if err := c.Process(ctx, single{cmd}); err != nil {
		cmd.SetErr(err)
	}
	return cmd
}

// single is a command that go-redis sends once at most.
type single struct{ *redis.Cmd }

// NoRetry is true, against go-redis's default.
func (single) NoRetry() bool { return true }
