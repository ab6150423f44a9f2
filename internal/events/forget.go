package events

import (
	"context"
	"errors"
	"fmt"

	"github.com/tuma-sms/tuma/internal/script"
)

// forgetStep is how many events Forget reads in one round trip.
const forgetStep = 1000

// Forget removes the events that contain a number, and returns how many events contain it. The parameter "number" has
// digits only. If the parameter "dry" is true, Forget removes nothing.
func Forget(ctx context.Context, r *script.Runner, number string, dry bool) (int, error) {
	s, after, n := New(r, 0), "", 0
	for {
		page, err := s.Page(ctx, after, forgetStep)
		if l, lost := errors.AsType[*LostError](err); lost {
			after = l.Next // the events up to this cursor were removed meanwhile
			continue
		}
		if err != nil {
			return n, err
		}
		var gone []string
		for _, e := range page {
			after = e.Cursor
			if e.From == number || e.From == "+"+number || e.Number == number {
				gone = append(gone, e.Cursor)
			}
		}
		n += len(gone)
		if len(gone) > 0 && !dry {
			if err := s.rdb.XDel(ctx, streamKey, gone...).Err(); err != nil {
				return n, fmt.Errorf("remove events: %w", err)
			}
		}
		if len(page) < forgetStep {
			return n, nil
		}
	}
}
