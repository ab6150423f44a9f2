package tracking

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/providers"

	"github.com/rs/zerolog"
)

// agedNotes makes the notes of dead workers old enough for EnterLeft.
func (r *rig) agedNotes() {
	r.Helper()
	notes, err := r.rdb.HGetAll(r.Context(), notedKey(testLogin)).Result()
	r.ok(err)
	for token, value := range notes {
		n, at, ok := parseNote(token, value)
		if !ok {
			r.Fatalf("note %q cannot be read", value)
		}
		r.ok(r.rdb.HSet(r.Context(), notedKey(testLogin), token, strconv.FormatInt(at.Add(-leftFor).UnixMilli(), 10)+" "+string(n.encode())).Err())
	}
}

// A worker notes the IDs of a call and settles the call. Then it is killed before it enters the IDs in
// the index.
func TestEnterLeft_EntersWhatADeadWorkerNoted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.plan("c", 1, 2, 2)
	dead := r.another()
	for k, settled := range []bool{true, false} {
		c := r.claim("c", 0, k, time.Hour)
		r.ok(dead.Note(ctx, c.claim, c.accepted("c"), 4))
		dead.waiting.take(false) // the worker dies
		if settled {
			r.settle(c, c.accepted("c"))
		}
	}
	if n, err := r.EnterLeft(ctx); n != 0 || err != nil {
		t.Errorf("notes of a moment ago: %d entered (%v), want none", n, err)
	}
	if got := r.apply(r.report("c", 2, true)); got != "parked" {
		t.Errorf("before the IDs are in the index: got %s", got)
	}
	r.agedNotes()
	r.ok(r.rdb.HSet(ctx, notedKey(testLogin), "x", "not a note").Err())
	if n, err := r.EnterLeft(ctx); n != 2 || err != nil {
		t.Errorf("%d calls entered (%v), want 2", n, err)
	}
	r.lookNow()
	if got := r.apply(r.report("c", 1, false)); got != "undelivered" {
		t.Errorf("got %s", got)
	}
	if got := r.statuses("c"); got != "undelivered:AbsentSubscriber delivered pending pending" {
		t.Errorf("got %s", got)
	}
	found, err := r.index.Find(ctx, testLogin, []string{messageID("c", 4)})
	if r.ok(err); len(found[0]) == 0 {
		t.Error("the IDs of a call that is not settled are not in the index")
	}
	if left, err := r.rdb.HLen(ctx, notedKey(testLogin)).Result(); left != 0 || err != nil {
		t.Errorf("%d notes are left (%v)", left, err)
	}
}

// A report arrives after the settle and before the IDs are in the index. The report is parked. It is
// applied when the IDs are entered.
func TestFlush_AppliesReportsThatCameBeforeIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.plan("c", 1, 1, 3)
	c := r.claim("c", 0, 0, time.Hour)
	r.ok(r.Note(ctx, c.claim, c.accepted("c"), 3))
	r.settle(c, c.accepted("c"))
	if got := r.apply(r.report("c", 1, true), r.report("c", 3, false)); got != "parked parked" && got != "delivered undelivered" {
		t.Errorf("got %s", got)
	}
	r.ok(r.Flush(ctx))
	if got := r.statuses("c"); got != "delivered accepted undelivered:AbsentSubscriber" {
		t.Errorf("got %s", got)
	}
	if n := r.parkedCount(); n != 0 {
		t.Errorf("%d reports are parked, want none", n)
	}
}

// Redis refuses to write the index. The call is still settled, and its IDs stay noted until Redis
// accepts the write.
func TestNote_RefusedIDsAreEnteredLater(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.plan("c", 1, 1, 2)
	r.ok(r.rdb.Set(ctx, segmentsKey(testLogin), "not a hash", 0).Err())
	c := r.claim("c", 0, 0, time.Hour)
	r.ok(r.Note(ctx, c.claim, c.accepted("c"), 2))
	r.settle(c, c.accepted("c"))
	if err := r.Close(ctx); err == nil {
		t.Error("no error while Redis refuses the index")
	}
	r.ok(r.rdb.Del(ctx, segmentsKey(testLogin)).Err())
	r.ok(r.Flush(ctx))
	if got := r.apply(r.report("c", 1, true)); got != "delivered" {
		t.Errorf("got %s", got)
	}
	if left, err := r.rdb.HLen(ctx, notedKey(testLogin)).Result(); left != 0 || err != nil {
		t.Errorf("%d notes are left (%v)", left, err)
	}
}

// Redis holds at most maxNoted noted calls for each login. If this number is reached, the worker still settles further
// calls and enters their IDs in the index.
func TestNote_CallsGoOnBeyondTheBound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.plan("c", 1, 1, 1)
	fill := make([]any, 0, 2*maxNoted)
	for i := range maxNoted {
		fill = append(fill, i, "x")
	}
	r.ok(r.rdb.HSet(ctx, notedKey(testLogin), fill...).Err())
	r.send("c", 0, 0)
	if n, err := r.rdb.HLen(ctx, notedKey(testLogin)).Result(); err != nil || n != maxNoted {
		t.Errorf("%d calls are noted (%v), want %d", n, err, maxNoted)
	}
	if got := r.apply(r.report("c", 1, true)); got != "delivered" {
		t.Errorf("got %s", got)
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

// The door removes expired segments, and enters the noted message IDs of dead workers in the index.
func TestDoor_BringsTheIndexUpToDate(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx := t.Context()
	r.plan("c", 1, 1, 2)
	c := r.claim("c", 0, 0, time.Hour)
	r.note("c", c)
	r.settle(c, c.accepted("c"))
	r.ok(r.rdb.HSet(ctx, segmentsKey(testLogin), "s1", "64 2 1 2").Err()) // this segment expired in 1970
	dead := r.another()
	r.ok(dead.Note(ctx, c.claim, c.accepted("c"), 2))
	dead.waiting.take(false)
	r.agedNotes()
	d := NewDoor(r.ledger, zerolog.Nop(), []DoorAccount{{"at", r.calls.Info, time.Hour, nil}}, nil)
	r.ok(d.index.Expire(ctx))
	d.enterLeft(ctx)
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

// IDs are found in the same way, whether many calls are entered together or one call at a time.
func TestEnter_ManyCallsTogether(t *testing.T) {
	t.Parallel()
	x, _ := newIndex(t)
	const batches, size = 100, 300
	var notes []note
	for b := range batches {
		notes = append(notes, noteOf(batchOf("0."+strconv.Itoa(b), b*size, size, 500))) // about 60 IDs a bucket, several segments
	}
	for range 2 {
		if err := x.Enter(t.Context(), "L", notes, time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	segments, err := x.segments(t.Context(), "L")
	if err != nil || len(segments) != 2 {
		t.Errorf("%d segments (%v) , want 2: the second one is twice as large", len(segments), err)
	}
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
		}
	}
}

func FuzzNote(f *testing.F) {
	f.Add("t", "1700000000000 500 1000 c 0.1 up\n12345678")
	f.Add("t", "1 0 0 c 0.1 \n")
	f.Fuzz(func(t *testing.T, token, value string) {
		n, at, ok := parseNote(token, value)
		if !ok {
			return
		}
		again, when, ok := parseNote(token, strconv.FormatInt(at.UnixMilli(), 10)+" "+string(n.encode()))
		if !ok || !when.Equal(at) || again.batch != n.batch || again.total != n.total || again.batchSize != n.batchSize || string(again.entries) != string(n.entries) {
			t.Errorf("%q was read as %+v, and again as %+v (%t)", value, n, again, ok)
		}
	})
}
