package ratelimit

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Local is the Limiter of an account that only this process sends through. Its
// state dies with it. Where several processes share an account, each with a
// Local of its own, they send that many times too much: use Redis.
type Local struct {
	bucket *bucket
	class  class
}

var _ Limiter = (*Local)(nil)

// NewLocal makes the limiter of one account, with a full bucket. A burst of 0
// is DefaultBurst. It errs on a rate or a burst out of range. Now is the clock,
// time.Now outside tests; it must not go backwards.
func NewLocal(r Rate, burst int, now func() time.Time) (*Local, error) {
	burst, err := checkBucket("new local limiter", r, burst)
	if err != nil {
		return nil, err
	}
	return &Local{class: bulk, bucket: &bucket{
		now:    now,
		rate:   r,
		burst:  burst,
		tokens: rate.NewLimiter(rate.Limit(r), burst),
		booked: now(),
		back:   make(map[class]time.Time),
	}}, nil
}

// Transactional is the same account, sharing all its state, for transactional
// calls: debt that a bulk call larger than the burst left behind does not hold
// these up, who together may use a fifth of the rate meanwhile. They wait for
// turns already booked like everyone; so a caller that lets bulk book less far
// ahead (by a smaller max) always leaves them a place.
func (l *Local) Transactional() *Local {
	return &Local{bucket: l.bucket, class: transactional}
}

// Reserve is Limiter's. It errs only when ctx is over or n is out of range.
func (l *Local) Reserve(ctx context.Context, n int, max time.Duration) (wait time.Duration, ok bool, err error) {
	if err := checkTokens("reserve", n); err != nil {
		return 0, false, err
	}
	if err := ctx.Err(); err != nil {
		return 0, false, fmt.Errorf("reserve: %w", err)
	}
	wait, ok = l.bucket.reserve(l.class, n, bounded(max))
	return wait, ok, nil
}

// Return is Limiter's. It errs only when ctx is over or n is out of range.
func (l *Local) Return(ctx context.Context, n int, ahead time.Duration) error {
	if err := checkTokens("return", n); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("return: %w", err)
	}
	l.bucket.giveBack(n, ahead)
	return nil
}

// Cooldown is Limiter's. It errs only when ctx is over.
func (l *Local) Cooldown(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cool down: %w", err)
	}
	l.bucket.coolDown(bounded(d))
	return nil
}

// bucket is the state of an account; reserve.lua keeps the same in Redis.
type bucket struct {
	now   func() time.Time
	rate  Rate
	burst int

	mu     sync.Mutex
	tokens *rate.Limiter       // what the bucket holds; below zero is booked ahead or owed; unused if Unlimited
	booked time.Time           // the last turn given out
	cool   time.Time           // no turn begins before
	back   map[class]time.Time // when the next caller that is refused shall ask again, at the earliest
}

func (b *bucket) reserve(c class, n int, max time.Duration) (wait time.Duration, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	start := b.start(now)
	turn := start
	if b.rate != Unlimited {
		need := float64(min(n, b.burst))
		turn = later(start, start.Add(b.refill(need-b.tokens.TokensAt(start))))
		if c == transactional {
			turn = earlier(turn, later(start, b.booked.Add(b.refill(float64(n)/share))))
		}
	}
	wait = roundUp(turn.Sub(now))
	turn = now.Add(wait)
	if wait <= max {
		if b.rate != Unlimited {
			b.move(start, n)
		}
		b.booked = later(b.booked, turn)
		return wait, true
	}
	again := later(turn.Add(-max), earlier(b.back[c], turn.Add(queued*max)))
	b.back[c] = again.Add(roundUp(b.refill(float64(n))))
	return again.Sub(now), false
}

func (b *bucket) giveBack(n int, ahead time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.rate == Unlimited {
		return
	}
	now := b.now()
	// What would have run over since the turn, had it not been booked, is lost;
	// it is bounded by what flowed in until the last turn that was booked behind it.
	lost := max(0, b.booked.Sub(now.Add(ahead))).Seconds() * float64(b.rate)
	if whole := int(math.Floor(float64(n) - lost + 1e-6)); whole > 0 {
		b.move(b.start(now), -whole)
	}
}

func (b *bucket) coolDown(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cool = later(b.cool, b.now().Add(d))
}

// start is the first moment at which a turn may begin. It never goes back, as
// rate.Limiter needs.
func (b *bucket) start(now time.Time) time.Time { return later(now, b.cool) }

// move takes n tokens out of the bucket, which may go below zero, or puts -n
// in. A reservation's own Cancel would put nothing in once its turn has come,
// and that is when bookings are given back.
func (b *bucket) move(at time.Time, n int) {
	if n > b.burst {
		// rate.Limiter refuses more than its burst at a time.
		b.tokens.SetBurstAt(at, n)
		defer b.tokens.SetBurstAt(at, b.burst)
	}
	b.tokens.ReserveN(at, n)
}

// refill is how long the bucket takes to gain so many tokens.
func (b *bucket) refill(tokens float64) time.Duration {
	if b.rate == Unlimited {
		return 0
	}
	return time.Duration(tokens / float64(b.rate) * float64(time.Second))
}

// roundUp makes a wait a whole number of microseconds, as Redis counts; a
// nanosecond too many is an error of the floating point and not a wait.
func roundUp(d time.Duration) time.Duration {
	return (d + time.Microsecond - 2).Truncate(time.Microsecond)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
