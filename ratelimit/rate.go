package ratelimit

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Rate is a number of tokens a second. Zero means no limit.
type Rate float64

// Unlimited is the rate of an account without a limit. A cool-down still applies to it.
const Unlimited Rate = 0

// Rates outside these bounds are typing mistakes: no gateway takes a million messages a second, and
// no message should wait an hour for its turn.
const (
	minRate Rate = 1.0 / 3600
	maxRate Rate = 1_000_000
)

// ParseRate parses a rate as written in the configuration: "50/s", "600/m", "0.5/s", or "0" for no
// limit. The number is a plain decimal, and the rate must be at least one token an hour and at most
// a million a second. For any other text, the error describes the correct form.
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
	// ParseFloat would also accept signs, exponents, hexadecimals, underscores, Inf and NaN.
	if strings.Trim(number, "0123456789.") != "" {
		return 0, fmt.Errorf("parse rate %q: %q must be a decimal number, e.g. 50 or 0.5", s, number)
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil {
		return 0, fmt.Errorf("parse rate %q: %q must be a decimal number, e.g. 50 or 0.5", s, number)
	}
	r := Rate(n / seconds)
	switch {
	case r == Unlimited:
		return 0, fmt.Errorf("parse rate %q: no message could be sent at this rate; for no limit write 0 without a unit", s)
	case !r.valid():
		return 0, fmt.Errorf("parse rate %q: must be at least 1 an hour and at most %v/s", s, maxRate)
	}
	return r, nil
}

// String returns the rate in a form that ParseRate parses to the same rate. Unlimited is "0". Any
// other rate is "N/s", or the equal rate "N/m" if this is a shorter text.
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

// DefaultBurst returns the burst of an account for which no burst is configured. It is a tenth of
// a second of the account's rate, and at least 1. With a larger burst, an idle account would
// exceed its rate when it starts to send. With a smaller burst, turns would be lost while callers
// wake up.
func DefaultBurst(r Rate) int {
	return max(1, int(math.Round(float64(r)/10)))
}

func (r Rate) valid() bool {
	return r == Unlimited || r >= minRate && r <= maxRate
}
