package ledger

import (
	"context"
	"embed"
	"errors"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
)

//go:embed *.lua
var luaFiles embed.FS

// script is one Lua file, with prelude.lua in front of it if the file uses that. A script that must
// run on a full Redis has a flags line, which needs Redis 7. If the server cannot read that line
// (miniredis), the script runs without it.
type script struct {
	name    string
	flagged *redis.Script
	plain   *redis.Script
	// binding: the caller acts outside Redis on the script's answer, so the script's changes must
	// be durable first.
	binding bool
}

func mustSource(name string) string {
	b, err := luaFiles.ReadFile(name + ".lua")
	if err != nil {
		panic("ledger: " + err.Error())
	}
	return string(b)
}

func campaignScript(name string) *script {
	return &script{name: name, plain: redis.NewScript(mustSource("prelude") + mustSource(name))}
}

func plainScript(name string) *script {
	return &script{name: name, plain: redis.NewScript(mustSource(name))}
}

// alwaysAllowed makes a script run even when Redis has reached maxmemory: outcomes at a gateway
// must be written.
func alwaysAllowed(s *script, source string) *script {
	s.flagged = redis.NewScript("#!lua flags=allow-oom\n" + source)
	return s
}

// binding marks a script whose changes must be durable before its caller continues.
func binding(s *script) *script {
	s.binding = true
	return s
}

var (
	commitScript         = binding(campaignScript("commit"))
	planStartScript      = campaignScript("plan_start")
	planPageScript       = campaignScript("plan_page")
	claimScript          = binding(campaignScript("claim"))
	wakeScript           = campaignScript("wake")
	topUpScript          = campaignScript("top_up")
	retryOpenScript      = binding(campaignScript("retry_open"))
	retryStepScript      = binding(campaignScript("retry_step"))
	purgeScript          = campaignScript("purge")
	quarantineScript     = campaignScript("quarantine")
	writeOffScript       = binding(campaignScript("write_off"))
	settleAndClaimScript = binding(plainScript("settle_and_claim")) // no prelude, because running the prelude takes longer than the script itself
	doubtScript          = binding(settling("doubt"))
	releaseScript        = binding(settling("release"))
	splitScript          = binding(settling("split"))
	moveScript           = campaignScript("move") // not binding: the claim of a moved recipient makes the move durable too
	settleScript         = binding(settling("settle"))
	excludeScript        = binding(settling("exclude"))
	narrowScript         = settling("narrow") // not binding: the claim that follows makes it durable too
	controlScript        = binding(settling("control"))

	quarantinePayloadScript = plainScript("quarantine_payload")
	accountCheckScript      = plainScript("account_check")
	breakerScript           = plainScript("breaker")
	accountHoldScript       = binding(plainScript("account_hold"))
	accountReleaseScript    = binding(plainScript("account_release"))
	indexScript             = binding(plainScript("index"))
	unindexScript           = plainScript("unindex")
	sentScript              = alwaysAllowed(plainScript("sent"), mustSource("sent"))
)

func settling(name string) *script {
	return alwaysAllowed(campaignScript(name), mustSource("prelude")+mustSource(name))
}

// eval runs a script in this ledger's Redis. For a binding script it waits until the script's
// changes are durable.
func (l *Ledger) eval(ctx context.Context, s *script, keys []string, args ...any) (any, error) {
	run := func(x *redis.Script) (any, error) { return x.Run(ctx, l.rdb, keys, args...).Result() }
	if s.binding && l.durability != (Durability{}) {
		run = func(x *redis.Script) (any, error) { return l.evalDurable(ctx, x, keys, args...) }
	}
	if s.flagged != nil && !l.noFlags.Load() {
		v, err := run(s.flagged)
		if err == nil || !strings.Contains(err.Error(), "compiling") {
			return v, err
		}
		l.noFlags.Store(true)
	}
	return run(s.plain)
}

var errAnswer = errors.New("unexpected answer of a Redis script")

// evalStrings runs a script whose answer is a list of strings.
func (l *Ledger) evalStrings(ctx context.Context, s *script, keys []string, args ...any) ([]string, error) {
	return texts(l.eval(ctx, s, keys, args...))
}

// texts converts a script's answer to strings. With ErrNotDurable it also returns the answer.
func texts(v any, err error) ([]string, error) {
	if err != nil && !errors.Is(err, ErrNotDurable) {
		return nil, err
	}
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return nil, errAnswer
	}
	out := make([]string, len(list))
	for i, x := range list {
		switch x := x.(type) {
		case string:
			out[i] = x
		case int64:
			out[i] = strconv.FormatInt(x, 10)
		default:
			return nil, errAnswer
		}
	}
	return out, err
}
