package tracking

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"embed"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/script/scripttest"
	"github.com/tuma-sms/tuma/internal/test/redistest"
)

//go:embed *.lua
var luaFiles embed.FS

func TestScriptArgs_HaveTheNamesOfTheGoFields(t *testing.T) {
	t.Parallel()
	scripttest.Arguments(t, luaFiles, "", map[string][]any{
		"note": {noteArgs{}}, "place": {placeArgs{}, placedArgs{}}, "enter": {enterArgs{}}, "park": {parkArgs{}, parkedArgs{}}, "due": {dueArgs{}},
	})
}

func zAt(member string) redis.Z { return redis.Z{Score: 1, Member: member} }
func isFull(err error) bool     { return errors.Is(err, ErrParkedFull) }

func newIndex(t testing.TB) (*Index, *redis.Client) {
	t.Helper()
	rdb := redistest.Start(t).Client()
	return NewIndex(script.NewRunner(rdb, script.Durability{})), rdb
}

// batchOf returns messages of a full batch. The ids of the messages are consecutive numbers. The
// parameter "first" is the first number.
func batchOf(name string, first, n, total int) Sent {
	s := Sent{BatchRef: ledger.BatchRef{Campaign: "c", Upload: "up", Name: name}, BatchSize: n, Total: total}
	for i := range n {
		s.IDs, s.Positions = append(s.IDs, "ATXid_"+strconv.Itoa(first+i)), append(s.Positions, i)
	}
	return s
}

func TestIndex_EveryIDIsFound(t *testing.T) {
	t.Parallel()
	x, rdb := newIndex(t)
	const batches, size = 40, 500
	for b := range batches {
		s := batchOf("0."+strconv.Itoa(b), b*size, size, 1000) // more messages than expected, so that the index opens further segments
		for range 2 {
			if err := x.Enter(t.Context(), "L", []note{noteOf(s)}, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
	}
	segments, err := x.segments(t.Context(), "L")
	if err != nil || len(segments) < 2 {
		t.Fatalf("%d segments (%v), want several", len(segments), err)
	}
	members := 0
	for _, s := range segments {
		for b := range s.buckets {
			n, err := rdb.SCard(t.Context(), bucketKey("L", s.number, b)).Result()
			if err != nil {
				t.Fatal(err)
			}
			members += int(n)
		}
	}
	if members != batches*size {
		t.Errorf("%d entries for %d ids noted twice", members, batches*size)
	}
	candidates := 0
	for b := range batches {
		s := batchOf("0."+strconv.Itoa(b), b*size, size, 0)
		found, err := x.Find(t.Context(), "L", s.IDs)
		if err != nil {
			t.Fatal(err)
		}
		for i, places := range found {
			if !slices.Contains(places, Place{s.BatchRef, i}) {
				t.Fatalf("id %s is not found at its place: %v", s.IDs[i], places)
			}
			candidates += len(places)
		}
	}
	if each := float64(candidates) / (batches * size); each > 1.5 {
		t.Errorf("%.2f candidates for each id, want hardly more than one", each)
	}
	none, err := x.Find(t.Context(), "other", []string{"ATXid_1"})
	if err != nil || len(none) != 1 || none[0] != nil {
		t.Errorf("another login: got %v, %v", none, err)
	}
}

func TestIndex_SegmentsAreRemovedWithoutAScan(t *testing.T) {
	t.Parallel()
	x, rdb := newIndex(t)
	ctx := t.Context()
	if err := x.Enter(ctx, "L", []note{noteOf(batchOf("0.0", 0, 300, 100_000))}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := x.Expire(ctx); err != nil {
		t.Fatal(err)
	}
	if found, err := x.Find(ctx, "L", []string{"ATXid_7"}); err != nil || len(found[0]) == 0 {
		t.Errorf("before its time is over: %v, %v", found, err)
	}
	past := func(number int) {
		t.Helper()
		if err := rdb.HSet(ctx, segmentsKey("L"), "s"+strconv.Itoa(number), "1563 300 1 2").Err(); err != nil {
			t.Fatal(err)
		}
	}
	past(1)
	if err := x.Enter(ctx, "L", []note{noteOf(batchOf("0.0", 300, 300, 100_000))}, time.Hour); err != nil {
		t.Fatal(err)
	}
	if err := x.Expire(ctx); err != nil {
		t.Fatal(err)
	}
	found, err := x.Find(ctx, "L", []string{"ATXid_7", "ATXid_307"})
	if err != nil || len(found[0]) != 0 || len(found[1]) == 0 {
		t.Errorf("after the first segment's time: %v, %v", found, err)
	}
	past(2)
	if err := x.Expire(ctx); err != nil {
		t.Fatal(err)
	}
	keys, err := rdb.Keys(ctx, "*").Result()
	slices.Sort(keys)
	if err != nil || !slices.Equal(keys, []string{loginsKey, segmentsKey("L")}) {
		t.Errorf("left: %v, %v", keys, err)
	}
}

// The index, including the batch table, takes at most eight bytes of Redis for each message.
func TestMemory_IndexTakesEightBytesAMessage(t *testing.T) {
	t.Parallel()
	x, rdb := newIndex(t)
	const batches, size = 400, 500
	used := func() int {
		info, err := rdb.InfoMap(t.Context(), "memory").Result()
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(info["Memory"]["used_memory"])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := used()
	for b := range batches {
		if err := x.Enter(t.Context(), "0123456789abcdef", []note{noteOf(batchOf(fmt.Sprintf("0.%d", b), b*size, size, batches*size))}, 72*time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	each := float64(used()-before) / (batches * size)
	t.Logf("index: %.2f bytes a message", each)
	if each > 8 {
		t.Errorf("the index takes %.2f bytes a message, want at most 8", each)
	}
}

func FuzzParked(f *testing.F) {
	f.Add("id", "1700000000000 d 254700000001 Success\t")
	f.Add("id", "1 u 0 Failed\tAbsentSubscriber")
	f.Add("id", "1 b 254700000001 Failed\tUserInBlackList")
	f.Add("id", "1 u 0 UNDELIV\terr:0dc\tc:upload/0.0.1")
	f.Fuzz(func(t *testing.T, id, record string) {
		r, ok := parseParked(id, record)
		if !ok {
			return
		}
		again, ok := parseParked(id, parkedRecord(r))
		if !ok || again.MessageID != r.MessageID || again.To != r.To || again.Status.Delivered != r.Status.Delivered || again.Blacklisted != r.Blacklisted || again.Call != strings.ReplaceAll(strings.ReplaceAll(r.Call, "\t", " "), "\n", " ") || !again.At.Equal(r.At) {
			t.Errorf("%q was read as %+v, and its record as %+v (%t)", record, r, again, ok)
		}
	})
}

func FuzzCandidates(f *testing.F) {
	f.Add("ATXid_1", uint32(0), uint16(0))
	f.Add("", uint32(1<<22-1), uint16(1<<10-1))
	f.Fuzz(func(t *testing.T, id string, place uint32, bits uint16) {
		place, bits = place%(1<<22), bits%(1<<10)
		print := fingerprintOf(id)
		set := redis.NewStringSliceResult([]string{strconv.Itoa(int(bits)<<22 + int(place) - 1<<31), "x", "99999999999"}, nil)
		got := candidates([]fingerprint{print}, []segment{{number: 3, buckets: 64}}, []*redis.StringSliceCmd{set})
		if want := print.bits == bits; (len(got) == 1) != want || want && got[0] != (candidate{0, 3, int(place)}) {
			t.Errorf("got %v, bits are the same: %t", got, want)
		}
	})
}
