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

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// Attempt identifies a submission at a gateway that can list what it has accepted, or sends
// delivery reports. Tuma keeps attempts by login. A message found at the gateway is compared with
// the attempts, to decide which attempt the message belongs to and whether Tuma knows it already.
//
// The order of the steps makes this safe. The worker adds the attempt before it sends the first
// byte of the call, records the ids of the messages before it settles the attempt, and removes the
// attempt after that. A worker that looks for a message reads the gateway's list first, then the
// attempts, then the ids. So it finds every message that another attempt sent among the attempts or
// among the ids.
type Attempt struct {
	Campaign, Batch  string
	Call, Generation int
	// At is the time of the claim by Redis' clock, in milliseconds.
	At time.Time
}

// AttemptLife is how long attempts that ended unknown are kept. Message ids are kept at least as
// long.
const AttemptLife = time.Hour

// sentSpan is the length of the time spans that message ids are grouped by, one Redis key each. A
// key expires when its newest id is no longer needed.
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
		return Attempt{}, campaign.ErrRecord
	}
	call, err1 := strconv.Atoi(f[2])
	gen, err2 := strconv.Atoi(f[3])
	if err1 != nil || err2 != nil || call < 0 || gen < 0 {
		return Attempt{}, campaign.ErrRecord
	}
	return Attempt{Campaign: f[0], Batch: f[1], Call: call, Generation: gen, At: at}, nil
}

// Attempt returns the attempt that the claim allows.
func (c *Claim) Attempt() Attempt {
	return Attempt{Campaign: c.id, Batch: c.batch, Call: c.gen.Call, Generation: c.gen.Number, At: c.At}
}

// BeginAttempt enters an attempt under a login. It must be called before the first byte of the
// call.
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

// EndAttempt removes an attempt. It is called when no outcome of the attempt is unknown any more.
func (l *Ledger) EndAttempt(ctx context.Context, login string, a Attempt) error {
	if err := l.rdb.ZRem(ctx, attemptsKey(login), a.member()).Err(); err != nil {
		return fmt.Errorf("end attempt %s %s: %w", a.Campaign, a.Batch, err)
	}
	return nil
}

// Attempts returns the attempts under a login that began between from and to, both included, and
// were not removed.
func (l *Ledger) Attempts(ctx context.Context, login string, from, to time.Time) ([]Attempt, error) {
	got, err := l.rdb.ZRangeByScoreWithScores(ctx, attemptsKey(login), &redis.ZRangeBy{
		Min: strconv.FormatInt(from.UnixMilli(), 10), Max: strconv.FormatInt(to.UnixMilli(), 10),
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

// AttemptTo returns the MSISDNs of the whole call that an attempt belongs to, including those of
// the attempt's generation. It returns nil if the campaign is gone.
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

// recipientsOf reads the recipients of an attempt's call and the segments of one of its messages.
// For a plain campaign it returns the segments given as plain.
func (l *Ledger) recipientsOf(ctx context.Context, a Attempt, plain int) (to []campaign.Planned, segments int, err error) {
	b, err := l.batch(ctx, a.Campaign, a.Batch)
	if u := AsUnreadable(err); u != nil {
		return nil, 0, fmt.Errorf("read batch %s of %s: %w", a.Batch, a.Campaign, u.Err) // not an Unreadable: the worker that loads the batch quarantines it
	}
	if err != nil {
		return nil, 0, err
	}
	if a.Call >= len(b.Calls) {
		return nil, 0, fmt.Errorf("read call %d of batch %s of %s: %w", a.Call, a.Batch, a.Campaign, campaign.ErrRecord)
	}
	return b.call(a.Call), b.segments(a.Call, plain), nil
}

// sentHash is how many bytes of a hash are kept of a message id. With 7 bytes, two ids of the same
// hour hardly ever have the same hash. If they do, a lookup takes the second message for a known
// one and does not find it.
const sentHash = 7

func hashID(id string) string {
	sum := sha256.Sum256([]byte(id))
	return string(sum[:sentHash])
}

// RecordMessageIDs records the gateway's ids of the messages of an attempt for at least the given
// time. It must be called before the attempt is settled. It works on a full Redis too.
func (l *Ledger) RecordMessageIDs(ctx context.Context, login string, a Attempt, ids []string, life time.Duration) error {
	if len(ids) == 0 {
		return nil
	}
	var b strings.Builder
	for _, id := range ids {
		b.WriteString(hashID(id))
	}
	_, err := l.scripts.Run(ctx, sentScript, []string{sentKey(login, a.At)}, script.Args(sentArgs{Hashes: b.String(), Life: life + 2*sentSpan})...)
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

// KnownMessageIDs returns a function that reports whether an id was recorded under the login by an
// attempt that began between from and to. Once in many millions it reports true for an id that was
// not recorded.
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

// Reconcile settles recipients as accepted because their messages were found at the gateway: found
// holds the message id of each recipient, by MSISDN. It works even if the attempt's generation has
// changed or ended since. Numbers that are not in the call change nothing. segments is the number
// of segments of a plain campaign's message. It returns ErrNotFound if the campaign is gone.
func (l *Ledger) Reconcile(ctx context.Context, a Attempt, found map[sms.MSISDN]string, segments, openBatchLimit int) (Settled, error) {
	to, segments, err := l.recipientsOf(ctx, a, segments)
	if err != nil {
		return Settled{}, fmt.Errorf("reconcile: %w", err)
	}
	g := &Generation{Call: a.Call, Number: a.Generation, CallSize: len(to)}
	var records []campaign.Record
	var positions []byte
	for p, x := range to {
		if id, ok := found[x.MSISDN]; ok {
			g.To = append(g.To, x)
			positions = binary.BigEndian.AppendUint16(positions, uint16(p))
			records = append(records, campaign.Record{Status: campaign.Accepted, MessageID: id, Reason: campaign.ReasonReconciled})
		}
	}
	if len(records) == 0 {
		return Settled{}, nil
	}
	g.positions = string(positions)
	c := &Claim{Token: script.NewToken(), id: a.Campaign, batch: a.Batch, gen: g, openBatchLimit: openBatchLimit}
	return l.Settle(ctx, c, records, campaign.SettleAnswer, segments, 0)
}

// Found returns the records of a doubtful generation after a lookup at the gateway: Accepted for
// the numbers in found, and Unknown with the reason why for all others.
func (g *Generation) Found(found map[sms.MSISDN]string, why string) []campaign.Record {
	out := slices.Repeat([]campaign.Record{{Status: campaign.Unknown, Reason: why}}, len(g.To))
	for i, p := range g.To {
		if id, ok := found[p.MSISDN]; ok {
			out[i] = campaign.Record{Status: campaign.Accepted, MessageID: id, Reason: campaign.ReasonReconciled}
		}
	}
	return out
}
