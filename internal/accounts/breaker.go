package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/providers"
)

// The back-off of an automatic hold. It doubles each time the account is held again.
const (
	holdFirst   = 2 * time.Second
	holdLongest = 5 * time.Minute
	// creditLongest is the longest back-off of a hold for lack of credit, if the balance can be
	// read. It is short because reading the balance costs no call, and Tuma should notice a top-up
	// soon.
	creditLongest = 30 * time.Second
)

// CallReport is a report about one call, one probe, or several successful calls.
type CallReport struct {
	Outcome campaign.CallOutcome
	// Claimed is the time at which the call was claimed. It is zero if the report is about a probe
	// that was just made.
	Claimed time.Time
	// Reason is one of Tuma's reason words. Code is the gateway's code.
	Reason, Code string
	// Balance is the known balance if the account is held for lack of credit. Otherwise it is empty.
	Balance string
	// Size is the number of segments of a call that was refused for lack of credit. It is 0 if only
	// the balance was read, or for any other outcome.
	Size int
	// Jitter is a random number from 0 to 1, used for the back-off.
	Jitter float64
	// Calls is how many successful calls are reported at once; 0 means 1. For several calls, Claimed
	// is the time at which the last of these calls was claimed.
	Calls int
}

// ReportCall records the outcome of a call for its account. It returns the account's hold, or the
// zero Hold if the account is not held.
func (s *Store) ReportCall(ctx context.Context, name string, r CallReport) (Hold, error) {
	longest := holdLongest
	if r.Reason == string(providers.CauseCredit) && r.Balance != "" {
		longest = creditLongest
	}
	out, err := s.scripts.Run(ctx, breakerScript, []string{Key(name)}, script.Args(breakerArgs{
		Outcome: r.Outcome, ClaimedAt: r.Claimed, Reason: r.Reason, Code: r.Code, FirstBackOff: holdFirst, LongestBackOff: longest,
		Jitter: r.Jitter, KnownBalance: r.Balance, RefusedSize: r.Size, Calls: max(1, r.Calls),
	})...)
	if err != nil {
		return Hold{}, fmt.Errorf("report call to account %s: %w", name, err)
	}
	if out[0] == "held" && len(out) > 2 {
		return Hold{Reason: out[1], Until: script.Milli(out[2])}, nil
	}
	return Hold{}, nil
}

// breakerArgs are the arguments of breaker.lua.
type breakerArgs struct {
	Outcome                      campaign.CallOutcome
	ClaimedAt                    time.Time
	Reason, Code                 string
	FirstBackOff, LongestBackOff time.Duration
	Jitter                       float64
	KnownBalance                 string
	RefusedSize                  int
	Calls                        int
}
