package ledger

import (
	"context"
	"errors"
	"fmt"
	"strconv"
)

// InFlight is what of a campaign is with the gateways at a moment.
type InFlight struct {
	// Calls hold a claim: they may still write.
	Calls int `json:"calls"`
	// Recipients wait for those calls, or for doubtful ones.
	Recipients int `json:"recipients"`
}

// Pause stops new claims; by is one word, who or why. Once it returns, no call
// that was not claimed before is submitted. ErrDone and ErrStopped change nothing.
func (l *Ledger) Pause(ctx context.Context, id, by string) (InFlight, error) {
	return l.control(ctx, id, "pause", by)
}

// Resume takes a pause back, and tries what was set aside again.
func (l *Ledger) Resume(ctx context.Context, id, by string) (InFlight, error) {
	return l.control(ctx, id, "resume", by)
}

// Cancel skips all recipients that no call has been claimed for.
func (l *Ledger) Cancel(ctx context.Context, id, by string) (InFlight, error) {
	return l.control(ctx, id, "cancel", by)
}

func (l *Ledger) control(ctx context.Context, id, order, by string) (InFlight, error) {
	out, err := l.run(ctx, controlScript, id, []string{quarantineKey(id), quarantineWorkKey(id)}, NewToken(), order, by)
	if errors.Is(err, ErrNotFound) {
		return InFlight{}, fmt.Errorf("%s %s: %w", order, id, ErrNotFound)
	}
	if err != nil {
		return InFlight{}, err
	}
	if len(out) < 3 {
		return InFlight{}, errAnswer
	}
	calls, err1 := strconv.Atoi(out[1])
	recipients, err2 := strconv.Atoi(out[2])
	if err1 != nil || err2 != nil {
		return InFlight{}, errAnswer
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
