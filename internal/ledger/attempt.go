package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/sms"
)

// Attempt names a submission at a gateway that can later be asked what it has taken, or
// tells it by itself. What is kept of attempts, by login, is what a message found there
// has to be held against: whose it can be, and whether anybody knows it already.
//
// The order is what makes it sound: an attempt is entered before its first byte, the
// ids of its messages are noted before it is settled, and it is taken out after that.
// So whoever reads, in this order, the gateway's list, the attempts, and the ids, finds
// a message of another attempt's in one of the two.
type Attempt struct {
	Campaign, Batch  string
	Call, Generation int
	// At is when it was claimed, by Redis' clock, to the millisecond.
	At time.Time
}

// AttemptLife is how long attempts that ended unknown are kept, and the ids of messages
// at least.
const AttemptLife = time.Hour

// sentSpan is how long ids are noted in the same key; a key lives as long as any of them.
const sentSpan = 10 * time.Minute

func attemptsKey(login string) string { return keyPrefix + "attempts:{" + login + "}" }

func sentKey(login string, at time.Time) string {
	return keyPrefix + "sent:{" + login + "}:" + strconv.FormatInt(at.UnixMilli()/sentSpan.Milliseconds(), 10)
}

func (a Attempt) member() string {
	return a.Campaign + " " + a.Batch + " " + strconv.Itoa(a.Call) + " " + strconv.Itoa(a.Generation)
}

func parseAttempt(member string, at time.Time) (Attempt, error) {
	f := strings.Fields(member)
	if len(f) != 4 {
		return Attempt{}, errRecord
	}
	call, err1 := strconv.Atoi(f[2])
	gen, err2 := strconv.Atoi(f[3])
	if err1 != nil || err2 != nil || call < 0 || gen < 0 {
		return Attempt{}, errRecord
	}
	return Attempt{Campaign: f[0], Batch: f[1], Call: call, Generation: gen, At: at}, nil
}

// Attempt is the submission that a claim was told to make.
func (c *Claim) Attempt() Attempt {
	return Attempt{Campaign: c.id, Batch: c.batch, Call: c.gen.Call, Generation: c.gen.Number, At: c.At}
}

// BeginAttempt enters an attempt under a login, before its first byte.
func (l *Ledger) BeginAttempt(ctx context.Context, login string, a Attempt) error {
	_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.ZAdd(ctx, attemptsKey(login), redis.Z{Score: float64(a.At.UnixMilli()), Member: a.member()})
		p.ZRemRangeByScore(ctx, attemptsKey(login), "-inf", strconv.FormatInt(a.At.Add(-AttemptLife).UnixMilli(), 10))
		p.PExpire(ctx, attemptsKey(login), AttemptLife)
		return nil
	})
	if err != nil {
		return fmt.Errorf("begin attempt %s %s: %w", a.Campaign, a.Batch, err)
	}
	return nil
}

// EndAttempt takes an attempt out: nothing of it is unknown.
func (l *Ledger) EndAttempt(ctx context.Context, login string, a Attempt) error {
	if err := l.rdb.ZRem(ctx, attemptsKey(login), a.member()).Err(); err != nil {
		return fmt.Errorf("end attempt %s %s: %w", a.Campaign, a.Batch, err)
	}
	return nil
}

// Attempts lists those under a login that began in a span of time and have not been
// taken out.
func (l *Ledger) Attempts(ctx context.Context, login string, from, to time.Time) ([]Attempt, error) {
	got, err := l.rdb.ZRangeByScoreWithScores(ctx, attemptsKey(login), &redis.ZRangeBy{
		Min: strconv.FormatInt(from.UnixMilli(), 10), Max: strconv.FormatInt(to.UnixMilli(), 10),
	}).Result()
	if err != nil {
		return nil, fmt.Errorf("attempts: %w", err)
	}
	out := make([]Attempt, len(got))
	for i, z := range got {
		member, _ := z.Member.(string)
		if out[i], err = parseAttempt(member, time.UnixMilli(int64(z.Score))); err != nil {
			return nil, fmt.Errorf("attempts: %w", err)
		}
	}
	return out, nil
}

// AttemptTo returns the numbers of the call that an attempt was made for; those of its
// generation are among them. None if the campaign is gone.
func (l *Ledger) AttemptTo(ctx context.Context, a Attempt) ([]sms.MSISDN, error) {
	to, _, err := l.recipientsOf(ctx, a, 0)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := make([]sms.MSISDN, len(to))
	for i, p := range to {
		out[i] = p.MSISDN
	}
	return out, nil
}

// callOf reads the recipients of the call that an attempt was made for, and the segments of
// its message; of a plain campaign's so many.
func (l *Ledger) recipientsOf(ctx context.Context, a Attempt, plain int) (to []Planned, segments int, err error) {
	b, err := l.batch(ctx, a.Campaign, a.Batch)
	if u := AsUnreadable(err); u != nil {
		return nil, 0, fmt.Errorf("batch %s of %s: %w", a.Batch, a.Campaign, u.Err) // for others to set aside
	}
	if err != nil {
		return nil, 0, err
	}
	if a.Call >= len(b.Calls) {
		return nil, 0, fmt.Errorf("call %d of batch %s of %s: %w", a.Call, a.Batch, a.Campaign, errRecord)
	}
	return b.call(a.Call), b.segments(a.Call, plain), nil
}

// sentHash is how an id is noted: in so many bytes that two ids of an hour are hardly
// ever taken for one; if they are, a message is not found that could have been.
const sentHash = 7

func hashID(id string) string {
	sum := sha256.Sum256([]byte(id))
	return string(sum[:sentHash])
}

// NoteSent notes the gateway's ids of the messages of an attempt, before it is settled,
// for so long. It finds room in a full Redis.
func (l *Ledger) RecordMessageIDs(ctx context.Context, login string, a Attempt, ids []string, life time.Duration) error {
	if len(ids) == 0 {
		return nil
	}
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(hashID(id))
	}
	_, err := l.evalStrings(ctx, sentScript, []string{sentKey(login, a.At)}, b.String(), (life + 2*sentSpan).Milliseconds())
	if err != nil {
		return fmt.Errorf("note ids of %s %s: %w", a.Campaign, a.Batch, err)
	}
	return nil
}

// Sent returns a function that says whether an id was noted under a login by an attempt
// that began in a span of time. It may say so, once in many millions, of one that was not.
func (l *Ledger) KnownMessageIDs(ctx context.Context, login string, from, to time.Time) (func(id string) bool, error) {
	var keys []string
	for at := from; ; at = at.Add(sentSpan) {
		if at.After(to) {
			at = to
		}
		if k := sentKey(login, at); len(keys) == 0 || keys[len(keys)-1] != k {
			keys = append(keys, k)
		}
		if at.Equal(to) || !at.Before(to) {
			break
		}
	}
	known := map[string]struct{}{}
	got, err := l.rdb.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, fmt.Errorf("read noted ids: %w", err)
	}
	for _, v := range got {
		for s := fieldString(v); len(s) >= sentHash; s = s[sentHash:] {
			known[s[:sentHash]] = struct{}{}
		}
	}
	return func(id string) bool {
		_, ok := known[hashID(id)]
		return ok
	}, nil
}

// Reconcile settles as accepted, whatever has become of the attempt's generation since,
// the recipients for whom a message was found at the gateway: its id by number. Numbers
// that are not the call's change nothing. segments are those of a plain campaign's
// message. ErrNotFound: the campaign is gone.
func (l *Ledger) Reconcile(ctx context.Context, a Attempt, found map[sms.MSISDN]string, segments, openBatchLimit int) (Settled, error) {
	to, segments, err := l.recipientsOf(ctx, a, segments)
	if err != nil {
		return Settled{}, fmt.Errorf("reconcile: %w", err)
	}
	g := &Generation{Call: a.Call, Number: a.Generation, CallSize: len(to)}
	var records []Record
	var positions []byte
	for p, x := range to {
		if id, ok := found[x.MSISDN]; ok {
			g.To = append(g.To, x)
			positions = binary.BigEndian.AppendUint16(positions, uint16(p))
			records = append(records, Record{Status: Accepted, MessageID: id, Reason: ReasonReconciled})
		}
	}
	if len(records) == 0 {
		return Settled{}, nil
	}
	g.positions = string(positions)
	c := &Claim{Token: NewToken(), id: a.Campaign, batch: a.Batch, gen: g, openBatchLimit: openBatchLimit}
	return l.Settle(ctx, c, records, SettleAnswer, segments, 0)
}

// Found turns what was found for a doubtful generation into its records: who is not
// among it is Unknown, for a reason.
func (g *Generation) Found(found map[sms.MSISDN]string, why string) []Record {
	out := slices.Repeat([]Record{{Status: Unknown, Reason: why}}, len(g.To))
	for i, p := range g.To {
		if id, ok := found[p.MSISDN]; ok {
			out[i] = Record{Status: Accepted, MessageID: id, Reason: ReasonReconciled}
		}
	}
	return out
}
