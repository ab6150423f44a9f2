package ratelimit

import (
	"context"
	"fmt"
	"math"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Local is the Limiter of an account that only this process uses. It keeps its state in memory. If
// several processes share an account, and each has its own Local, the processes together exceed
// the rate. In that case use the type Redis.
type Local struct {
	bucket *bucket
	class  class
}

var _ Limiter = (*Local)(nil)

// NewLocal returns the limiter of an account, with a full bucket. burst is in tokens; 0 means
// DefaultBurst(r). The parameter "now" is the clock, which is time.Now outside tests. It must
// not go backwards. NewLocal returns an error if the rate or the burst is out of range.
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

// Transactional returns a limiter for the transactional calls of the same account, with the same
// state. Transactional calls do not wait until the debt of a bulk call is paid off. While a bulk
// call has a debt, all transactional calls together may use a fifth of the rate. A transactional
// call gets its turn after the turns that bulk calls have already reserved. To make this wait
// shorter, reserve bulk calls with a smaller "max".
func (l *Local) Transactional() *Local {
	return &Local{bucket: l.bucket, class: transactional}
}

// Reserve implements Limiter. It returns an error only if ctx has ended or n is out of range.
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

// Return implements Limiter. It returns an error only if ctx has ended or n is out of range.
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

// Cooldown implements Limiter. It returns an error only if ctx has ended.
func (l *Local) Cooldown(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("cool down: %w", err)
	}
	l.bucket.coolDown(bounded(d))
	return nil
}

// bucket is the state of an account. reserve.lua implements the same algorithm in Redis.
type bucket struct {
	now   func() time.Time
	rate  Rate
	burst int

	mu     sync.Mutex
	tokens *rate.Limiter       // tokens in the bucket; negative if the bucket has a debt or reserved turns; unused if the rate is Unlimited
	booked time.Time           // the last reserved turn
	cool   time.Time           // no turn begins before this time
	back   map[class]time.Time // the earliest time at which the next refused caller should come back
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
	again := later(turn.Add(-max), earlier(b.back[c], turn.Add(maxReturn*max)))
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
	// Without this reservation, the bucket might have been full for some time. A full bucket loses
	// tokens that flow into it, so these tokens must not be restored here. The variable "lost" is the
	// highest possible loss. This is the number of tokens that flow in between this reservation's turn
	// and the last reserved turn.
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

// The method "start" returns the first moment at which a turn may begin. Later calls never return
// an earlier moment, as rate.Limiter requires.
func (b *bucket) start(now time.Time) time.Time { return later(now, b.cool) }

// The method "move" takes n tokens out of the bucket. The number of tokens in the bucket may become
// negative. If n is negative, the method puts -n tokens into the bucket. It does not use
// rate.Reservation.Cancel, because Cancel restores nothing after the turn.
func (b *bucket) move(at time.Time, n int) {
	if n > b.burst {
		// rate.Limiter refuses a call of more tokens than its burst. So the burst is n during this
		// call.
		b.tokens.SetBurstAt(at, n)
		defer b.tokens.SetBurstAt(at, b.burst)
	}
	b.tokens.ReserveN(at, n)
}

// The method "refill" returns how long the bucket takes to gain the given number of tokens.
func (b *bucket) refill(tokens float64) time.Duration {
	if b.rate == Unlimited {
		return 0
	}
	return time.Duration(tokens / float64(b.rate) * float64(time.Second))
}

// roundUp rounds a wait up to whole microseconds, the precision of Redis. It ignores a single
// nanosecond, because this is a rounding error of floating point.
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
