package blacklist

import (
	"slices"
	"testing"

	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/sms"
)

// A gateway may send every report twice. The second report must not make the run of blacklisted
// recipients longer.
func TestRule_RepeatedReportsCountOnce(t *testing.T) {
	t.Parallel()
	var rule Rule
	rule.Proven("at ACME", true, nil)
	var want []sms.MSISDN
	for n := range sms.MSISDN(RunLimit - 1) {
		found := []optout.Entry{{MSISDN: n + 1}}
		want = append(want, n+1)
		for range 2 {
			if proven, pause := rule.Proven("at ACME", false, found); len(proven) > 0 || pause {
				t.Fatalf("number %d: proven %v, pause %t; want neither", n+1, proven, pause)
			}
		}
	}
	proven, pause := rule.Proven("at ACME", true, nil)
	var got []sms.MSISDN
	for _, e := range proven {
		got = append(got, e.MSISDN)
	}
	if !slices.Equal(got, want) || pause {
		t.Errorf("after an accepted recipient: %v, pause %t; want the numbers %v", got, pause, want)
	}
}
