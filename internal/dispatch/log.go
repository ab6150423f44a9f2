package dispatch

import (
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/tracing"
	"github.com/tuma-sms/tuma/internal/verdict"
	"github.com/tuma-sms/tuma/providers"
)

// warnLevel returns the level of a log line about an error of Redis. This is normally warn.
// While Redis cannot be reached it is debug, because a separate line reports the outage.
func warnLevel(err error) zerolog.Level { return outage.Level(err, zerolog.WarnLevel) }

// failuresEvery is the minimum time between two log lines about failures of one account.
const failuresEvery = time.Minute

// failures counts failures of an account, so that one log line can stand for many failures. The
// zero value is ready to use. It is safe for concurrent use.
type failures struct {
	mu     sync.Mutex
	logged time.Time
	n      int
}

// The method "count" counts a failure. It returns the level of the log line and the number of failures
// that the line represents. Once in failuresEvery the level is warn. Otherwise it is debug, and the
// number is 1.
func (f *failures) count(now time.Time) (zerolog.Level, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if !f.logged.IsZero() && now.Sub(f.logged) < failuresEvery {
		return zerolog.DebugLevel, 1
	}
	n := f.n
	f.logged, f.n = now, 0
	return zerolog.WarnLevel, n
}

// The function "refuses" reports whether an answer is a refusal that other log lines report. The line
// for the end of the campaign has the number of refused recipients, and a hold or a pause has a
// separate line.
func refuses(v verdict.Verdict) bool {
	return v.Action == verdict.Split || v.Pause != "" || v.Outcome == campaign.CallHold ||
		v.Reason == string(providers.CauseRefused)
}

// logCall logs a call at debug level. If the call failed for a reason other than a refusal,
// logCall logs a warning instead, at most once a minute for each account. The warning has the
// number of calls that failed since the last warning.
func (s *Sender) logCall(b *batch, sub submission, v verdict.Verdict, err error, took time.Duration) {
	level, failed := zerolog.DebugLevel, 0
	if err != nil {
		failed = 1
		if !refuses(v) {
			level, failed = b.acc.failedCalls.count(time.Now())
		}
	}
	if s.Log.GetLevel() > level {
		return
	}
	c, g := sub.claim, sub.gen
	s.Log.WithLevel(level).Func(tracing.LogID(b.trace.TraceID())).Err(err).Int("failed_calls", failed).Str("campaign", b.id).Str("batch", b.name).Int("call", g.Call).Int("generation", g.Number).Str("account", b.acc.Name).
		Str("uuid", c.IdempotencyKey.String()).Int("recipients", len(g.To)).Bool("doubt", c.Doubt).Int("tries", c.Tries).
		Str("deed", v.Action.String()).Int64("took_ms", took.Milliseconds()).Msg("call finished")
}
