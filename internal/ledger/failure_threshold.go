package ledger

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// thresholdRecord returns the value of the ledger field "lim". In this field the scripts keep a
// campaign's failure threshold and canary (prelude.lua). The value is empty for a campaign that has
// neither.
func (l *Ledger) thresholdRecord(s campaign.Spec) string {
	if s.FailureThreshold() == 0 {
		return ""
	}
	phase := "-"
	if s.Canary > 0 {
		phase = "p"
	}
	return fmt.Sprintf("%g %d %d 0 0 %d 0 0 %s", s.FailureThreshold(), l.thresholdSample, l.thresholdSpan, s.Canary, phase)
}

// parseTooManyRejected parses the reason that the scripts write when they pause a campaign for its
// failure threshold. For any other reason, the second result is nil.
func parseTooManyRejected(by string) (string, *campaign.TooManyRejected) {
	w := strings.Split(by, "/")
	if w[0] != campaign.PausedTooMany || len(w) < 3 {
		return by, nil
	}
	t := &campaign.TooManyRejected{Canary: len(w) > 3}
	t.Bad, _ = strconv.Atoi(w[1])
	t.Ended, _ = strconv.Atoi(w[2])
	return w[0], t
}

// openCanary returns how many messages of the canary must end before other messages may be sent. It
// returns 0 if the canary is over or the campaign has none. Until the whole canary is planned, the
// result is the number that the campaign asked for.
func openCanary(lim string) int {
	w := strings.Fields(lim)
	if len(w) < 9 {
		return 0
	}
	n, _ := strconv.Atoi(map[string]string{"p": w[5], "s": w[6]}[w[8]])
	return n
}
