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

// script is one Lua file behind the prelude. A script that must run on a full
// Redis carries a flags line, which needs Redis 7; where the server cannot read
// that line (miniredis) it goes without.
type script struct {
	name    string
	flagged *redis.Script
	plain   *redis.Script
	// binding: somebody acts on it, outside of Redis, so it must be durable first.
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

// alwaysAllowed also runs when Redis has reached maxmemory: what happened at a
// gateway has to be written down.
func alwaysAllowed(s *script, source string) *script {
	s.flagged = redis.NewScript("#!lua flags=allow-oom\n" + source)
	return s
}

// binding marks a script that must be durable before its caller goes on.
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
	settleAndClaimScript = binding(plainScript("settle_and_claim")) // without the prelude, which takes longer than all that it does
	doubtScript          = binding(settling("doubt"))
	releaseScript        = binding(settling("release"))
	splitScript          = binding(settling("split"))
	moveScript           = campaignScript("move") // a claim of what has moved is durable only with it
	settleScript         = binding(settling("settle"))
	excludeScript        = binding(settling("exclude"))
	narrowScript         = settling("narrow") // what is claimed afterwards is durable only with it
	controlScript        = binding(settling("control"))

	quarantinePayloadScript = plainScript("quarantine_payload")
	accountCheckScript      = plainScript("account_check")
	accountReportScript     = plainScript("account_report")
	accountHoldScript       = binding(plainScript("account_hold"))
	accountReleaseScript    = binding(plainScript("account_release"))
	indexScript             = binding(plainScript("index"))
	unindexScript           = plainScript("unindex")
	sentScript              = alwaysAllowed(plainScript("sent"), mustSource("sent"))
)

func settling(name string) *script {
	return alwaysAllowed(campaignScript(name), mustSource("prelude")+mustSource(name))
}

// eval runs a script on this ledger's Redis.
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

var errAnswer = errors.New("the script's answer is not a list of text")

// evalStrings runs a script whose answer is a list of text.
func (l *Ledger) evalStrings(ctx context.Context, s *script, keys []string, args ...any) ([]string, error) {
	return texts(l.eval(ctx, s, keys, args...))
}

// texts reads a script's answer that is a list of text.
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
