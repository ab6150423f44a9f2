package producer_test

import (
	"context"
	"errors"
	"iter"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/producer"
)

func TestEnqueue_SameStartInIsTheSameContent(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	c := validCampaign()
	c.StartIn, c.ExpiresIn = 2*time.Hour, 3*time.Hour
	before := time.Now()
	if _, err := b.Enqueue(t.Context(), c, producer.Numbers("0803 123 4567")); err != nil {
		t.Fatal(err)
	}
	s := b.status("c")
	if s.State != producer.Scheduled || s.StartAt.Before(before.Add(2*time.Hour).Truncate(time.Millisecond)) || s.ExpiresAt.Sub(*s.StartAt) != 3*time.Hour {
		t.Errorf("state %s, start %v and expiry %v; want scheduled in two hours, and to expire three hours later", s.State, s.StartAt, s.ExpiresAt)
	}
	later, err := producer.New(b.rdb, producer.WithClock(func() time.Time { return time.Now().Add(time.Hour) }))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := later.Enqueue(t.Context(), c, producer.Numbers("0803 123 4567")); err != nil || !again.Again {
		t.Errorf("Enqueue an hour later = %+v, %v; want the first receipt again", again, err)
	}
	c.StartIn++
	if _, err := later.Enqueue(t.Context(), c, producer.Numbers("0803 123 4567")); !errors.Is(err, producer.ErrConflict) {
		t.Errorf("Enqueue with another StartIn: error %v; want ErrConflict", err)
	}
}

func TestEnqueue_SameContentReturnsTheFirstReceipt(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	c := validCampaign()
	c.StartAt, c.ExpiresIn = time.Now().Add(time.Hour), 2*time.Hour
	first, err := b.Enqueue(t.Context(), c, producer.Numbers("0803 123 4567", "x"))
	if err != nil || first.Again || first.Total != 2 || first.ID != "c" {
		t.Fatal(first, err)
	}
	later, err := producer.New(b.rdb, producer.WithClock(func() time.Time { return time.Now().Add(90 * time.Minute) }))
	if err != nil {
		t.Fatal(err)
	}
	// StartAt has passed, and the account is no longer published. Enqueueing the same campaign
	// again must still return the first receipt.
	if err := accounts.New(b.ledger.Runner()).Forget(t.Context(), "kobo-main"); err != nil {
		t.Fatal(err)
	}
	again, err := later.Enqueue(t.Context(), c, producer.Numbers("0803 123 4567", "x"))
	if err != nil || !again.Again || !again.CreatedAt.Equal(first.CreatedAt) || again.Total != 2 {
		t.Errorf("Enqueue again = %+v, %v; want the first receipt with Again set", again, err)
	}
	for name, other := range map[string]struct {
		change func(*producer.Campaign)
		to     []string
	}{
		"another body":       {func(c *producer.Campaign) { c.Body = "Bye" }, []string{"0803 123 4567", "x"}},
		"another sender":     {func(c *producer.Campaign) { c.From = "X" }, []string{"0803 123 4567", "x"}},
		"another account":    {func(c *producer.Campaign) { c.Via = "x" }, []string{"0803 123 4567", "x"}},
		"another class":      {func(c *producer.Campaign) { c.Class = producer.Transactional }, []string{"0803 123 4567", "x"}},
		"another cap":        {func(c *producer.Campaign) { c.MaxMessages = 1 }, []string{"0803 123 4567", "x"}},
		"a cap of segments":  {func(c *producer.Campaign) { c.MaxSegments = 1 }, []string{"0803 123 4567", "x"}},
		"another expiry":     {func(c *producer.Campaign) { c.ExpiresIn++ }, []string{"0803 123 4567", "x"}},
		"another order":      {func(*producer.Campaign) {}, []string{"x", "0803 123 4567"}},
		"one more":           {func(*producer.Campaign) {}, []string{"0803 123 4567", "x", "x"}},
		"cut in another way": {func(*producer.Campaign) {}, []string{"0803 123 456", "7x"}},
	} {
		o := c
		other.change(&o)
		if _, err := later.Enqueue(t.Context(), o, producer.Numbers(other.to...)); !errors.Is(err, producer.ErrConflict) {
			t.Errorf("Enqueue (%s): error %v; want ErrConflict", name, err)
		}
	}
	if keys := b.rdb.Keys(t.Context(), "tuma:{c}:u:*").Val(); len(keys) != 0 {
		t.Errorf("staging areas %v remain; want none", keys)
	}
}

func TestEnqueue_ConcurrentCallsMakeOneCampaign(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	var mu sync.Mutex
	firsts, others := 0, 0
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			c := validCampaign()
			if i%2 == 1 {
				c.Body = "Bye"
			}
			r, err := b.Enqueue(t.Context(), c, manyRecipients(3000))
			mu.Lock()
			defer mu.Unlock()
			switch {
			case errors.Is(err, producer.ErrConflict):
				others++
			case err != nil:
				t.Error(err)
			case !r.Again:
				firsts++
			}
		})
	}
	all.Wait()
	if firsts != 1 || others != 4 {
		t.Errorf("%d first receipts, %d conflicts; want 1 and 4", firsts, others)
	}
	if s, err := b.Status(t.Context(), "c"); err != nil || s.Total != 3000 || s.Pending != 3000 {
		t.Errorf("status %+v, %v; want 3000 recipients, all pending", s, err)
	}
	if n := b.rdb.LLen(t.Context(), "asynq:{tuma-plan}:pending").Val(); n != 1 {
		t.Errorf("%d plan tasks; want 1", n)
	}
}

func TestEnqueue_InterruptedUploadLeavesNoKeys(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	broken := errors.New("the file broke off")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	atEnd, cancelAtEnd := context.WithCancel(t.Context())
	defer cancelAtEnd()
	cut := func(at int, do func() error) iter.Seq2[producer.Recipient, error] {
		return func(yield func(producer.Recipient, error) bool) {
			i := 0
			for r := range manyRecipients(20_000) {
				if i++; i == at {
					if err := do(); err != nil {
						yield(r, err)
						return
					}
				}
				if !yield(r, nil) {
					return
				}
			}
		}
	}
	for name, tt := range map[string]struct {
		ctx  context.Context
		to   iter.Seq2[producer.Recipient, error]
		want error
	}{
		"at once":       {t.Context(), cut(1, func() error { return broken }), broken},
		"in the middle": {t.Context(), cut(15_000, func() error { return broken }), broken},
		"by its caller": {ctx, cut(15_000, func() error { cancel(); return nil }), context.Canceled},
		"before the commit": {atEnd, func(yield func(producer.Recipient, error) bool) {
			for r := range manyRecipients(10_000) {
				if !yield(r, nil) {
					return
				}
			}
			cancelAtEnd()
		}, context.Canceled},
		"with no recipient": {t.Context(), producer.Numbers(), producer.ErrInvalid},
		"no sequence":       {t.Context(), nil, producer.ErrInvalid},
	} {
		if _, err := b.Enqueue(tt.ctx, validCampaign(), tt.to); !errors.Is(err, tt.want) {
			t.Errorf("Enqueue of a sequence that ends %s: error %v; want %v", name, err, tt.want)
		}
		if keys := b.rdb.Keys(t.Context(), "tuma:{c}*").Val(); len(keys) != 0 {
			t.Errorf("%s: the keys %v remain; want none", name, keys)
		}
		b.wantNoCampaign(name)
	}
	if n := b.rdb.Exists(t.Context(), "asynq:{tuma-plan}:pending").Val(); n != 0 {
		t.Error("a plan task was queued; want none")
	}
	r, err := b.Enqueue(t.Context(), validCampaign(), manyRecipients(20_000))
	if err != nil || r.Again || r.Total != 20_000 {
		t.Errorf("Enqueue after the errors = %+v, %v; want a first receipt for 20,000", r, err)
	}
}

// This test does not run in parallel, because it measures the heap, which all tests share.
func TestEnqueue_MemoryDoesNotGrowWithTheRecipients(t *testing.T) { //nolint:paralleltest // see above
	b := newTestClient(t)
	b.serve("kobo-main")
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	if _, err := b.Enqueue(t.Context(), validCampaign(), manyRecipients(20_000)); err != nil { // the first Enqueue of a process allocates more memory, so it is not measured
		t.Fatal(err)
	}
	before, most := heap(), uint64(0)
	to := func(yield func(producer.Recipient, error) bool) {
		i := 0
		for r, err := range manyRecipients(300_000) {
			if i++; i%50_000 == 0 {
				most = max(most, heap())
			}
			if !yield(r, err) {
				return
			}
		}
	}
	c := validCampaign()
	c.ID = "large"
	if _, err := b.Enqueue(t.Context(), c, to); err != nil {
		t.Fatal(err)
	}
	if most > before+4<<20 {
		t.Errorf("the heap grew from %d to %d bytes over 300,000 recipients; want at most 4 MiB more", before, most)
	}
	before, most = heap(), 0
	n := 0
	for r, err := range b.Results(t.Context(), "large") {
		if n++; err != nil || r.Row != n || r.Status != "pending" {
			t.Fatalf("row %d: got %+v, %v; want this row, pending", n, r, err)
		}
		if n%50_000 == 0 {
			most = max(most, heap())
		}
	}
	if n != 300_000 || most > before+4<<20 {
		t.Errorf("%d results; want 300,000. The heap grew from %d to %d bytes; want at most 4 MiB more", n, before, most)
	}
}

func TestEnqueue_KeepsInvalidNumbersAsGiven(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	in := []string{"", "a,b\n\"c\"", "\x00\xff", strings.Repeat("7", 200)}
	if _, err := b.Enqueue(t.Context(), validCampaign(), producer.Numbers(in...)); err != nil {
		t.Fatal(err)
	}
	in[3] = in[3][:64]
	i := 0
	for r, err := range b.Results(t.Context(), "c") {
		if err != nil || r.Input != in[i] || r.Row != i+1 {
			t.Errorf("row %d: input %q, error %v; want the input as uploaded", r.Row, r.Input, err)
		}
		i++
	}
	if i != len(in) {
		t.Errorf("%d results; want one for each recipient", i)
	}
}

func TestContentID_DependsOnTheContentOnly(t *testing.T) {
	t.Parallel()
	id := func(c producer.Campaign, to ...string) string {
		t.Helper()
		s, err := producer.ContentID(c, producer.Numbers(to...))
		if err != nil || !ledger.ValidID(s) {
			t.Fatal(s, err)
		}
		return s
	}
	c := validCampaign()
	one := id(c, "1", "2")
	c.ID, c.Class = "other", producer.Marketing
	if got := id(c, "1", "2"); got != one {
		t.Error("an ID or the default class changed the content ID; want the same")
	}
	if id(c, "2", "1") == one || id(c, "12") == one || id(c, "1", "2", "") == one {
		t.Error("other recipients did not change the content ID")
	}
	c.Body = "Bye"
	if id(c, "1", "2") == one {
		t.Error("another body did not change the content ID")
	}
	c.Body = "It’s {on}"
	curly := id(c, "1")
	c.Transliterate = true
	straight := id(c, "1")
	if c.Body = "It's {on}"; straight == curly || straight != id(c, "1") {
		t.Error("a transliterated body does not have the content ID of its GSM-7 form")
	}
	c.Transliterate = false
	if straight != id(c, "1") {
		t.Error("Transliterate changed the content ID of a GSM-7 body")
	}
	broken := errors.New("broken")
	_, err := producer.ContentID(c, func(yield func(producer.Recipient, error) bool) { yield(producer.Recipient{}, broken) })
	if !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestEnqueue_FullRedisIsErrFull(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	info, err := b.rdb.InfoMap(t.Context(), "memory").Result()
	if err != nil {
		t.Fatal(err)
	}
	used, err := strconv.Atoi(info["Memory"]["used_memory"])
	if err != nil {
		t.Fatal(err)
	}
	if err := b.rdb.ConfigSet(t.Context(), "maxmemory", strconv.Itoa(used)).Err(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Enqueue(t.Context(), validCampaign(), manyRecipients(1)); !errors.Is(err, producer.ErrFull) {
		t.Errorf("Enqueue into a full Redis: error %v; want ErrFull", err)
	}
	if keys := b.rdb.Keys(t.Context(), "tuma:{c}*").Val(); len(keys) != 0 {
		t.Errorf("the keys %v remain; want none", keys)
	}
}
