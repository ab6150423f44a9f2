// Package ratelimit keeps the calls of one gateway account within its rate, in
// one process (Local) or in a whole cluster (Redis).
//
// It books rather than polls. An account is a bucket of tokens that refills at
// its rate and holds its burst; who asks is told at once when its turn is, and
// waits for that moment itself. A call larger than the burst waits for a full
// bucket, takes all of itself and leaves a debt that is paid off before the next.
//
// What both limiters guarantee: in any second, the tokens whose turn falls in it
// are at most rate + max(burst, largest call); and while there is a backlog, at
// least 99 % of the rate is used. (A change of the rate counts from the moment
// it is made.)
package ratelimit

import (
	"context"
	"fmt"
	"time"
)

// Limiter gives out the turns of one account. Implementations are safe for
// concurrent use by any number of goroutines.
//
// A token is whatever the account's rate counts: a message, a segment or a
// request. Durations are precise to the microsecond.
type Limiter interface {
	// Reserve books n tokens and says how long to wait before using them. With
	// ok true the booking stands and nobody else will be given that turn; use
	// it when wait is over, or give it back. If the turn is further away than
	// max (max <= 0: if it is not now), nothing is booked, ok is false, and wait
	// says after how long to ask again: callers that are refused one after the
	// other are told moments one after the other.
	//
	// An n larger than the burst is not refused for that: it is taken whole and
	// paid off. n must be from 1 to MaxTokens. A max beyond a year is taken for
	// a year.
	//
	// Reserve never waits. When ctx is over, or what holds the state cannot be
	// reached, it returns an error and promises nothing: the booking may have
	// been made all the same, which wastes its tokens and no more. Whether to
	// send without a limit then is for the caller to decide.
	Reserve(ctx context.Context, n int, max time.Duration) (wait time.Duration, ok bool, err error)

	// Return gives back a booking that will not be used, before its turn or after
	// it. The n is the one that was booked; ahead is how far the turn lies in the
	// future, negative if it has passed: time.Until(turn), where turn is when
	// Reserve returned plus the wait it said. What later bookings were already
	// told to wait for is not had again, and only whole tokens are, so that the
	// guarantee holds whatever is given back. A booking must be given back once at
	// most, and not if a call was made on it. After an error the tokens may be
	// wasted, and there is nothing to do about it.
	Return(ctx context.Context, n int, ahead time.Duration) error

	// Cooldown lets no turn begin for d from now, for everybody who shares the
	// account: the answer to a gateway that says it is asked too fast. It only
	// ever makes a pause longer; d <= 0 changes nothing, and more than a year is
	// taken for a year. Bookings already given out stand: they lie at most their
	// max ahead.
	Cooldown(ctx context.Context, d time.Duration) error
}

// MaxTokens is the most that one call may take. It is far above the largest
// call there is, and keeps every sum below within what a microsecond clock holds.
const MaxTokens = 100_000

// maxAhead is the longest wait or cool-down there is.
const maxAhead = 365 * 24 * time.Hour

func bounded(d time.Duration) time.Duration { return min(max(d, 0), maxAhead) }

// share is the part of the rate that bulk debt cannot take from transactional
// calls: a large bulk call must not hold up a one-time code until it is paid off.
const share = 0.2

// queued is how many times its max a caller that is refused may be told to stay
// away beyond its turn, because others were refused before it. They come one
// after the other then, and a turn costs two questions rather than one from each
// who waits. Were it more, turns would be lost for longer when those who were
// told to come do not: they died, or have nothing to send any more.
const queued = 4

// class names which calls a limiter speaks for. Both kinds draw on one bucket.
//
// A transactional call need not wait until bulk debt is paid off: it may go
// n / (share * rate) after the last turn booked. By then the bucket has gained
// more than the call takes, and no booked turn comes after it to meet an emptier
// bucket; so the guarantee needs no second bucket to hold for both together.
type class string

const (
	bulk          class = "bulk"
	transactional class = "transactional"
)

func checkTokens(op string, n int) error {
	if n < 1 || n > MaxTokens {
		return fmt.Errorf("%s: %d tokens: must be from 1 to %d", op, n, MaxTokens)
	}
	return nil
}

// checkBucket judges what an account is limited to, and fills in the default burst.
func checkBucket(op string, rate Rate, burst int) (int, error) {
	if !rate.valid() {
		return 0, fmt.Errorf("%s: rate %v: must be 0, or from %v to %v", op, float64(rate), minRate, maxRate)
	}
	if burst < 0 || burst > MaxTokens {
		return 0, fmt.Errorf("%s: burst %d: must be from 1 to %d, or 0 for the default", op, burst, MaxTokens)
	}
	if burst == 0 {
		return DefaultBurst(rate), nil
	}
	return burst, nil
}
