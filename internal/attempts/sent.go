package attempts

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

//go:embed sent.lua
var sentSource string

// sentScript runs even when Redis has reached maxmemory, because the ids must be stored before the
// attempt is settled.
var sentScript = script.NewAlwaysAllowed("sent", sentSource)

// sentHash is the number of bytes that Tuma stores of the hash of a message id. With 7 bytes, two
// ids of the same hour hardly ever have the same hash. If they do, a lookup takes the second
// message for a known message and ignores it.
const sentHash = 7

func hashID(id string) string {
	sum := sha256.Sum256([]byte(id))
	return string(sum[:sentHash])
}

// RecordMessageIDs stores the gateway's ids of an attempt's messages for at least the duration
// "life". The worker must call it before it settles the attempt. The call succeeds even when
// Redis has reached maxmemory.
func (x *Index) RecordMessageIDs(ctx context.Context, login string, a Attempt, ids []string, life time.Duration) error {
	if len(ids) == 0 {
		return nil
	}
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(hashID(id))
	}
	_, err := x.scripts.Run(ctx, sentScript, []string{sentKey(login, a.At)}, script.Args(sentArgs{Hashes: b.String(), Life: life + 2*sentSpan})...)
	if err != nil {
		return fmt.Errorf("record message ids of %s %s: %w", a.Campaign, a.Batch, err)
	}
	return nil
}

// sentArgs are the arguments of sent.lua.
type sentArgs struct {
	Hashes string
	Life   time.Duration
}

// KnownMessageIDs returns a function that reports whether an id was recorded under the login. It
// considers only attempts that began between the times "start" and "end". For about
// one in many millions of ids, the function returns true although the id was not recorded.
func (x *Index) KnownMessageIDs(ctx context.Context, login string, start, end time.Time) (func(id string) bool, error) {
	var keys []string
	for at := start; ; at = at.Add(sentSpan) {
		if at.After(end) {
			at = end
		}
		if k := sentKey(login, at); len(keys) == 0 || keys[len(keys)-1] != k {
			keys = append(keys, k)
		}
		if at.Equal(end) || !at.Before(end) {
			break
		}
	}
	known := map[string]struct{}{}
	got, err := x.rdb.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, fmt.Errorf("read message ids: %w", err)
	}
	for _, v := range got {
		for s := script.Text(v); len(s) >= sentHash; s = s[sentHash:] {
			known[s[:sentHash]] = struct{}{}
		}
	}
	return func(id string) bool {
		_, ok := known[hashID(id)]
		return ok
	}, nil
}
