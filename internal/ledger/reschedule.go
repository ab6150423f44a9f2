package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

// ErrBegun means that the campaign has begun, so its start cannot be moved.
var ErrBegun = errors.New("the campaign has begun")

// ErrExpiresFirst means that the campaign would expire before its new start.
var ErrExpiresFirst = errors.New("the campaign would expire before it starts")

// Reschedule moves the start of a campaign that has not begun. If startAt is in the past by
// Redis' clock, the campaign starts now. If the expiry was given as a duration, the expiry moves
// too. Reschedule returns the number of the last wake of planning. If it returns ErrBegun,
// ErrExpiresFirst, ErrStopped or ErrDone, it has changed nothing.
func (l *Ledger) Reschedule(ctx context.Context, id string, startAt time.Time) (wake int, err error) {
	spec, err := l.Spec(ctx, id)
	if err != nil {
		return 0, err
	}
	out, err := l.run(ctx, rescheduleScript, id, nil, script.Args(rescheduleArgs{Token: script.NewToken(), StartAt: startAt, ExpiresIn: spec.ExpiresIn})...)
	if err != nil {
		return 0, err
	}
	switch out[0] {
	case "begun":
		err = ErrBegun
	case "expired":
		err = ErrExpiresFirst
	case "cancelled":
		err = ErrStopped
	case "done":
		err = ErrDone
	default:
		if len(out) < 2 {
			return 0, script.ErrAnswer
		}
		if wake, err = strconv.Atoi(out[1]); err != nil {
			return 0, script.ErrAnswer
		}
		return wake, nil
	}
	return 0, fmt.Errorf("reschedule %s: %w", id, err)
}

// rescheduleArgs are the arguments of reschedule.lua.
type rescheduleArgs struct {
	Token     string
	StartAt   time.Time
	ExpiresIn time.Duration
}
