package ledger

import (
	"fmt"
	"strconv"
	"strings"
)

// DefaultMaxRejected is the failure threshold, in percent, of a campaign that has a canary and sets
// none.
const DefaultMaxRejected = 10

const (
	// ThresholdSample is how many messages must have finished before the threshold is checked,
	// other than at the end of the canary. A smaller sample says too little about the campaign.
	ThresholdSample = 100
	// ThresholdSpan is the number of messages within the threshold after which the count restarts,
	// so that a million good ones do not hide later failures.
	ThresholdSpan = 10_000
)

// FailureThreshold returns the maximum percentage of finished messages that may be rejected or
// unknown; 0 disables it.
func (s Spec) FailureThreshold() float64 {
	if s.MaxRejected == 0 && s.Canary > 0 {
		return DefaultMaxRejected
	}
	return s.MaxRejected
}

// thresholdRecord returns the value of the field lim, in which the scripts keep a campaign's
// failure threshold and canary (prelude.lua). It is empty for a campaign with neither.
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

// PausedTooMany is Summary.PausedBy of a campaign that exceeded its failure threshold.
const PausedTooMany = "too_many_rejected"

// TooManyRejected describes why a campaign was paused for its failure threshold: Bad of Ended
// finished messages were rejected or unknown.
type TooManyRejected struct {
	Bad   int `json:"rejected_or_unknown"`
	Ended int `json:"ended"`
	// Canary: Ended counts the messages of the canary. Otherwise Ended counts the messages since
	// the count last restarted: at the start, at a resume after such a pause, or after
	// ThresholdSpan messages within the threshold.
	Canary bool `json:"canary,omitempty"`
}

// parseTooManyRejected parses the reason that the scripts write when they pause a campaign for its
// failure threshold. For another reason it returns nil.
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

// openCanary returns how many messages of the canary must end before others may be sent; 0 if there
// is no canary or it is over. Until the whole canary is planned, the result is the number that the
// campaign asked for.
func openCanary(lim string) int {
	w := strings.Fields(lim)
	if len(w) < 9 {
		return 0
	}
	n, _ := strconv.Atoi(map[string]string{"p": w[5], "s": w[6]}[w[8]])
	return n
}
