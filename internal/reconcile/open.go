package reconcile

import (
	"context"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/attempts"
	"github.com/tuma-sms/tuma/sms"
)

// openAttempts caches the recipients of a login's unresolved attempts. An unresolved attempt is
// in flight, or has an unknown outcome.
type openAttempts struct {
	mu   sync.Mutex
	read time.Time
	of   map[attempts.Attempt][]sms.MSISDN
	by   map[sms.MSISDN][]attempts.Attempt
}

// attemptsCacheFor is the maximum age of the cache of openAttempts. Until that age, attemptsTo
// treats a number that is not in the cache as a number without unresolved attempts.
const attemptsCacheFor = 100 * time.Millisecond

// attemptsTo returns the unresolved attempts that have the number n among their recipients. If the
// cache has such attempts, attemptsTo reads all attempts again. They must be read after the
// delivery report has arrived (see attempts.Attempt).
func (o *openAttempts) attemptsTo(ctx context.Context, t *Tracker, login string, n sms.MSISDN, now time.Time) ([]attempts.Attempt, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.by[n]) > 0 || time.Since(o.read) > attemptsCacheFor {
		if err := o.update(ctx, t, login, now); err != nil {
			return nil, err
		}
		o.read = time.Now()
	}
	return o.by[n], nil
}

func (o *openAttempts) update(ctx context.Context, t *Tracker, login string, now time.Time) error {
	list, err := t.Attempts.Between(ctx, login, now.Add(-attempts.Life), now.Add(clockSlack))
	if err != nil {
		return err
	}
	if o.of == nil {
		o.of, o.by = map[attempts.Attempt][]sms.MSISDN{}, map[sms.MSISDN][]attempts.Attempt{}
	}
	there := make(map[attempts.Attempt]bool, len(list))
	for _, a := range list {
		there[a] = true
		if _, ok := o.of[a]; ok {
			continue
		}
		numbers, err := t.Ledger.AttemptTo(ctx, a)
		if err != nil {
			return err
		}
		o.of[a] = numbers
		for _, n := range numbers {
			o.by[n] = append(o.by[n], a)
		}
	}
	for a, numbers := range o.of {
		if there[a] {
			continue
		}
		delete(o.of, a)
		for _, n := range numbers {
			if o.by[n] = removeAttempt(o.by[n], a); len(o.by[n]) == 0 {
				delete(o.by, n)
			}
		}
	}
	return nil
}

func removeAttempt(list []attempts.Attempt, a attempts.Attempt) []attempts.Attempt {
	var out []attempts.Attempt
	for _, x := range list {
		if x != a {
			out = append(out, x)
		}
	}
	return out
}
