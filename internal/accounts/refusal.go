package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

const (
	// HoldNothingAccepted is the reason of a hold that stops bulk campaigns only. The held
	// account accepts nothing, and has refused MaxRefusals recipients in a row.
	HoldNothingAccepted = "nothing_accepted"
	// MaxRefusals is how many recipients of bulk campaigns may be rejected in a row at an
	// account that accepts nothing.
	MaxRefusals = 50
	// refusalLongest is the longest back-off of a hold for HoldNothingAccepted. It is short, because a
	// probe costs only one call, and an accepted probe shows that the account has been set up.
	refusalLongest = 30 * time.Second
)

// Refusal describes a call whose recipients were refused by an account that accepts nothing.
type Refusal struct {
	// Recipients is how many recipients the call refused.
	Recipients int
	// Bulk is true if the call belongs to a bulk campaign.
	Bulk bool
	// Claimed is the time at which the call was claimed, by Redis' clock.
	Claimed time.Time
	// Code is the gateway's code, or empty.
	Code string
	// ProvenFor is how long an account counts as working after it has accepted a call.
	ProvenFor time.Duration
	// Jitter is a random number from 0 to 1, used for the back-off.
	Jitter float64
}

// ReportRefusal counts refused recipients of an account that accepts nothing. It returns how many
// of these recipients may be rejected. If the account has accepted a call within
// Refusal.ProvenFor, or if the campaign is transactional, all may be rejected. For bulk campaigns,
// all workers together may reject at most MaxRefusals recipients until the account accepts a
// message or is released. When this limit is reached, ReportRefusal holds the account for bulk
// campaigns. For a bulk call that was claimed before the last release, it returns 0 and does not
// count the recipients. ReportRefusal also returns the account's hold, or the zero Hold if the
// account is not held.
func (s *Store) ReportRefusal(ctx context.Context, name string, r Refusal) (granted int, hold Hold, err error) {
	out, err := s.scripts.Run(ctx, refusalScript, []string{Key(name)}, script.Args(refusalArgs{
		Recipients: r.Recipients, Bulk: r.Bulk, ClaimedAt: r.Claimed, Code: r.Code, ProvenFor: r.ProvenFor, Most: MaxRefusals,
		FirstBackOff: holdFirst, LongestBackOff: refusalLongest, Jitter: r.Jitter,
	})...)
	if err != nil {
		return 0, Hold{}, fmt.Errorf("report refusal to account %s: %w", name, err)
	}
	if len(out) < 2 || out[1] == "held" && len(out) < 4 {
		return 0, Hold{}, fmt.Errorf("report refusal to account %s: %w", name, script.ErrAnswer)
	}
	if out[1] == "held" {
		hold = Hold{Reason: out[2], Until: script.Milli(out[3])}
	}
	return script.Int(out[0]), hold, nil
}

// refusalArgs are the arguments of refusal.lua.
type refusalArgs struct {
	Recipients                   int
	Bulk                         bool
	ClaimedAt                    time.Time
	Code                         string
	ProvenFor                    time.Duration
	Most                         int
	FirstBackOff, LongestBackOff time.Duration
	Jitter                       float64
}
