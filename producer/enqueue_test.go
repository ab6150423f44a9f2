package producer_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// now is the time that the client's clock shows in these tests, except in tests that need the clock
// of Redis.
var now = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

// bench is a client with its own Redis and without a worker.
type bench struct {
	*producer.Client
	t      *testing.T
	rdb    *redis.Client
	ledger *ledger.Ledger
}

func newBench(t *testing.T, options ...producer.Option) *bench {
	t.Helper()
	b := &bench{t: t, rdb: redistest.Start(t).Client()}
	b.ledger = ledger.New(b.rdb)
	var err error
	if b.Client, err = producer.New(b.rdb, append([]producer.Option{producer.WithPollInterval(time.Millisecond)}, options...)...); err != nil {
		t.Fatal(err)
	}
	return b
}

// serve publishes an account as a worker does.
func (b *bench) serve(name string, change ...func(*ledger.Card)) {
	b.t.Helper()
	card := ledger.Card{Name: name, Provider: "kobo", Unit: "messages", Concurrency: 8, Sender: "ACME",
		Info: providers.Info{MaxRecipients: 500, MaxChars: 905, MaxSegments: 6, SenderAlphaMax: 11, SenderDigitsMax: 16}}
	for _, f := range change {
		f(&card)
	}
	if err := b.ledger.Publish(b.t.Context(), "w1", card); err != nil {
		b.t.Fatal(err)
	}
}

func good() producer.Campaign { return producer.Campaign{ID: "c", Via: "kobo-main", Body: "Hello"} }

func TestAllMistakesComeInOneError(t *testing.T) {
	t.Parallel()
	b := newBench(t, producer.WithClock(func() time.Time { return now }))
	b.serve("kobo-main")
	b.serve("bare", func(c *ledger.Card) { c.Sender = "" })
	tests := []struct {
		name   string
		change func(*producer.Campaign)
		fields []string // of the mistakes, in order
	}{
		{"nothing wrong", func(*producer.Campaign) {}, nil},
		{"no id", func(c *producer.Campaign) { c.ID = "" }, []string{"id"}},
		{"a bad id", func(c *producer.Campaign) { c.ID = "a{b}" }, []string{"id"}},
		{"a long id", func(c *producer.Campaign) { c.ID = strings.Repeat("x", 129) }, []string{"id"}},
		{"flash where there is none", func(c *producer.Campaign) { c.Flash = true }, []string{"flash"}},
		{"no body", func(c *producer.Campaign) { c.Body = "" }, []string{"body"}},
		{"a blank body", func(c *producer.Campaign) { c.Body = " \n\t" }, []string{"body"}},
		{"a body that is not UTF-8", func(c *producer.Campaign) { c.Body = "a\xff" }, []string{"body"}},
		{"a merge field that is not closed", func(c *producer.Campaign) { c.Body = "Dear {{name" }, []string{"body"}},
		{"a body beyond all bounds", func(c *producer.Campaign) { c.Body = strings.Repeat("x", producer.MaxBody+1) }, []string{"body", "body", "body"}},
		{"too many characters and segments", func(c *producer.Campaign) { c.Body = strings.Repeat("x", 1000) }, []string{"body", "body"}},
		{"too many segments", func(c *producer.Campaign) { c.Body = strings.Repeat("ŝ", 600) }, []string{"body"}},
		{"a long sender", func(c *producer.Campaign) { c.From = "ACMECOMPANYLTD" }, []string{"from"}},
		{"a long number as sender", func(c *producer.Campaign) { c.From = "12345678901234567" }, []string{"from"}},
		{"an endless sender", func(c *producer.Campaign) { c.From = strings.Repeat("A", 1<<20) }, []string{"from"}},
		{"no sender where one is needed", func(c *producer.Campaign) { c.Via = "bare" }, []string{"from"}},
		{"an unknown class", func(c *producer.Campaign) { c.Class = "urgent" }, []string{"class"}},
		{"an unknown country", func(c *producer.Campaign) { c.Country = "XX" }, []string{"country"}},
		{"resend", func(c *producer.Campaign) { c.OnUnknown = producer.OnUnknownResend }, nil},
		{"an unknown word for the unknown", func(c *producer.Campaign) { c.OnUnknown = "drop" }, []string{"on_unknown"}},
		{"a negative cap", func(c *producer.Campaign) { c.MaxMessages = -1 }, []string{"max_messages"}},
		{"a negative cap of segments", func(c *producer.Campaign) { c.MaxSegments = -1 }, []string{"max_segments"}},
		{"a cap below one message", func(c *producer.Campaign) { c.Body, c.MaxSegments = strings.Repeat("x", 161), 1 }, []string{"max_segments"}},
		{"a start in the past", func(c *producer.Campaign) { c.StartAt = now.Add(-time.Second) }, []string{"start_at"}},
		{"an expiry in the past", func(c *producer.Campaign) { c.ExpiresAt = now.Add(-time.Second) }, []string{"expires_at"}},
		{"an expiry before the start", func(c *producer.Campaign) { c.StartAt, c.ExpiresAt = now.Add(2*time.Hour), now.Add(time.Hour) }, []string{"expires_at"}},
		{"two expiries", func(c *producer.Campaign) { c.ExpiresAt, c.ExpiresIn = now.Add(time.Hour), time.Hour }, []string{"expires_in"}},
		{"a negative time", func(c *producer.Campaign) { c.ExpiresIn = -time.Hour }, []string{"expires_in"}},
		{"no account and no routes", func(c *producer.Campaign) { c.Via = "" }, []string{"via"}},
		{"an unknown account", func(c *producer.Campaign) { c.Via = "nobody" }, []string{"via"}},
		{"everything at once", func(c *producer.Campaign) {
			*c = producer.Campaign{ID: "/", Via: "nobody", Class: "x", Country: "nowhere", OnUnknown: "x", MaxMessages: -1,
				StartAt: now.Add(-2 * time.Hour), ExpiresAt: now.Add(-3 * time.Hour), ExpiresIn: -1}
		}, []string{"id", "body", "class", "on_unknown", "max_messages", "country", "expires_in", "expires_in", "expires_at", "start_at", "expires_at", "via"}},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := good()
			c.ID = fmt.Sprint("c-", i)
			tt.change(&c)
			_, err := b.Enqueue(t.Context(), c, producer.Numbers("0803 123 4567"))
			if errors.Is(err, producer.ErrInvalid) != (len(tt.fields) > 0) {
				t.Fatalf("Enqueue: error %v; want an ErrInvalid exactly if there are mistakes", err)
			}
			if got := fields(err); !slices.Equal(got, tt.fields) {
				t.Errorf("mistakes in the fields %v; want %v: %v", got, tt.fields, err)
			}
			if err != nil && len(err.Error()) > 4000 {
				t.Errorf("the error has %d bytes; want at most 4000", len(err.Error()))
			}
			if unknown := slices.Contains(tt.fields, "via") && c.Via != ""; errors.Is(err, producer.ErrUnknownAccount) != unknown {
				t.Errorf("error %v; want an ErrUnknownAccount exactly for an account that no worker serves", err)
			}
		})
	}
}

// fields returns the names of the invalid fields in an error.
func fields(err error) (out []string) {
	switch x := err.(type) { //nolint:errorlint // this function walks the whole error tree, including joined errors
	case *producer.FieldError:
		return []string{x.Field}
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			out = append(out, fields(e)...)
		}
	case interface{ Unwrap() error }:
		return fields(x.Unwrap())
	}
	return out
}

func TestTheAccountsOfTheRoutesAreChecked(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("kobo-main")
	if err := b.ledger.PublishRoutes(t.Context(), []ledger.Route{{Match: "254", Via: []string{"kobo-main", "gone"}}, {Match: "2", Via: []string{"kobo-main"}}}); err != nil {
		t.Fatal(err)
	}
	c := good()
	c.Via, c.From = "", "MUCHTOOLONGASENDER"
	_, err := b.Enqueue(t.Context(), c, producer.Numbers("0803 123 4567"))
	if got := fields(err); !slices.Equal(got, []string{"via", "from"}) || !errors.Is(err, producer.ErrUnknownAccount) {
		t.Errorf("mistakes in the fields %v; want via and from with an ErrUnknownAccount: %v", got, err)
	}
}

func TestTheSameAgainGivesTheFirstReceipt(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("kobo-main")
	c := good()
	c.StartAt, c.ExpiresIn = time.Now().Add(time.Hour), 2*time.Hour
	first, err := b.Enqueue(t.Context(), c, producer.Numbers("0803 123 4567", "x"))
	if err != nil || first.Again || first.Total != 2 || first.ID != "c" {
		t.Fatal(first, err)
	}
	later, err := producer.New(b.rdb, producer.WithClock(func() time.Time { return time.Now().Add(90 * time.Minute) }))
	if err != nil {
		t.Fatal(err)
	}
	// The start has passed and the account is gone, but enqueueing again returns the same campaign.
	if err := b.ledger.ForgetAccount(t.Context(), "kobo-main"); err != nil {
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

func TestOneCampaignComesOfManyEnqueuesAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("kobo-main")
	var mu sync.Mutex
	firsts, others := 0, 0
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			c := good()
			if i%2 == 1 {
				c.Body = "Bye"
			}
			r, err := b.Enqueue(t.Context(), c, many(3000))
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

// many returns a sequence of n recipients.
func many(n int) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		for i := range n {
			if !yield(producer.Recipient{Number: fmt.Sprintf("+234803%07d", i)}, nil) {
				return
			}
		}
	}
}

func TestAnUploadThatIsCutOffLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("kobo-main")
	broken := errors.New("the file broke off")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cut := func(at int, do func() error) iter.Seq2[producer.Recipient, error] {
		return func(yield func(producer.Recipient, error) bool) {
			i := 0
			for r := range many(20_000) {
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
		"at once":           {t.Context(), cut(1, func() error { return broken }), broken},
		"in the middle":     {t.Context(), cut(15_000, func() error { return broken }), broken},
		"by its caller":     {ctx, cut(15_000, func() error { cancel(); return nil }), context.Canceled},
		"with no one in it": {t.Context(), producer.Numbers(), producer.ErrInvalid},
		"no sequence":       {t.Context(), nil, producer.ErrInvalid},
	} {
		if _, err := b.Enqueue(tt.ctx, good(), tt.to); !errors.Is(err, tt.want) {
			t.Errorf("%s: error %v; want the error of this case", name, err)
		}
		if keys := b.rdb.Keys(t.Context(), "tuma:{c}*").Val(); len(keys) != 0 {
			t.Errorf("%s: the keys %v remain; want none", name, keys)
		}
	}
	if n := b.rdb.Exists(t.Context(), "asynq:{tuma-plan}:pending").Val(); n != 0 {
		t.Error("a plan task was queued; want none")
	}
	r, err := b.Enqueue(t.Context(), good(), many(20_000))
	if err != nil || r.Again || r.Total != 20_000 {
		t.Errorf("Enqueue after the errors = %+v, %v; want a first receipt for 20,000", r, err)
	}
}

// Not parallel: this test measures the heap, which all tests share.
func TestMemoryDoesNotGrowWithTheRecipients(t *testing.T) { //nolint:paralleltest // see above
	b := newBench(t)
	b.serve("kobo-main")
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	if _, err := b.Enqueue(t.Context(), good(), many(20_000)); err != nil { // makes the allocations that happen only once
		t.Fatal(err)
	}
	before, most := heap(), uint64(0)
	to := func(yield func(producer.Recipient, error) bool) {
		i := 0
		for r, err := range many(300_000) {
			if i++; i%50_000 == 0 {
				most = max(most, heap())
			}
			if !yield(r, err) {
				return
			}
		}
	}
	c := good()
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

func TestWhatIsNoNumberIsKeptAsItCame(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.serve("kobo-main")
	in := []string{"", "a,b\n\"c\"", "\x00\xff", strings.Repeat("7", 200)}
	if _, err := b.Enqueue(t.Context(), good(), producer.Numbers(in...)); err != nil {
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

func TestTheContentNamesACampaign(t *testing.T) {
	t.Parallel()
	id := func(c producer.Campaign, to ...string) string {
		t.Helper()
		s, err := producer.ContentID(c, producer.Numbers(to...))
		if err != nil || !ledger.ValidID(s) {
			t.Fatal(s, err)
		}
		return s
	}
	c := good()
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

func TestAFullRedisTakesNoCampaign(t *testing.T) {
	t.Parallel()
	b := newBench(t)
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
	if _, err := b.Enqueue(t.Context(), good(), many(1)); !errors.Is(err, producer.ErrFull) {
		t.Errorf("Enqueue into a full Redis: error %v; want ErrFull", err)
	}
	if keys := b.rdb.Keys(t.Context(), "tuma:{c}*").Val(); len(keys) != 0 {
		t.Errorf("the keys %v remain; want none", keys)
	}
}
