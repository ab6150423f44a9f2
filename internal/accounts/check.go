package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// Check is the result of Store.Check.
type Check struct {
	// Open means that the account may be used. Probe means that the account's hold has expired,
	// and that only this caller may probe the account. If both fields are false, the account is
	// held.
	Open, Probe bool
	Reason      string
	Until       time.Time
	// BalanceBefore is the balance that was known when the account was held.
	BalanceBefore string
	// Refused is the number of segments of the last call that was refused for lack of credit at the
	// balance BalanceBefore. It is 0 if no call was refused. RefusedAt is the time of that refusal.
	Refused   int
	RefusedAt time.Time
	// LastAccepted is the time at which the gateway last accepted a message.
	LastAccepted time.Time
}

// Check reports whether an account may be used now for a campaign of the given class. If Check
// grants a probe, no other caller gets a probe until the duration probeFor has passed.
func (s *Store) Check(ctx context.Context, name string, class campaign.Class, probeFor time.Duration) (Check, error) {
	out, err := s.scripts.Run(ctx, checkScript, []string{Key(name)}, script.Args(checkArgs{ProbeLife: probeFor, Bulk: class != campaign.Transactional})...)
	if err != nil {
		return Check{}, fmt.Errorf("check account %s: %w", name, err)
	}
	if out[0] == "open" && len(out) > 1 {
		return Check{Open: true, LastAccepted: script.Milli(out[1])}, nil
	}
	if len(out) < 6 {
		return Check{}, fmt.Errorf("check account %s: %w", name, script.ErrAnswer)
	}
	return Check{Probe: out[0] == "probe", Reason: out[1], Until: script.Milli(out[2]), BalanceBefore: out[3],
		Refused: script.Int(out[4]), RefusedAt: script.Milli(out[5])}, nil
}

// checkArgs are the arguments of check.lua.
type checkArgs struct {
	ProbeLife time.Duration
	Bulk      bool
}
