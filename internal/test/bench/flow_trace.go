//go:build unix

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/simulator"
)

// The variable "tracing" lists changes to the limiter's script. Each pair is a text of the script and the text that
// replaces it. The changed script records its grants, which no other code can record. It exists only in the build for
// the measurement.
var tracing = [][2]string{
	{"local function save()", "redis.call('INCR', KEYS[1] .. ':asked:' .. ARGV[1])\nlocal function save()"},
	{"  return {1, turn}", "  redis.call('RPUSH', KEYS[1] .. ':turns', string.format('%.0f %.0f', now + turn, amount))\n  return {1, turn}"},
	{"  return {1, whole}", "  redis.call('RPUSH', KEYS[1] .. ':turns', string.format('%.0f %.0f', now + tonumber(ARGV[5]), -amount))\n  return {1, whole}"},
}

// tracedScript writes the limiter's script into dir, with the changes of the variable "tracing". It returns the
// overlay file with which go build replaces the real script. It returns an error unless each
// text that "tracing" replaces occurs exactly once in the real script.
func tracedScript(ctx context.Context, dir string) (overlay string, err error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", module+"/ratelimit").Output()
	if err != nil {
		return "", fmt.Errorf("find the limiter's script: %w", err)
	}
	file := filepath.Join(strings.TrimSpace(string(out)), "reserve.lua")
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	source := string(text)
	for _, t := range tracing {
		if strings.Count(source, t[0]) != 1 {
			return "", fmt.Errorf("%s must have %q exactly once: correct tracing in internal/test/bench/flow_trace.go", file, t[0])
		}
		source = strings.Replace(source, t[0], t[1], 1)
	}
	traced, overlay := filepath.Join(dir, "reserve.lua"), filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(traced, []byte(source), 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: traced}})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, replace, 0o600)
}

// timedMessages is a time and the number n of messages that may be sent, or were sent, at that time.
type timedMessages struct {
	at time.Time
	n  int
}

// The method "grants" returns the grants of an account's limiter, in the order of their times. It
// leaves out grants that workers have given back.
func (r *flowRig) grants(ctx context.Context, account string) ([]timedMessages, error) {
	lines, err := r.redis.client.LRange(ctx, accounts.RateKey(account)+":turns", 0, -1).Result()
	if err != nil {
		return nil, err
	}
	var given, back []timedMessages
	for _, line := range lines {
		at, n, _ := strings.Cut(line, " ")
		micros, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return nil, err
		}
		t := timedMessages{at: time.UnixMicro(micros), n: atoi(n)}
		if strings.HasPrefix(n, "-") {
			back = append(back, timedMessages{at: t.at, n: -t.n})
		} else {
			given = append(given, t)
		}
	}
	slices.SortStableFunc(given, func(a, b timedMessages) int { return a.at.Compare(b.at) })
	for _, b := range back {
		// A worker that gives back a grant does not know the grant's exact time, because it computes
		// the time by its own clock. So drop the grant of the same size whose time is nearest.
		near := -1
		for i, g := range given {
			if g.n == b.n && (near < 0 || g.at.Sub(b.at).Abs() < given[near].at.Sub(b.at).Abs()) {
				near = i
			}
		}
		if near >= 0 {
			given = slices.Delete(given, near, near+1)
		}
	}
	return given, nil
}

// limiterRequests returns how many times workers requested a grant from an account's limiter, or gave
// a grant back.
func (r *flowRig) limiterRequests(ctx context.Context, account string) (n int, err error) {
	for _, what := range []string{"reserve", "return"} {
		m, err := r.redis.client.Get(ctx, accounts.RateKey(account)+":asked:"+what).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return 0, err
		}
		if err == nil {
			n += atoi(m)
		}
	}
	return n, nil
}

// acceptedCalls returns calls in the sandbox's log, in the order of their times. It returns the calls for which the
// function wanted() returns true. If that function is nil, it returns all calls.
func acceptedCalls(log []simulator.Entry, wanted func(simulator.Entry) bool) []timedMessages {
	var out []timedMessages
	for _, e := range log {
		if wanted == nil || wanted(e) {
			out = append(out, timedMessages{at: e.At, n: e.Messages})
		}
	}
	slices.SortStableFunc(out, func(a, b timedMessages) int { return a.at.Compare(b.at) })
	return out
}

// maxInASecond returns the maximum number of messages in any span of one second.
func maxInASecond(all []timedMessages) (most int) {
	sum, from := 0, 0
	for _, t := range all {
		sum += t.n
		for t.at.Sub(all[from].at) >= time.Second {
			sum -= all[from].n
			from++
		}
		most = max(most, sum)
	}
	return most
}

// countBetween returns the number n of messages in the span that begins at the time "start" and ends
// before the time "end". The result "took" is the time from the first call in this span to the first
// call after the span, so that n/took is exact even for few calls. It returns 0 messages if no call
// comes after the span.
func countBetween(all []timedMessages, start, end time.Time) (n int, took time.Duration) {
	i, _ := slices.BinarySearchFunc(all, start, func(t timedMessages, at time.Time) int { return cmp.Compare(t.at.UnixNano(), at.UnixNano()) })
	j, _ := slices.BinarySearchFunc(all, end, func(t timedMessages, at time.Time) int { return cmp.Compare(t.at.UnixNano(), at.UnixNano()) })
	if i >= len(all) || j >= len(all) {
		return 0, time.Second // no call comes after the span, so the duration is unknown
	}
	for _, t := range all[i:j] {
		n += t.n
	}
	return n, all[j].at.Sub(all[i].at)
}
