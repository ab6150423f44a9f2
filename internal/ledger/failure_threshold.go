package ledger

import (
	"fmt"
	"strconv"
	"strings"
)

// DefaultMaxRejected is the limit, in percent, of a campaign that has a canary and names none.
const DefaultMaxRejected = 10

const (
	// LimitSample is how many messages must have ended before a campaign is paused for its
	// limit, other than at the end of its canary: fewer say nothing.
	ThresholdSample = 100
	// LimitSpan is after how many messages that kept within the limit it is counted anew, so
	// that a million good ones do not hide the bad ones that follow.
	ThresholdSpan = 10_000
)

// Limit is of how many of a hundred messages it may be that they were rejected or are
// unknown; 0: any number.
func (s Spec) FailureThreshold() float64 {
	if s.MaxRejected == 0 && s.Canary > 0 {
		return DefaultMaxRejected
	}
	return s.MaxRejected
}

// limitRecord is what the scripts keep of a campaign's limit and canary (prelude.lua); empty:
// there is neither.
func (l *Ledger) thresholdRecord(s Spec) string {
	if s.FailureThreshold() == 0 {
		return ""
	}
	phase := "-"
	if s.Canary > 0 {
		phase = "p"
	}
	return fmt.Sprintf("%g %d %d 0 0 %d 0 0 %s", s.FailureThreshold(), l.thresholdSample, l.thresholdSpan, s.Canary, phase)
}

// PausedTooMany is Summary.PausedBy of a campaign that was paused for its limit.
const PausedTooMany = "too_many_rejected"

// TooMany says for what a campaign was paused: so many of those that had ended were rejected
// or unknown.
type TooManyRejected struct {
	Bad   int `json:"rejected_or_unknown"`
	Ended int `json:"ended"`
	// Canary: those that had ended were the campaign's canary; else all since it began, was
	// resumed after such a pause, or LimitSpan messages had kept within the limit.
	Canary bool `json:"canary,omitempty"`
}

// tooMany takes the word apart by which the scripts pause a campaign for its limit.
func parseTooManyRejected(by string) (string, *TooManyRejected) {
	w := strings.Split(by, "/")
	if w[0] != PausedTooMany || len(w) < 3 {
		return by, nil
	}
	t := &TooManyRejected{Canary: len(w) > 3}
	t.Bad, _ = strconv.Atoi(w[1])
	t.Ended, _ = strconv.Atoi(w[2])
	return w[0], t
}

// openCanary is how many messages go first and have to end before others go; 0: there is
// no canary, or it is over. Before all of it is planned it is how many were asked for.
func openCanary(lim string) int {
	w := strings.Fields(lim)
	if len(w) < 9 {
		return 0
	}
	n, _ := strconv.Atoi(map[string]string{"p": w[5], "s": w[6]}[w[8]])
	return n
}
