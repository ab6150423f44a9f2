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

// Redis is the Limiter of an account that several processes share. The bucket is one key in Redis,
// the clock is Redis' clock, and a reservation is one command of Redis. The Go value has no state.
// So every limiter with the same key uses the same bucket, but each limiter has its own rate and
// burst.
type Redis struct {
	rdb    redis.UniversalClient
	script *redis.Script
	key    string
	hash   string // the hash whose field "rate" or "limit" overrides rate and burst; empty if no hash is used
	rate   Rate
	burst  int
	class  class
}

var _ Limiter = (*Redis)(nil)

//go:embed reserve.lua
var reserveSource string

var reserveScript = redis.NewScript(reserveSource)

// NewRedis returns the limiter of the account whose bucket is at key. burst is in tokens; 0 means
// DefaultBurst(r). NewRedis does not call Redis. It returns an error if the key is empty or if the
// rate or the burst is out of range. The key need not exist before. It expires when the account is
// idle. If the key is lost, the account may exceed its rate by one burst.
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

// Transactional returns a limiter for the transactional calls of the same account, as
// Local.Transactional does.
func (l *Redis) Transactional() *Redis {
	t := *l
	t.class = transactional
	return &t
}

// Following returns a limiter of the same account that obeys the fields "rate" and "limit" of a hash.
// While the hash has one of these fields, the field's rate and burst replace the rate and burst of
// the limiter. If the hash has both fields, "rate" is used. A change takes effect in every process,
// from the next command on. The function Setting formats the value of a field. In a Redis cluster the
// hash and the key must share a slot.
func (l *Redis) Following(hash string) *Redis {
	f := *l
	f.hash = hash
	return &f
}

// Setting formats a rate and a burst for the field that Following reads. A burst of 0 means
// DefaultBurst(r). It returns an error if the rate or the burst is out of range.
func Setting(r Rate, burst int) (string, error) {
	burst, err := checkBucket("rate setting", r, burst)
	if err != nil {
		return "", err
	}
	return strconv.FormatFloat(float64(r), 'f', -1, 64) + " " + strconv.Itoa(burst), nil
}

// Reserve implements Limiter. If Redis does not answer, it returns an error. In this case go-redis
// may have sent the command several times, and each time the tokens may have been reserved.
func (l *Redis) Reserve(ctx context.Context, n int, max time.Duration) (wait time.Duration, ok bool, err error) {
	if err := checkTokens("reserve", n); err != nil {
		return 0, false, err
	}
	// Reserve checks ctx itself, because go-redis checks ctx only after it has sent the command.
	if err := ctx.Err(); err != nil {
		return 0, false, fmt.Errorf("reserve: %w", err)
	}
	answer, err := l.run(ctx, l.rdb, "reserve", n, bounded(max).Microseconds(), string(l.class), share, maxReturn)
	if err != nil {
		return 0, false, fmt.Errorf("reserve: %w", err)
	}
	return time.Duration(answer[1]) * time.Microsecond, answer[0] == 1, nil
}

// Return implements Limiter. If Redis does not answer, it returns an error and does not repeat the
// command, because the same tokens must not be given back twice.
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

// Cooldown implements Limiter. It returns an error if ctx has ended or Redis does not answer.
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

// Free reports whether the account has no rate and no cool-down now. If the result is true, Reserve
// would grant any call without a wait. It returns an error if Redis does not answer.
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

// The method "run" runs the given operation of reserve.lua. It returns the two numbers of the answer.
func (l *Redis) run(ctx context.Context, rdb redis.Scripter, operation string, args ...any) ([]int64, error) {
	rate := strconv.FormatFloat(float64(l.rate), 'g', -1, 64)
	keys := []string{l.key}
	if l.hash != "" {
		keys = append(keys, l.hash)
	}
	answer, err := l.script.Run(ctx, rdb, keys, append([]any{operation, rate, l.burst}, args...)...).Int64Slice()
	if err != nil {
		return nil, err
	}
	if len(answer) != 2 {
		return nil, fmt.Errorf("reserve.lua returned %d numbers; must return 2", len(answer))
	}
	return answer, nil
}

// atMostOnce runs scripts without the retries of go-redis, which would repeat a script if its answer
// was lost.
type atMostOnce struct{ redis.UniversalClient }

// Eval runs a script by its source, at most once.
func (c atMostOnce) Eval(ctx context.Context, text string, keys []string, args ...any) *redis.Cmd {
	return c.once(ctx, "eval", text, keys, args)
}

// EvalSha runs a script by its digest, at most once.
func (c atMostOnce) EvalSha(ctx context.Context, digest string, keys []string, args ...any) *redis.Cmd {
	return c.once(ctx, "evalsha", digest, keys, args)
}

func (c atMostOnce) once(ctx context.Context, name, script string, keys []string, args []any) *redis.Cmd {
	words := []any{name, script, len(keys)}
	for _, k := range keys {
		words = append(words, k)
	}
	cmd := redis.NewCmd(ctx, append(words, args...)...)
	// Process also stores the error in cmd, from which callers read it.
	if err := c.Process(ctx, single{cmd}); err != nil {
		cmd.SetErr(err)
	}
	return cmd
}

// single is a command that go-redis sends at most once.
type single struct{ *redis.Cmd }

// NoRetry tells go-redis not to repeat the command.
func (single) NoRetry() bool { return true }
