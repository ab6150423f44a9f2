package producer_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
)

// commandCounter is a go-redis hook that counts reads of the event stream and of campaign hashes.
type commandCounter struct{ streams, hashes atomic.Int64 }

func (c *commandCounter) count(cmds ...redis.Cmder) {
	for _, cmd := range cmds {
		switch cmd.Name() {
		case "xrange":
			c.streams.Add(1)
		case "hgetall", "hmget":
			c.hashes.Add(1)
		}
	}
}

func (c *commandCounter) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *commandCounter) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.count(cmd)
		return next(ctx, cmd)
	}
}

func (c *commandCounter) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		c.count(cmds...)
		return next(ctx, cmds)
	}
}

// The function "reach" waits until the counter n has at least the value "at".
func reach(t *testing.T, n *atomic.Int64, at int64) {
	t.Helper()
	for limit := time.Now().Add(20 * time.Second); n.Load() < at; {
		if time.Now().After(limit) {
			t.Fatalf("%d reads after 20 s, want %d", n.Load(), at)
		}
		<-time.After(time.Millisecond)
	}
}

// The function "waiting" starts a campaign "c" of three recipients. It returns a second client and
// the counter of that client's reads.
func waiting(t *testing.T, server *redistest.Server, poll time.Duration, change ...func(*redis.Options)) (*testClient, *producer.Client, *commandCounter) {
	t.Helper()
	b := newTestClientAt(t, server)
	b.serve("kobo-main")
	b.enqueue(validCampaign(), 3)
	counter := &commandCounter{}
	rdb := server.Client(change...)
	rdb.AddHook(counter)
	c, err := producer.New(rdb, producer.WithPollInterval(poll))
	if err != nil {
		t.Fatal(err)
	}
	return b, c, counter
}

// cancel ends the campaign "c". If the parameter "announce" is true, it also writes the event
// that a worker would write.
func (b *testClient) cancel(announce bool) {
	b.t.Helper()
	if _, err := b.Cancel(b.t.Context(), "c"); err != nil {
		b.t.Fatal(err)
	}
	if announce {
		if err := events.New(b.ledger.Runner(), 0).Add(b.t.Context(), events.Event{Kind: events.CampaignState, Campaign: "c", State: "cancelled"}); err != nil {
			b.t.Fatal(err)
		}
	}
}

func TestWait_ReadsTheStreamInsteadOfTheStatus(t *testing.T) {
	t.Parallel()
	b, c, counter := waiting(t, redistest.Start(t), 50*time.Millisecond)
	var all []<-chan waitResult
	for range 20 {
		all = append(all, startWait(t.Context(), c))
	}
	reach(t, &counter.hashes, 20)
	before, streams := counter.hashes.Load(), counter.streams.Load()
	reach(t, &counter.streams, streams+10) // this takes at least 5 poll intervals, because a page takes two reads
	each := float64(counter.hashes.Load()-before) / 20
	b.cancel(true)
	for _, w := range all {
		if got := <-w; got.err != nil || got.status.State != producer.Cancelled {
			t.Errorf("Wait returned %+v, want the cancelled campaign", got)
		}
	}
	t.Logf("%.1f reads of the status for each of 20 callers in 5 intervals", each)
	if each > 8 { // a caller that polls would read the status 5 times, each time with several commands
		t.Errorf("%.1f reads of the status for each caller in 5 poll intervals, want them replaced by reads of the stream", each)
	}
}

func TestWait_EventWakesItBeforeThePoll(t *testing.T) {
	t.Parallel()
	b, c, counter := waiting(t, redistest.Start(t), 200*time.Millisecond)
	w := startWait(t.Context(), c)
	reach(t, &counter.hashes, 1)
	began := time.Now()
	b.cancel(true)
	if got := <-w; got.err != nil {
		t.Fatal(got.err)
	}
	if took := time.Since(began); took > 8*200*time.Millisecond-100*time.Millisecond {
		t.Errorf("Wait returned after %v, want it woken by the event", took)
	}
}

// Wait ends even if the stream was deleted, or if the workers do not write to it.
func TestWait_EndsWithoutAnEvent(t *testing.T) {
	t.Parallel()
	for name, announce := range map[string]bool{"no event": false, "deleted stream": true} {
		b, c, counter := waiting(t, redistest.Start(t), 5*time.Millisecond)
		stream := events.New(b.ledger.Runner(), 0)
		if err := stream.Add(t.Context(), events.Event{Kind: events.AccountHeld}); err != nil {
			t.Fatal(err)
		}
		w := startWait(t.Context(), c)
		reach(t, &counter.streams, 4)
		b.cancel(announce)
		if announce {
			b.rdb.Del(t.Context(), "tuma:events")
		}
		if got := <-w; got.err != nil || got.status.State != producer.Cancelled {
			t.Errorf("%s: Wait returned %+v, want the cancelled campaign", name, got)
		}
	}
}

// A Redis user without the right to read the stream waits by polling.
func TestWait_WithoutTheRightToReadTheStream(t *testing.T) {
	t.Parallel()
	for name, rights := range map[string]string{"from the start": "-xrange -xrevrange", "later": "-xrange"} {
		server := redistest.Start(t, redistest.WithUser("tuma", "secret", append([]string{"~*", "+@all"}, strings.Fields(rights)...)...))
		b, c, counter := waiting(t, server, 5*time.Millisecond, server.AsUser)
		w := startWait(t.Context(), c)
		reach(t, &counter.hashes, 20) // it polls
		b.cancel(false)
		if got := <-w; got.err != nil || got.status.State != producer.Cancelled {
			t.Errorf("%s: Wait returned %+v, want the cancelled campaign", name, got)
		}
	}
}
