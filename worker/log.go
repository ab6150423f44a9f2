package worker

import (
	"cmp"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/outage"
)

// asynqLogger writes asynq's log lines to the worker's logger. Most of these lines are errors of
// Redis, and several parts of asynq log the same error. So levelOf lowers the level of these
// lines during an outage.
type asynqLogger struct {
	log     zerolog.Logger
	levelOf func(error, zerolog.Level) zerolog.Level
}

// levelOf returns the level of a log line about an error in a background loop. The parameter
// "err" may be nil. During an outage of Redis, and shortly afterwards, levelOf returns the debug
// level. The reason is that w.readiness has already logged the outage, and each loop would log the
// same fault every second. Without an outage, levelOf returns the level that outage.Level chooses.
func (w *Worker) levelOf(err error, level zerolog.Level) zerolog.Level {
	if w.readiness.Recent() || w.readiness.Explains() {
		return zerolog.DebugLevel
	}
	return outage.Level(err, level)
}

// Debug logs at debug level.
func (l asynqLogger) Debug(args ...any) { l.log.Debug().Msg(fmt.Sprint(args...)) }

// Info logs at debug level, because asynq reports its start and its end, and the worker already
// logs both.
func (l asynqLogger) Info(args ...any) { l.log.Debug().Msg(fmt.Sprint(args...)) }

// Warn logs at warn level, or at debug level during an outage.
func (l asynqLogger) Warn(args ...any) { l.write(zerolog.WarnLevel, args) }

// Error logs at error level, or at debug level during an outage.
func (l asynqLogger) Error(args ...any) { l.write(zerolog.ErrorLevel, args) }

// Fatal logs at error level and does not end the process, unlike asynq's logger.
func (l asynqLogger) Fatal(args ...any) { l.write(zerolog.ErrorLevel, args) }

func (l asynqLogger) write(level zerolog.Level, args []any) {
	text := fmt.Sprint(args...)
	if !strings.Contains(text, "panic") {
		level = l.levelOf(nil, level)
	}
	l.log.WithLevel(level).Msg(text)
}

// logStart logs the start of the worker: its version, its Redis and its accounts with their rates.
func (w *Worker) logStart() {
	rates := zerolog.Dict()
	for _, name := range slices.Sorted(maps.Keys(w.accounts)) {
		a := w.accounts[name]
		rate := "unlimited"
		if a.Rate != 0 {
			rate = a.Rate.String()
			if a.Unit != UnitMessages {
				rate += " " + a.Unit
			}
		}
		rates = rates.Str(name, rate)
	}
	w.log.Info().Str("version", cmp.Or(w.cfg.Version, moduleVersion())).Str("redis", cmp.Or(w.cfg.RedisName, redisName(w.cfg.Redis))).
		Dict("accounts", rates).Msg("worker started")
}

// moduleVersion returns the version of Tuma in the running program, or "devel".
func moduleVersion() string {
	const module = "github.com/tuma-sms/tuma"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	version := ""
	if info.Main.Path == module {
		version = info.Main.Version
	}
	for _, dependency := range info.Deps {
		if dependency.Path == module {
			version = dependency.Version
		}
	}
	if version == "" || version == "(devel)" {
		return "devel"
	}
	return version
}

// redisName returns the address of a Redis without its login.
func redisName(rdb redis.UniversalClient) string {
	switch client := rdb.(type) {
	case *redis.Client:
		o := client.Options()
		return fmt.Sprintf("%s/%d", o.Addr, o.DB)
	case *redis.ClusterClient:
		return "cluster " + strings.Join(client.Options().Addrs, ",")
	}
	return fmt.Sprintf("%T", rdb)
}
