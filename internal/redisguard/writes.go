package redisguard

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/prefix"
)

// ErrRefusesWrites means that Redis answers, but refuses a write that a worker needs.
var ErrRefusesWrites = errors.New("redis refuses writes")

// probePrefixes has the prefixes of the keys of Tuma and of asynq. TryWrites writes one key with each
// prefix.
var probePrefixes = []string{"tuma:", "asynq:"}

// probeExpiry is how long a key of TryWrites lives.
const probeExpiry = 10 * time.Second

// probeSource is a Lua script that writes one key. It is a script, because a worker writes only
// with scripts. So the test shows whether the user of Redis has the right to run scripts.
const probeSource = `return redis.call('set', KEYS[1], '1', 'px', ARGV[1])`

// TryWrites writes the keys tuma:probe and asynq:probe in one round trip. These keys expire after
// ten seconds, and no program reads them. If Redis refuses a write, for example for lack of a
// right, memory, disk space or replicas, the error wraps ErrRefusesWrites. The error also wraps
// ErrUnfit if the user of Redis lacks a right. TryWrites wraps connection errors.
func TryWrites(ctx context.Context, rdb redis.UniversalClient) error {
	pipe := rdb.Pipeline()
	var writes []*redis.Cmd
	for _, root := range probePrefixes {
		writes = append(writes, pipe.Eval(ctx, probeSource, []string{root + "probe"}, probeExpiry.Milliseconds()))
	}
	_, _ = pipe.Exec(ctx) // each command has its own error
	var refused []string
	var cause error
	for i, w := range writes {
		_, answered := errors.AsType[redis.Error](w.Err())
		switch {
		case w.Err() == nil:
		case !answered:
			return fmt.Errorf("write to redis: %w", w.Err())
		default:
			refused, cause = append(refused, prefix.Of(rdb)+probePrefixes[i]+"*"), w.Err()
		}
	}
	if cause == nil {
		return nil
	}
	text, lacksRight := explain(cause.Error())
	e := &refusal{text: fmt.Sprintf("%v under %s: %s", ErrRefusesWrites, strings.Join(refused, " and "), text)}
	if lacksRight {
		e.unfit = true
		e.text += "; give this user of Redis the rights in the line ACL SETUSER of README.md"
		if p := prefix.Of(rdb); p != "" {
			e.text += ", with " + p + " before each pattern"
		}
	}
	return e
}

// scriptPlace is the beginning of the place of an error within a script.
var scriptPlace = regexp.MustCompile(` script: [0-9a-f]{40}`)

// explain returns the text of Redis' answer to a script that failed, without the place in the script: after an error within
// a script, Redis appends " script: " and the hash of the script. The result lacksRight is true if the user must not run
// scripts (NOPERM), or a command within the script. Redis 7.0 and later releases have different texts for the second case.
func explain(answer string) (text string, lacksRight bool) {
	text = answer
	if at := scriptPlace.FindStringIndex(answer); at != nil {
		text = answer[:at[0]]
	}
	return text, strings.HasPrefix(text, "NOPERM") || strings.Contains(text, "The user executing the script can't") || strings.Contains(text, "ACL failure in script")
}

// refusal is an error that wraps ErrRefusesWrites and, if unfit is true, also ErrUnfit.
type refusal struct {
	text  string
	unfit bool
}

// Error returns the text.
func (e *refusal) Error() string { return e.text }

// Is reports whether e wraps target.
func (e *refusal) Is(target error) bool {
	return target == ErrRefusesWrites || e.unfit && target == ErrUnfit
}
