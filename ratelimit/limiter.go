// Package ratelimit keeps the calls of a gateway account within its rate, in one process (Local)
// or in a cluster (Redis).
//
// A caller does not poll. It reserves tokens, and the limiter returns at once how long the caller
// must wait before it may use them. An account is a token bucket that refills at the account's
// rate. The bucket holds at most the account's burst. A call larger than the burst waits until the
// bucket is full, takes all its tokens and leaves a debt. Later calls wait until the debt is paid
// off.
//
// Both limiters guarantee:
//
//   - In any second, callers may use at most rate + max(burst, largest call) tokens.
//   - While callers wait, at least 99 % of the rate is used.
//
// A change of the rate applies to reservations that are made after it.
package ratelimit

import (
	"context"
	"fmt"
	"time"
)

// Limiter reserves tokens of one account. Any number of goroutines may use an implementation at
// once.
//
// A token is what the account's rate counts: a message, a segment or a request. A turn is the
// moment from which reserved tokens may be used. Durations are precise to the microsecond.
type Limiter interface {
	// Reserve reserves n tokens and returns how long to wait before using them.
	//
	// If ok is true, the tokens are reserved. The caller must use them after the duration "wait",
	// or give them back with Return. If the turn is more than the duration "max" away, Reserve
	// reserves nothing, and ok is false. Then "wait" is how long to wait before the next call of
	// Reserve. If "max" is 0 or less, the turn must be now. A "max" above one year is treated as
	// one year. Each refused caller gets a longer wait than the callers that were refused before,
	// so that callers come back one after the other.
	//
	// n must be from 1 to MaxTokens. It may be larger than the burst. In that case the call takes
	// all its tokens at once, and later calls wait until the debt is paid off.
	//
	// Reserve does not block until the turn. It returns an error if ctx has ended or the limiter's
	// state cannot be reached. Even after an error the tokens may be reserved. Such tokens are
	// lost, which does no further harm. The caller decides whether to send without a limit.
	Reserve(ctx context.Context, n int, max time.Duration) (wait time.Duration, ok bool, err error)

	// Return gives back n reserved tokens that will not be used. Call it at most once for a
	// reservation, before or after the turn. Do not call Return if the tokens were used for a call
	// to the gateway.
	//
	// The parameter "ahead" is the time until the turn. It is negative if the turn has passed. To
	// compute it, add the wait that Reserve returned to the time at which Reserve returned, and pass
	// the sum to time.Until. Return restores whole tokens only. To keep the account within its rate,
	// it does not restore a token that has delayed the turn of a later reservation. If Return fails,
	// the tokens may be lost. Do not repeat the call of Return.
	Return(ctx context.Context, n int, ahead time.Duration) error

	// Cooldown pauses the account for the duration d. The turns of later reservations, by any
	// user of the account, begin after the pause. Call Cooldown when the gateway answers that
	// requests come too fast. A second Cooldown can only make the pause longer. A d of 0 or less
	// changes nothing. A d above one year is treated as one year. Earlier reservations keep their
	// turns.
	Cooldown(ctx context.Context, d time.Duration) error
}

// MaxTokens is the maximum number of tokens of one reservation. It is far above the size of the
// largest call of any gateway. It is small enough to prevent an overflow in sums of
// microseconds.
const MaxTokens = 100_000

// maxAhead is the longest wait or cool-down.
const maxAhead = 365 * 24 * time.Hour

// bounded limits a duration to the range from 0 to maxAhead.
func bounded(d time.Duration) time.Duration { return min(max(d, 0), maxAhead) }

// share is the fraction of the rate that transactional calls keep while a bulk call's debt is paid
// off. Without this share, a large bulk call would delay a one-time code.
const share = 0.2

// maxReturn limits the wait of a refused caller before its next call of Reserve. The wait ends at most
// maxReturn * max after the refused turn, where "max" is the parameter of Reserve. Reserve gives each
// refused caller a different time, so that not all waiting callers call Reserve for the same turn. A
// caller's turn is lost if it does not call Reserve again, for example because its process has ended.
// With a larger maxReturn, more turns could be lost in this way.
const maxReturn = 4

// class is the class of the calls that a limiter serves. Both classes take tokens from one bucket.
//
// A transactional call does not wait until the debt of a bulk call is paid off. A transactional call
// of n tokens gets a turn at most n / (share * rate) after the last reserved turn. Between these two
// turns the bucket gains n / share tokens, which is more than the n tokens of the call. So the call
// does not need the tokens of the earlier turns, and both classes together stay within the rate.
type class string

const (
	bulk          class = "bulk"
	transactional class = "transactional"
)

// checkTokens returns an error if n is out of range.
func checkTokens(op string, n int) error {
	if n < 1 || n > MaxTokens {
		return fmt.Errorf("%s: %d tokens: must be from 1 to %d", op, n, MaxTokens)
	}
	return nil
}

// checkBucket returns the burst, or the default burst if burst is 0. It returns an error if the
// rate or the burst is out of range.
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
