package tracking

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
)

var (
	//go:embed note.lua
	noteSource string
	//go:embed place.lua
	placeSource string
	//go:embed enter.lua
	enterSource string
)

// These scripts run even when Redis has reached maxmemory. note.lua must run then, because the IDs of a call
// must be stored before the call is settled. place.lua and enter.lua free memory: they move IDs into the
// index, where an ID takes less memory than in the note of its call.
var (
	noteScript  = script.NewAlwaysAllowed("note", noteSource)
	placeScript = script.NewAlwaysAllowed("place", placeSource)
	enterScript = script.NewAlwaysAllowed("enter", enterSource)
)

// loginsKey is the set of the logins that have an index.
const loginsKey = script.KeyPrefix + "dlr"

// listEvery is the time after which a process adds a login to the set loginsKey again, because Redis
// may have lost the entry.
const listEvery = time.Minute

func segmentsKey(login string) string { return loginsKey + ":{" + login + "}" }

func bucketKey(login string, segment, bucket int) string {
	return segmentsKey(login) + ":" + strconv.Itoa(segment) + ":" + strconv.Itoa(bucket)
}

func tableKey(login string, segment int) string {
	return segmentsKey(login) + ":" + strconv.Itoa(segment) + ":t"
}

// Index finds the recipient of a message by the gateway's ID. It stores only about six bytes for
// each message. So it may return several places for an ID, and the caller must compare the ID
// with the record at each place. It is safe for concurrent use.
type Index struct {
	rdb     redis.UniversalClient
	scripts *script.Runner
	// listed holds, for each login, the time at which this process last added the login to the set
	// of logins.
	listed sync.Map
}

// NewIndex returns the Index in the Redis of a Runner.
func NewIndex(r *script.Runner) *Index { return &Index{rdb: r.Redis(), scripts: r} }

// Place is where the recipient of a message may be: a batch and a position in the batch.
type Place struct {
	ledger.BatchRef
	Position int
}

// Sent has the messages of one batch that a gateway has accepted. BatchSize is the number of
// recipients of the batch, and Total is the number of recipients of the campaign. Positions are the
// positions of the messages in the batch, in the order of IDs.
type Sent struct {
	ledger.BatchRef
	BatchSize, Total int
	IDs              []string
	Positions        []int
}

// noteArgs, placeArgs, placedArgs and enterArgs are the arguments of note.lua, place.lua and enter.lua.
type noteArgs struct {
	Most  int
	Token string
	Note  []byte
	Life  time.Duration
}

type placeArgs struct{ Life time.Duration }

type placedArgs struct {
	Batch               string
	BatchSize, Expected int
}

type enterArgs struct {
	Segment int
	Members []byte
}

// fingerprint is the hash of an ID. The number of its bucket is "hash" modulo the number of buckets.
// The field "bits" has the ten bits that a bucket stores.
type fingerprint struct {
	hash uint32
	bits uint16
}

func fingerprintOf(id string) fingerprint {
	sum := sha256.Sum256([]byte(id))
	return fingerprint{binary.BigEndian.Uint32(sum[:]), binary.BigEndian.Uint16(sum[4:]) & (1<<10 - 1)}
}

// member returns the name of a batch in the table of a segment.
func member(r ledger.BatchRef) string { return r.Campaign + " " + r.Name + " " + r.Upload }

// parseMember reads what member wrote.
func parseMember(text string) (r ledger.BatchRef, ok bool) {
	words := strings.SplitN(text, " ", 3)
	if len(words) != 3 {
		return r, false
	}
	return ledger.BatchRef{Campaign: words[0], Upload: words[2], Name: words[1]}, true
}

// segment is one segment of an index.
type segment struct {
	number, buckets int
	until           time.Time
}

// segments reads the segments of a login.
func (x *Index) segments(ctx context.Context, login string) ([]segment, error) {
	all, err := x.rdb.HGetAll(ctx, segmentsKey(login)).Result()
	if err != nil {
		return nil, err
	}
	var out []segment
	for field, value := range all {
		digits, ok := strings.CutPrefix(field, "s")
		words := strings.Fields(value)
		if number, err := strconv.Atoi(digits); ok && err == nil && len(words) == 4 && script.Int(words[0]) > 0 {
			out = append(out, segment{number, script.Int(words[0]), script.Milli(words[3])})
		}
	}
	return out, nil
}

// Find returns the places of each message ID, in the order of ids. An ID rarely has several
// places, and at most one of them is right. An ID that was not entered has no place, or rarely a
// wrong place.
func (x *Index) Find(ctx context.Context, login string, ids []string) ([][]Place, error) {
	out := make([][]Place, len(ids))
	segments, err := x.segments(ctx, login)
	if err != nil {
		return nil, fmt.Errorf("find message ids: %w", err)
	}
	if len(segments) == 0 || len(ids) == 0 {
		return out, nil
	}
	prints := make([]fingerprint, len(ids))
	sets := make([]*redis.StringSliceCmd, 0, len(ids)*len(segments))
	_, err = x.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, id := range ids {
			prints[i] = fingerprintOf(id)
			for _, s := range segments {
				sets = append(sets, p.SMembers(ctx, bucketKey(login, s.number, int(prints[i].hash%uint32(s.buckets)))))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find message ids: %w", err)
	}
	return out, x.addPlaces(ctx, login, out, candidates(prints, segments, sets))
}

// candidate is a member of a bucket. The member has the same fingerprint bits as a message ID. The
// field "of" is the index of this message ID.
type candidate struct{ of, segment, place int }

// candidates returns each member that has the fingerprint bits of its set's message ID. Such a member may
// belong to this ID. Each set in "sets" was read for one message ID.
func candidates(prints []fingerprint, segments []segment, sets []*redis.StringSliceCmd) (out []candidate) {
	for i, set := range sets {
		of := i / len(segments)
		for _, member := range set.Val() {
			number, err := strconv.ParseInt(member, 10, 32)
			if v := uint32(number + 1<<31); err == nil && uint16(v>>22) == prints[of].bits {
				out = append(out, candidate{of, segments[i%len(segments)].number, int(v & (1<<22 - 1))})
			}
		}
	}
	return out
}

// addPlaces adds the place of each candidate to the list "out".
func (x *Index) addPlaces(ctx context.Context, login string, out [][]Place, list []candidate) error {
	if len(list) == 0 {
		return nil
	}
	rows := make([]*redis.ZSliceCmd, len(list))
	_, err := x.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, c := range list {
			rows[i] = p.ZRevRangeByScoreWithScores(ctx, tableKey(login, c.segment), &redis.ZRangeBy{Min: "-inf", Max: strconv.Itoa(c.place), Count: 1})
		}
		return nil
	})
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("find message ids: %w", err)
	}
	for i, c := range list {
		if z := rows[i].Val(); len(z) == 1 {
			text, _ := z[0].Member.(string)
			if ref, ok := parseMember(text); ok {
				out[c.of] = append(out[c.of], Place{ref, c.place - int(z[0].Score)})
			}
		}
	}
	return nil
}

// removeAtOnce is how many buckets one command removes.
const removeAtOnce = 1000

// Expire removes the segments whose time is over by Redis' clock, from the indexes of all logins. The
// names of a segment's keys can be computed, so Expire need not scan for keys. It is safe to run
// Expire again, or in several processes.
func (x *Index) Expire(ctx context.Context) error {
	logins, err := x.rdb.SMembers(ctx, loginsKey).Result()
	if err != nil || len(logins) == 0 {
		return wrapExpire(err)
	}
	now, err := x.scripts.Now(ctx)
	if err != nil {
		return wrapExpire(err)
	}
	for _, login := range logins {
		segments, err := x.segments(ctx, login)
		if err != nil {
			return wrapExpire(err)
		}
		for _, s := range segments {
			if now.Before(s.until) {
				continue
			}
			if err := x.remove(ctx, login, s); err != nil {
				return wrapExpire(err)
			}
		}
	}
	return nil
}

func wrapExpire(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("expire message ids: %w", err)
}

// The method "remove" removes a segment. It removes the segment's field in the hash last. So if the
// removal is interrupted, Expire repeats it. The script note.lua does not add to a segment whose
// time is over.
func (x *Index) remove(ctx context.Context, login string, s segment) error {
	for from := 0; from < s.buckets; from += removeAtOnce {
		keys := make([]string, 0, removeAtOnce)
		for b := from; b < min(from+removeAtOnce, s.buckets); b++ {
			keys = append(keys, bucketKey(login, s.number, b))
		}
		if err := x.rdb.Unlink(ctx, keys...).Err(); err != nil {
			return err
		}
	}
	if err := x.rdb.Unlink(ctx, tableKey(login, s.number)).Err(); err != nil {
		return err
	}
	return x.rdb.HDel(ctx, segmentsKey(login), "s"+strconv.Itoa(s.number)).Err()
}
