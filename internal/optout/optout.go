package optout

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// The suppression lists share one hash tag:
//
// 	tuma:{optout}:m        data of all lists: the field n:LIST is the count of numbers on LIST; o:ORIGIN is the number of
// 	                       an origin; i:N is the origin with the number N; "origins" is the number for the next new
// 	                       origin; "last" is the token and the result of the last change
// 	tuma:{optout}:LIST:B   bucket B of a list: its numbers whose remainder is B when divided by the number of buckets
//
// In a bucket, the field is the quotient of the number. The value has the time of the entry (minutes since 2020) and
// its origin in one integer. Redis stores a hash of small integers as a listpack. That takes eleven to twelve bytes an
// entry, and a plain set would take 48.

// buckets is the number of buckets of a list. In a list of 10,000,000 numbers, each bucket has
// 76 entries. In a list of up to 50,000,000 numbers, a bucket has at most 512 entries. This is
// the maximum for which Redis stores a hash compactly.
const buckets = 1 << 17

// The fixed origins of an opt-out. The origin of a gateway's answer is "gateway:ACCOUNT:CODE".
const (
	OriginHand    = "hand"
	OriginImport  = "import"
	OriginKeyword = "keyword"
	OriginGateway = "gateway"
)

// An origin that is not one of the constants above gets a number from firstOrigin to lastOrigin, in order. When all these numbers
// are in use, every new origin is stored as "gateway".
const (
	firstOrigin = 8
	lastOrigin  = 63
)

var fixedOrigins = map[string]int{"": 0, OriginHand: 1, OriginImport: 2, OriginKeyword: 3, OriginGateway: 4}

// ErrSender means that a suppression list cannot have this name.
var ErrSender = errors.New("not a valid sender ID: it must have 1 to 16 letters, digits, spaces or . - _ &")

var listPattern = regexp.MustCompile(`^[A-Z0-9 ._&-]{1,16}$`)

// ListOf returns the name of the suppression list of a sender ID. Case and a leading plus sign
// do not matter. For an empty sender it returns AllSenders.
func ListOf(sender string) (string, error) {
	s := strings.ToUpper(strings.TrimPrefix(strings.TrimSpace(sender), "+"))
	if s == "" || s == campaign.AllSenders {
		return campaign.AllSenders, nil
	}
	if !listPattern.MatchString(s) {
		return "", fmt.Errorf("suppression list %.40q: %w", sender, ErrSender)
	}
	return s, nil
}

// Entry is an entry of a suppression list.
type Entry struct {
	MSISDN sms.MSISDN
	// List is AllSenders or the list of a sender.
	List string
	// Origin is hand, import, keyword or gateway:ACCOUNT:CODE. It is empty if the origin is not known.
	Origin string
	// At is the time at which the number was added to the list, to the minute.
	At time.Time
}

const keyPrefix = script.KeyPrefix + "{optout}:"

// metaKey is the Redis key of the hash with the data of all suppression lists.
const metaKey = keyPrefix + "m"

func bucketKey(list string, bucket int) string {
	return keyPrefix + list + ":" + strconv.Itoa(bucket)
}

// place returns the key of the bucket that holds a number, and the number's field in it.
func place(list string, m sms.MSISDN) (key, field string) {
	return bucketKey(list, int(m%buckets)), strconv.FormatUint(uint64(m/buckets), 10)
}

// epoch is the time from which the minutes in entries are counted.
var epoch = time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)

func valueOf(origin int, at time.Time) int64 {
	return max(0, int64(at.Sub(epoch)/time.Minute))*(lastOrigin+1) + int64(origin)
}

// Chunk is the maximum number of numbers that one script adds or removes.
const Chunk = 1000

// Counts returns how many numbers are on each list that is not empty.
func (l *Lists) Counts(ctx context.Context) (map[string]int, error) {
	all, err := l.rdb.HGetAll(ctx, metaKey).Result()
	if err != nil {
		return nil, fmt.Errorf("count opt-outs: %w", err)
	}
	out := map[string]int{}
	for f, v := range all {
		if list, ok := strings.CutPrefix(f, "n:"); ok && script.Int(v) > 0 {
			out[list] = script.Int(v)
		}
	}
	return out, nil
}

// NotEmpty returns the given lists, except empty lists. It takes one round trip.
func (l *Lists) NotEmpty(ctx context.Context, lists []string) ([]string, error) {
	fields := make([]string, len(lists))
	for i, list := range lists {
		fields[i] = "n:" + list
	}
	got, err := l.rdb.HMGet(ctx, metaKey, fields...).Result()
	if err != nil {
		return nil, fmt.Errorf("count opt-outs: %w", err)
	}
	var out []string
	for i, v := range got {
		if script.Int(v) > 0 {
			out = append(out, lists[i])
		}
	}
	return out, nil
}

// Find returns the suppressed numbers among the given numbers, each with the first list that
// contains the number. The numbers are from one page or batch. If no lists are given, Find sends
// nothing to Redis.
func (l *Lists) Find(ctx context.Context, lists []string, numbers []sms.MSISDN) (map[sms.MSISDN]string, error) {
	if len(lists) == 0 || len(numbers) == 0 {
		return nil, nil
	}
	answers := make([]*redis.BoolCmd, 0, len(lists)*len(numbers))
	_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, list := range lists {
			for _, m := range numbers {
				key, field := place(list, m)
				answers = append(answers, p.HExists(ctx, key, field))
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read opt-outs: %w", err)
	}
	var out map[sms.MSISDN]string
	for i, a := range answers {
		if !a.Val() {
			continue
		}
		if out == nil {
			out = map[sms.MSISDN]string{}
		}
		if m := numbers[i%len(numbers)]; out[m] == "" {
			out[m] = lists[i/len(numbers)]
		}
	}
	return out, nil
}

// EntriesOf returns the entries of a number on all suppression lists.
func (l *Lists) EntriesOf(ctx context.Context, m sms.MSISDN) ([]Entry, error) {
	all, err := l.rdb.HGetAll(ctx, metaKey).Result()
	if err != nil {
		return nil, fmt.Errorf("read opt-outs: %w", err)
	}
	counts, err := l.Counts(ctx)
	if err != nil {
		return nil, err
	}
	var out []Entry
	for list := range counts {
		key, field := place(list, m)
		v, err := l.rdb.HGet(ctx, key, field).Result()
		if errors.Is(err, redis.Nil) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read opt-outs: %w", err)
		}
		out = append(out, entryOf(all, list, m, v))
	}
	return out, nil
}

func entryOf(meta map[string]string, list string, m sms.MSISDN, value string) Entry {
	e := Entry{MSISDN: m, List: list}
	v, err := strconv.ParseInt(value, 10, 64)
	if err != nil || v < 0 {
		return e // the number is suppressed, even if its entry cannot be read
	}
	e.At = epoch.Add(time.Duration(v/(lastOrigin+1)) * time.Minute)
	number := int(v % (lastOrigin + 1))
	e.Origin = meta["i:"+strconv.Itoa(number)]
	for word, n := range fixedOrigins {
		if n == number {
			e.Origin = word
		}
	}
	return e
}

// Entries yields all entries of a list, in no particular order. Entries that are added or removed
// during the iteration may be missing or included. Entries keeps 256 buckets in memory at a time.
func (l *Lists) Entries(ctx context.Context, list string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		const step = 256
		for at := 0; at < buckets; at += step {
			var meta *redis.MapStringStringCmd
			read := make([]*redis.MapStringStringCmd, step)
			_, err := l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
				for i := range read {
					read[i] = p.HGetAll(ctx, bucketKey(list, at+i))
				}
				meta = p.HGetAll(ctx, metaKey) // after the reads of the buckets, so that the result has every origin that the buckets use
				return nil
			})
			if err != nil {
				yield(Entry{}, fmt.Errorf("list opt-outs: %w", err))
				return
			}
			for i, b := range read {
				for field, v := range b.Val() {
					n, err := strconv.ParseUint(field, 10, 64)
					if err != nil {
						continue
					}
					if !yield(entryOf(meta.Val(), list, sms.MSISDN(n*buckets+uint64(at+i)), v), nil) {
						return
					}
				}
			}
		}
	}
}
