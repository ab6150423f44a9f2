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

// Forget removes the messages that came from a number, and returns how many there are. If dry is set, it changes nothing.
// The hashes of these messages stay as long as the hashes of other messages. So Take does not store a message again that
// the gateway repeats.
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
