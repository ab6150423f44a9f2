package dispatch

import (
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/verdict"
	"github.com/tuma-sms/tuma/providers"
)

// warn returns a log line about an error of Redis. It is a warning, or of debug level if Redis is away,
// because package outage logs that.
func warn(log zerolog.Logger, err error) *zerolog.Event {
	return log.WithLevel(outage.Level(err, zerolog.WarnLevel)).Err(err)
}

// failuresEvery is the minimum time between two log lines about failures of one account.
const failuresEvery = time.Minute

// failures counts failures of an account, so that a log line stands for many of them. The zero value
// is ready to use. It is safe for concurrent use.
type failures struct {
	mu     sync.Mutex
	logged time.Time
	n      int
}

// count counts a failure. It returns how many failures a log line must report now; 0: log none.
func (f *failures) count(now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if !f.logged.IsZero() && now.Sub(f.logged) < failuresEvery {
		return 0
	}
	n := f.n
	f.logged, f.n = now, 0
	return n
}

// refuses reports whether an answer is a refusal that other lines report: the end of the campaign
// counts refused numbers, and a hold or a pause has its own line.
func refuses(v verdict.Verdict) bool {
	return v.Action == verdict.Split || v.Pause != "" || v.Outcome == campaign.CallHold ||
		v.Reason == string(providers.CauseRefused)
}

// logCall logs a call at debug level. Of the calls that failed for other reasons than a refusal, it
// also logs one a minute and account as a warning, with their number.
func (s *Sender) logCall(b *batch, sub submission, v verdict.Verdict, err error, took time.Duration) {
	e := s.Log.Debug().Err(err)
	if err != nil && !refuses(v) {
		if n := b.acc.failedCalls.count(time.Now()); n > 0 {
			e = s.Log.Warn().Err(err).Int("failed_calls", n)
		}
	}
	if !e.Enabled() {
		return
	}
	c, g := sub.claim, sub.gen
	e.Str("campaign", b.id).Str("batch", b.name).Int("call", g.Call).Int("generation", g.Number).Str("account", b.acc.Name).
		Str("uuid", c.IdempotencyKey.String()).Int("recipients", len(g.To)).Bool("doubt", c.Doubt).Int("tries", c.Tries).
		Str("deed", v.Action.String()).Int64("took_ms", took.Milliseconds()).Msg("call finished")
}
