// Package attempts stores attempts and message ids in Redis, by login. An attempt is a call that
// a gateway may have taken. Tuma compares each message that it finds at the gateway with these
// attempts and ids.
package attempts

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// Index reads and writes the attempts in one Redis. It is safe for concurrent use.
type Index struct {
	rdb     redis.UniversalClient
	scripts *script.Runner
}

// New returns the Index in the Redis of a Runner.
func New(r *script.Runner) *Index { return &Index{rdb: r.Redis(), scripts: r} }

// Attempt identifies a submission at a gateway that can list accepted messages or sends delivery
// reports. Tuma stores attempts by login. If Tuma finds a message at the gateway, it compares the
// message with the attempts. This shows to which attempt the message belongs, and whether Tuma
// already has the message.
//
// The order of the steps makes this safe. The worker adds the attempt before it sends the first
// byte of the call. It records the ids of the messages before it settles the attempt, and removes
// the attempt after the settle. A worker that searches for a message reads the gateway's list
// first, then the attempts, and then the ids. So for each message of another attempt in the list,
// the worker finds either that attempt or the id of the message.
type Attempt struct {
	Campaign, Batch  string
	Call, Generation int
	// At is the time of the claim by Redis' clock, in milliseconds.
	At time.Time
}

// Life is how long attempts that ended unknown are kept. Message ids are kept at least as
// long.
const Life = time.Hour

// sentSpan is the length of the time spans by which message ids are grouped. Each span has one key
// in Redis. The key expires when none of its ids is needed any more.
const sentSpan = 10 * time.Minute

func attemptsKey(login string) string { return script.KeyPrefix + "attempts:{" + login + "}" }

func sentKey(login string, at time.Time) string {
	return script.KeyPrefix + "sent:{" + login + "}:" + strconv.FormatInt(at.UnixMilli()/sentSpan.Milliseconds(), 10)
}

func (a Attempt) member() string {
	return a.Campaign + " " + a.Batch + " " + strconv.Itoa(a.Call) + " " + strconv.Itoa(a.Generation)
}

func parseAttempt(member string, at time.Time) (Attempt, error) {
	f := strings.Fields(member)
	if len(f) != 4 {
		return Attempt{}, campaign.ErrRecord
	}
	call, err1 := strconv.Atoi(f[2])
	gen, err2 := strconv.Atoi(f[3])
	if err1 != nil || err2 != nil || call < 0 || gen < 0 {
		return Attempt{}, campaign.ErrRecord
	}
	return Attempt{Campaign: f[0], Batch: f[1], Call: call, Generation: gen, At: at}, nil
}

// Begin stores an attempt under a login. The worker must call Begin before it sends the first byte
// of the call.
func (x *Index) Begin(ctx context.Context, login string, a Attempt) error {
	_, err := x.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, attemptsKey(login), redis.Z{Score: float64(a.At.UnixMilli()), Member: a.member()})
		p.ZRemRangeByScore(ctx, attemptsKey(login), "-inf", strconv.FormatInt(a.At.Add(-Life).UnixMilli(), 10))
		p.PExpire(ctx, attemptsKey(login), Life)
		return nil
	})
	if err != nil {
		return fmt.Errorf("begin attempt %s %s: %w", a.Campaign, a.Batch, err)
	}
	return nil
}

// End removes an attempt. The worker calls End when no outcome of the attempt is unknown any more.
func (x *Index) End(ctx context.Context, login string, a Attempt) error {
	if err := x.rdb.ZRem(ctx, attemptsKey(login), a.member()).Err(); err != nil {
		return fmt.Errorf("end attempt %s %s: %w", a.Campaign, a.Batch, err)
	}
	return nil
}

// Between returns the attempts under a login that began in the time from start to end, both
// included. It does not return attempts that End has removed.
func (x *Index) Between(ctx context.Context, login string, start, end time.Time) ([]Attempt, error) {
	got, err := x.rdb.ZRangeByScoreWithScores(ctx, attemptsKey(login), &redis.ZRangeBy{
		Min: strconv.FormatInt(start.UnixMilli(), 10), Max: strconv.FormatInt(end.UnixMilli(), 10),
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("list attempts: %w", err)
	}
	out := make([]Attempt, len(got))
	for i, z := range got {
		member, _ := z.Member.(string)
		if out[i], err = parseAttempt(member, time.UnixMilli(int64(z.Score))); err != nil {
			return nil, fmt.Errorf("list attempts: %w", err)
		}
	}
	return out, nil
}
