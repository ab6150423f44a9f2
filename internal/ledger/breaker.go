package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/providers"
)

// AccountCheck is the answer of CheckAccount.
type AccountCheck struct {
	// Open: the account may be used. Probe: the time of the account's hold is over, and only this
	// caller may probe the account. If Open and Probe are both false, the account is held.
	Open, Probe bool
	Reason      string
	Until       time.Time
	// BalanceBefore is the balance that was known when the account was held.
	BalanceBefore string
	// Refused is the number of segments of the last call that was refused for lack of credit at the
	// balance BalanceBefore; 0: no call was. RefusedAt is the time of that refusal.
	Refused   int
	RefusedAt time.Time
	// LastAccepted is when the gateway last accepted a message.
	LastAccepted time.Time
}

// CheckAccount reports whether an account may be used now. probeFor is how long a probe may take
// before another caller gets the next one.
func (l *Ledger) CheckAccount(ctx context.Context, name string, probeFor time.Duration) (AccountCheck, error) {
	out, err := l.scripts.Run(ctx, accountCheckScript, []string{accountKey(name)}, script.Args(accountCheckArgs{ProbeLife: probeFor})...)
	if err != nil {
		return AccountCheck{}, fmt.Errorf("check account %s: %w", name, err)
	}
	if out[0] == "open" && len(out) > 1 {
		return AccountCheck{Open: true, LastAccepted: script.Milli(out[1])}, nil
	}
	if len(out) < 6 {
		return AccountCheck{}, fmt.Errorf("check account %s: %w", name, script.ErrAnswer)
	}
	return AccountCheck{Probe: out[0] == "probe", Reason: out[1], Until: script.Milli(out[2]), BalanceBefore: out[3],
		Refused: script.Int(out[4]), RefusedAt: script.Milli(out[5])}, nil
}

// Back-off of an automatic hold. It doubles each time the account is held again.
const (
	holdFirst   = 2 * time.Second
	holdLongest = 5 * time.Minute
	// creditLongest is the longest back-off of a hold for lack of credit where the balance can be
	// read. Reading the balance costs no call, and Tuma should notice a top-up soon.
	creditLongest = 30 * time.Second
)

// CallReport describes one call or probe, or several calls that succeeded.
type CallReport struct {
	Outcome campaign.CallOutcome
	// Claimed is when the call was claimed; zero: the report is about a probe made just now.
	Claimed time.Time
	// Reason is one of Tuma's reason words, Code the gateway's code.
	Reason, Code string
	// Balance is the known balance if the account is held for lack of credit, or empty.
	Balance string
	// Size is the number of segments of a call that was refused for lack of credit. It is 0 if only
	// the balance was read, or for any other outcome.
	Size int
	// Jitter is a random number from 0 to 1, used for the back-off.
	Jitter float64
	// Calls is how many successful calls are reported at once; Claimed is then the claim of the
	// last one. 0 means 1.
	Calls int
}

// ReportCall records the outcome of a call for its account. It returns the account's hold, or the
// zero Hold if there is none.
func (l *Ledger) ReportCall(ctx context.Context, name string, r CallReport) (Hold, error) {
	longest := holdLongest
	if r.Reason == string(providers.CauseCredit) && r.Balance != "" {
		longest = creditLongest
	}
	out, err := l.scripts.Run(ctx, breakerScript, []string{accountKey(name)}, script.Args(breakerArgs{
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

// HoldAccount holds an account by hand until ReleaseAccount. by is the name of the person or
// program. It returns ErrNoAccount for an unknown account.
func (l *Ledger) HoldAccount(ctx context.Context, name, reason, by string) error {
	if _, err := l.Account(ctx, name); err != nil {
		return err
	}
	if _, err := l.scripts.Run(ctx, accountHoldScript, []string{accountKey(name)}, script.Args(accountHoldArgs{Reason: reason, By: by})...); err != nil {
		return fmt.Errorf("hold account %s: %w", name, err)
	}
	return nil
}

// ReleaseAccount lifts any hold. It reports whether the account was held.
func (l *Ledger) ReleaseAccount(ctx context.Context, name string) (bool, error) {
	if _, err := l.Account(ctx, name); err != nil {
		return false, err
	}
	out, err := l.scripts.Run(ctx, accountReleaseScript, []string{accountKey(name)})
	if err != nil {
		return false, fmt.Errorf("release account %s: %w", name, err)
	}
	return out[0] == "released", nil
}

// accountCheckArgs are the arguments of account_check.lua.
type accountCheckArgs struct{ ProbeLife time.Duration }

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

// accountHoldArgs are the arguments of account_hold.lua.
type accountHoldArgs struct{ Reason, By string }
