package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/tuma-sms/tuma/internal/script"
)

// InFlight is the part of a campaign that is at the gateways now.
type InFlight struct {
	// Calls is the number of calls that hold a claim. They may still write to a gateway.
	Calls int `json:"calls"`
	// Recipients is the number of recipients of these calls and of doubtful calls.
	Recipients int `json:"recipients"`
}

// Pause stops new claims. orderer is one word that Redis stores: the name of the operator, or a
// reason. Calls that were claimed before Pause returned may still be submitted. For a campaign that
// has ended, Pause changes nothing and returns ErrDone or ErrStopped.
func (l *Ledger) Pause(ctx context.Context, id, orderer string) (InFlight, error) {
	return l.control(ctx, id, "pause", orderer)
}

// Resume ends a pause, and opens quarantined work again.
func (l *Ledger) Resume(ctx context.Context, id, orderer string) (InFlight, error) {
	return l.control(ctx, id, "resume", orderer)
}

// Cancel ends a campaign early. It skips all recipients that are not in flight.
func (l *Ledger) Cancel(ctx context.Context, id, orderer string) (InFlight, error) {
	return l.control(ctx, id, "cancel", orderer)
}

func (l *Ledger) control(ctx context.Context, id, order, orderer string) (InFlight, error) {
	out, err := l.run(ctx, controlScript, id, []string{quarantineKey(id), quarantineWorkKey(id)}, script.Args(controlArgs{Token: script.NewToken(), Order: order, By: orderer})...)
	if errors.Is(err, ErrNotFound) {
		return InFlight{}, fmt.Errorf("%s %s: %w", order, id, ErrNotFound)
	}
	if err != nil {
		return InFlight{}, err
	}
	if len(out) < 3 {
		return InFlight{}, script.ErrAnswer
	}
	calls, err1 := strconv.Atoi(out[1])
	recipients, err2 := strconv.Atoi(out[2])
	if err1 != nil || err2 != nil {
		return InFlight{}, script.ErrAnswer
	}
	f := InFlight{Calls: calls, Recipients: recipients}
	switch out[0] {
	case "done":
		return f, fmt.Errorf("%s %s: %w", order, id, ErrDone)
	case "cancelled":
		return f, fmt.Errorf("%s %s: %w", order, id, ErrStopped)
	}
	return f, nil
}

// controlArgs are the arguments of control.lua.
type controlArgs struct {
	Token, Order, By string
}
