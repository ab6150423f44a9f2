package ratelimit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Rate is how many tokens an account may use in a second. Zero is no limit.
type Rate float64

// Unlimited is the rate of an account without a limit. A cool-down still holds it.
const Unlimited Rate = 0

// A rate above or below these is a slip of the pen: no gateway takes a million
// messages a second, and nothing waits an hour for its turn.
const (
	minRate Rate = 1.0 / 3600
	maxRate Rate = 1_000_000
)

// ParseRate reads a rate as configuration has it: "50/s", "600/m", "0.5/s", or
// "0" for no limit. The number is plain decimal; the rate must be at least one
// token an hour and at most a million a second. Anything else is an error that
// says what to write.
func ParseRate(s string) (Rate, error) {
	if s == "0" {
		return Unlimited, nil
	}
	number, unit, _ := strings.Cut(s, "/")
	var seconds float64
	switch unit {
	case "s":
		seconds = 1
	case "m":
		seconds = 60
	default:
		return 0, fmt.Errorf("parse rate %q: write N/s or N/m, or 0 for no limit", s)
	}
	// ParseFloat also takes signs, exponents, hexadecimals, underscores and names.
	if strings.Trim(number, "0123456789.") != "" {
		return 0, fmt.Errorf("parse rate %q: %q is not a plain number", s, number)
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("parse rate %q: %q is not a plain number", s, number)
	}
	r := Rate(n / seconds)
	switch {
	case r == Unlimited:
		return 0, fmt.Errorf("parse rate %q: nothing could ever be sent; for no limit write 0 alone", s)
	case !r.valid():
		return 0, fmt.Errorf("parse rate %q: must be from one an hour to %v", s, maxRate)
	}
	return r, nil
}

// String writes the rate as ParseRate reads it, which gives the same rate again:
// "0", or a number a second, or a number a minute where that is the rounder one.
func (r Rate) String() string {
	if r == Unlimited {
		return "0"
	}
	perSecond := strconv.FormatFloat(float64(r), 'f', -1, 64)
	perMinute := strconv.FormatFloat(math.Round(float64(r)*60), 'f', -1, 64)
	if n, err := strconv.ParseFloat(perMinute, 64); err == nil && Rate(n/60) == r && len(perMinute) < len(perSecond) {
		return perMinute + "/m"
	}
	return perSecond + "/s"
}

// DefaultBurst is the burst of an account whose configuration names none: a tenth
// of a second of its rate, at least 1. More would let an account that was idle
// overshoot; less would lose turns to the time that waking up takes.
func DefaultBurst(r Rate) int {
	return max(1, int(math.Round(float64(r)/10)))
}

func (r Rate) valid() bool {
	return r == Unlimited || r >= minRate && r <= maxRate
}
