package tracking

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/providers"
)

func TestDoor_ConcurrentCallbacksAreAppliedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan("c", 1, 1, 200)
	r.send("c", 0, 0)
	var log bytes.Buffer
	var delivered, undelivered, repeated atomic.Int64
	count := func(result Result, n int) {
		if c := map[Result]*atomic.Int64{Delivered: &delivered, Undelivered: &undelivered, Duplicate: &repeated}[result]; c != nil {
			c.Add(int64(n))
		}
	}
	d := NewDoor(r.ledger, zerolog.New(&log), []DoorAccount{{"at", r.calls.Info, time.Hour, count}, {"at2", r.calls.Info, time.Hour, nil}}, nil)
	var wg sync.WaitGroup
	for i := range 400 {
		x := r.report("c", 1+i%200, i%200 < 150)
		wg.Go(func() {
			name := "at"
			if i%2 == 0 {
				name = "at2" // another account of the same login
			}
			if err := d.Deliver(t.Context(), name, "", []providers.DLR{x.DLR}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := d.Deliver(t.Context(), "off", "", []providers.DLR{r.report("c", 1, true).DLR}); err != nil {
		t.Errorf("an account without tracking: %v", err)
	}
	if s := r.summary("c"); s.Delivered != 150 || s.Undelivered != 50 {
		t.Errorf("%d delivered, %d undelivered", s.Delivered, s.Undelivered)
	}
	if delivered.Load() != 150 || undelivered.Load() != 50 || repeated.Load() != 200 {
		t.Errorf("counted %d, %d and %d reports, want 150 delivered, 50 undelivered and 200 repeated", delivered.Load(), undelivered.Load(), repeated.Load())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d.Run(ctx)
	if want := `"delivered":150,"undelivered":50,"pending":0,"duplicate":200,"parked":0`; !strings.Contains(log.String(), want) {
		t.Errorf("logged %s, want %s", log.String(), want)
	}
}

func TestDoor_RedisAwayIsAnError(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	d := NewDoor(r.ledger, zerolog.Nop(), []DoorAccount{{"at", r.calls.Info, time.Hour, nil}}, nil)
	r.ok(r.rdb.Close())
	if err := d.Deliver(t.Context(), "at", "", []providers.DLR{r.report("c", 1, true).DLR}); err == nil {
		t.Error("no error without Redis: the gateway would not come again")
	}
}

func TestDoor_RunAppliesParkedReports(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.plan("c", 1, 1, 1)
	d := NewDoor(r.ledger, zerolog.Nop(), []DoorAccount{{"at", r.calls.Info, time.Hour, nil}}, nil)
	c := r.claim("c", 0, 0, time.Hour)
	r.ok(d.Deliver(t.Context(), "at", "", []providers.DLR{r.report("c", 1, true).DLR}))
	r.note("c", c)
	r.settle(c, c.accepted("c"))
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { d.Run(ctx) })
	for until := time.Now().Add(20 * time.Second); r.summary("c").Delivered == 0; {
		if time.Now().After(until) {
			t.Error("the parked report was not applied within 20 s")
			break
		}
	}
	cancel()
	wg.Wait()
}

// If several callbacks are applied together, the gateway must repeat only those whose reports
// were not stored.
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
		x := &delivery{reports: reports, done: make(chan error, 1)}
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
