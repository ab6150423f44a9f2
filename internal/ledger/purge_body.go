package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/script"
)

// ErrPurged means that the text of a message, or a number of a campaign, was deleted after the end of its
// campaign. So the campaign cannot be sent again.
var ErrPurged = errors.New("the text or a number of the campaign was deleted after its end")

// PurgeBody deletes the text of a plain campaign that has ended. The outcomes of all its recipients
// must be known. The spec keeps the number of segments of the text. The result "purged" is false if
// PurgeBody deleted nothing: the campaign does not exist, has not ended, has a recipient with an
// unknown outcome, or has no text any more.
func PurgeBody(ctx context.Context, l *Ledger, id string) (purged bool, err error) {
	before, err := l.rdb.Get(ctx, specKey(id)).Bytes()
	if errors.Is(err, redis.Nil) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("delete the text of %s: %w", id, err)
	}
	spec, err := decodeSpec(before)
	if err != nil || spec.Purged > 0 || spec.Personalized() {
		return false, err
	}
	spec.Purged, spec.Body = max(1, spec.Segments()), ""
	after, err := encodeSpec(spec)
	if err != nil {
		return false, err
	}
	out, err := l.run(ctx, purgeBodyScript, id, []string{specKey(id)}, script.Args(purgeBodyArgs{Before: before, After: after})...)
	if err != nil {
		if errors.Is(err, ErrNotFound) {
			return false, nil
		}
		return false, err
	}
	return out[0] == "purged", nil
}

// purgeBodyArgs are the arguments of purge_body.lua.
type purgeBodyArgs struct{ Before, After []byte }
