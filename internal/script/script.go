// Package script runs Lua scripts in Redis. A Runner runs a script and, if the caller acts on the
// answer outside Redis, waits until the changes are durable. A Batcher runs one script for many
// callers at once. Args encodes the arguments of a script, and Text, Int and Milli read its answers
// and the values of hash fields.
package script

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// KeyPrefix begins every key of Tuma in Redis.
const KeyPrefix = "tuma:"

// Script is one Lua file. A Script is immutable, and safe for concurrent use.
type Script struct {
	name string
	// flagged is the script with a flags line, which needs Redis 7. If the server cannot read that
	// line (miniredis), the script runs without the line.
	flagged *redis.Script
	plain   *redis.Script
	// binding is true if the caller acts outside Redis on the script's answer. Then the script's
	// changes must be durable before the caller acts.
	binding bool
}

// New returns a script. Error messages contain the parameter "name".
func New(name, source string) *Script { return &Script{name: name, plain: redis.NewScript(source)} }

// NewAlwaysAllowed returns a script that runs even when Redis has reached maxmemory. Use it for a
// script that writes the outcome of a call at a gateway, because an outcome must not be lost.
func NewAlwaysAllowed(name, source string) *Script {
	s := New(name, source)
	s.flagged = redis.NewScript("#!lua flags=allow-oom\n" + source)
	return s
}

// Binding returns a copy of the script, marked so that its changes must be durable before its
// caller continues.
func Binding(s *Script) *Script {
	b := *s
	b.binding = true
	return &b
}

// Queue adds a run of the script to a pipeline, and returns its command. If Redis does not have the
// script, the command fails with NOSCRIPT, and the caller runs the script with a Runner. The script
// runs without its flags line, and the command does not wait until its changes are durable.
func (s *Script) Queue(ctx context.Context, p redis.Pipeliner, keys []string, args ...any) *redis.Cmd {
	return s.plain.EvalSha(ctx, p, keys, args...)
}

// Answer returns the answer of a run that Queue has added, in the same form as Runner.Run.
func Answer(c *redis.Cmd) ([]string, error) { return texts(c.Result()) }

// Name returns the name that was given to New.
func (s *Script) Name() string { return s.name }

// Hash returns the hash of the script without its flags line. Redis identifies a script by its hash.
func (s *Script) Hash() string { return s.plain.Hash() }

// Runner runs scripts in one Redis. It is safe for concurrent use.
type Runner struct {
	rdb redis.UniversalClient
	// durability is the durability for which binding scripts wait. noWaitAOF is true if the server
	// has no WAITAOF command.
	durability Durability
	noWaitAOF  atomic.Bool
	// noFlags is true if the server does not understand the flags line of a script.
	noFlags atomic.Bool
}

// NewRunner returns a Runner whose binding scripts wait for the durability d. The caller remains
// responsible for closing the client.
func NewRunner(rdb redis.UniversalClient, d Durability) *Runner {
	return &Runner{rdb: rdb, durability: d}
}

// Pipelines reports whether one pipeline can hold all commands of a change: all keys are on one server,
// and binding scripts need not wait.
func (r *Runner) Pipelines() bool {
	_, one := r.rdb.(*redis.Client)
	return one && r.durability == (Durability{})
}

// Redis returns the client that the Runner uses.
func (r *Runner) Redis() redis.UniversalClient { return r.rdb }

// The method "run" runs a script. After a binding script it waits until the script's changes are
// durable.
func (r *Runner) run(ctx context.Context, s *Script, keys []string, args ...any) (any, error) {
	run := func(x *redis.Script) (any, error) { return x.Run(ctx, r.rdb, keys, args...).Result() }
	if s.binding && r.durability != (Durability{}) {
		run = func(x *redis.Script) (any, error) { return r.runDurable(ctx, x, keys, args...) }
	}
	if s.flagged != nil && !r.noFlags.Load() {
		v, err := run(s.flagged)
		if err == nil || !strings.Contains(err.Error(), "compiling") {
			return v, err
		}
		r.noFlags.Store(true)
	}
	return run(s.plain)
}

// ErrAnswer means that a script's answer does not have the form that the caller expects.
var ErrAnswer = errors.New("unexpected answer of a Redis script")

// Run runs a script whose answer is a list, and returns the list as text. After a binding script
// it waits until the script's changes are durable. If the error is ErrNotDurable, it also returns
// the answer.
func (r *Runner) Run(ctx context.Context, s *Script, keys []string, args ...any) ([]string, error) {
	return texts(r.run(ctx, s, keys, args...))
}

// Now returns the time by Redis' clock, which every due time and lease uses.
func (r *Runner) Now(ctx context.Context) (time.Time, error) {
	t, err := r.rdb.Time(ctx).Result()
	if err != nil {
		return t, fmt.Errorf("read time of redis: %w", err)
	}
	return t, nil
}

// NewToken returns 72 random bits as 12 characters. A script recognises a repeated request by its
// token.
func NewToken() string {
	var b [9]byte
	_, _ = rand.Read(b[:]) // Read never returns an error: crypto/rand ends the program instead
	return base64.RawURLEncoding.EncodeToString(b[:])
}
