package inbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// forgetStep is how many messages Forget reads in one round trip.
const forgetStep = 1000

// Forget removes the messages that came from a phone number, and returns how many messages came from it. If the
// parameter "dry" is true, Forget removes nothing. Redis keeps the hash of a removed message for the same time as the
// hash of any other message. So if the gateway repeats a removed message, Take does not store it again.
func Forget(ctx context.Context, r *script.Runner, number sms.MSISDN, dry bool) (int, error) {
	b, after, n := New(r, 0, 0), "", 0
	for {
		page, err := b.Page(ctx, after, forgetStep)
		if errors.Is(err, ErrCut) {
			after = "" // the messages up to the cursor were removed meanwhile
			continue
		}
		if err != nil {
			return n, err
		}
		var gone []string
		for _, m := range page {
			after = m.Cursor
			if from, err := sms.ParseMSISDN(m.From, ""); err == nil && from == number || m.From == number.String() {
				gone = append(gone, m.Cursor)
			}
		}
		n += len(gone)
		if len(gone) > 0 && !dry {
			if err := b.rdb.XDel(ctx, streamKey, gone...).Err(); err != nil {
				return n, fmt.Errorf("remove messages from the inbox: %w", err)
			}
		}
		if len(page) < forgetStep {
			return n, nil
		}
	}
}
