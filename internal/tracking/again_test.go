package tracking

import (
	"errors"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"
)

// Redis refuses the index. The call is settled nevertheless, and its IDs are entered later.
func TestIndexAgain_EntersWhatRedisRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.plan("c", 1, 2, 2)
	c := r.claim("c", 0, 1, time.Hour)
	r.ok(r.rdb.Set(ctx, segmentsKey(testLogin), "not a hash", 0).Err())
	r.note("c", c) // fails if Note returns an error
	again := func(want int) {
		t.Helper()
		if n, err := r.IndexAgain(ctx); err != nil || n != want {
			t.Errorf("IndexAgain completed %d calls (%v), want %d", n, err, want)
		}
	}
	if n, err := r.IndexAgain(ctx); n != 0 || err != nil {
		t.Errorf("a call that is not settled: %d, %v; want 0 and no error", n, err)
	}
	r.settle(c, c.accepted("c"))
	if _, err := r.IndexAgain(ctx); err == nil {
		t.Error("IndexAgain returned no error while Redis refuses the index")
	}
	r.ok(r.rdb.Del(ctx, segmentsKey(testLogin)).Err())
	if got := r.apply(r.report("c", 4, true)); got != "parked" {
		t.Errorf("before the IDs are in the index: got %s", got)
	}
	r.ok(r.rdb.SAdd(ctx, unindexedKey(testLogin), "not a call", "0 4 gone 0.0 up", "9 4 c 0.0 up").Err())
	again(4)
	r.lookNow()
	if got := r.apply(r.report("c", 3, false)); got != "undelivered" {
		t.Errorf("got %s", got)
	}
	if got := r.statuses("c"); got != "pending pending undelivered:AbsentSubscriber delivered" {
		t.Errorf("got %s", got)
	}
	again(0)
}

// The set of calls that are not in the index is bounded, and calls beyond the bound are settled too.
func TestNote_SettlesGoOnBeyondTheBoundOfUnindexedCalls(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan("c", 1, 1, 1)
	c := r.claim("c", 0, 0, time.Hour)
	fill := make([]any, maxUnindexed)
	for i := range fill {
		fill[i] = i
	}
	r.ok(r.rdb.SAdd(t.Context(), unindexedKey(testLogin), fill...).Err())
	r.ok(r.rdb.Set(t.Context(), segmentsKey(testLogin), "not a hash", 0).Err())
	r.note("c", c)
	if n, err := r.rdb.SCard(t.Context(), unindexedKey(testLogin)).Result(); err != nil || n != maxUnindexed {
		t.Errorf("the set has %d calls (%v), want %d", n, err, maxUnindexed)
	}
}

func TestNote_RedisAwayIsAnError(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan("c", 1, 1, 1)
	c := r.claim("c", 0, 0, time.Hour)
	r.ok(r.rdb.Close())
	if err := r.Note(t.Context(), c.claim, c.accepted("c"), 1); err == nil {
		t.Error("no error without Redis: the call would be settled without its index")
	}
}

// Of callbacks that are applied together, only those whose reports found no room must come again.
func TestDoor_OnlyCallbacksWithoutRoomFail(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan("c", 1, 1, 2)
	r.send("c", 0, 0)
	fill := make([]any, 0, 2*maxParked)
	for i := range maxParked {
		fill = append(fill, messageID("fill", i), "1 d 0 x\t")
	}
	r.ok(r.rdb.HSet(t.Context(), parkedKey(testLogin), fill...).Err())
	d := NewDoor(r.ledger, zerolog.Nop(), []DoorAccount{{"at", r.calls.Info, time.Hour, nil}}, nil)
	collected := d.accounts["at"]
	var got []chan error
	for _, reports := range [][]Report{{r.report("c", 1, true)}, {r.report("c", 2, false), r.report("none", 1, true)}, {r.report("c", 1, true)}} {
		x := &delivery{done: make(chan error, 1)}
		for _, one := range reports {
			x.reports = append(x.reports, one.DLR)
		}
		collected.queue, got = append(collected.queue, x), append(got, x.done)
	}
	collected.busy = 1
	collected.run()
	for i, full := range []bool{false, true, false} {
		if err := <-got[i]; errors.Is(err, ErrParkedFull) != full || !full && err != nil {
			t.Errorf("callback %d got %v, want ErrParkedFull: %t", i, err, full)
		}
	}
	if s := r.summary("c"); s.Delivered != 1 || s.Undelivered != 1 {
		t.Errorf("%d delivered, %d undelivered; want one each", s.Delivered, s.Undelivered)
	}
}

// The door removes segments whose time is over, and enters refused IDs.
func TestDoor_TidiesTheIndex(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.plan("c", 1, 1, 2)
	c := r.claim("c", 0, 0, time.Hour)
	r.note("c", c)
	r.settle(c, c.accepted("c"))
	r.ok(r.rdb.HSet(ctx, segmentsKey(testLogin), "s1", "64 2 1 2").Err()) // its time was over in 1970
	r.ok(r.rdb.SAdd(ctx, unindexedKey(testLogin), unindexed{c.claim.Places().BatchRef, 0, 2}.String()).Err())
	d := NewDoor(r.ledger, zerolog.Nop(), []DoorAccount{{"at", r.calls.Info, time.Hour, nil}}, nil)
	d.tidy(ctx)
	segments, err := d.index.segments(ctx, testLogin)
	r.ok(err)
	if len(segments) != 1 || segments[0].number != 2 {
		t.Errorf("the index has the segments %v, want only the second", segments)
	}
	r.ok(d.Deliver(ctx, "at", "", []providers.DLR{r.report("c", 2, true).DLR}))
	if s := r.summary("c"); s.Delivered != 1 || s.State != campaign.Done {
		t.Errorf("%d delivered, state %s", s.Delivered, s.State)
	}
}
