package worker_test

import (
	"context"
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/planning"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/worker"
)

// namedRecipients yields n recipients with names. Consecutive recipients share a name: each name
// occurs as often as the parameter "share" says.
func namedRecipients(n, share int) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		fields := map[string]string{}
		for i, number := range kenyanNumbers(n) {
			fields["First name"], fields["city"] = sharedName(i, share), "Nairobi"
			if !yield(producer.Recipient{Number: number, Fields: fields}, nil) {
				return
			}
		}
	}
}

func sharedName(i, share int) string { return fmt.Sprintf("Amina %d", i/share) }

const greeting = "Habari {{first_name|there}}, from {{City}}: your points are counted."

func greetingOf(i, share int) string {
	return fmt.Sprintf("Habari %s, from Nairobi: your points are counted.", sharedName(i, share))
}

// expectGreetings checks that each of the first n recipients was sent its own body exactly once. It
// does not check the recipients whose indexes are in the parameter "except". The parameter "share"
// has the same meaning as in namedRecipients.
func (r *testTuma) expectGreetings(n, share int, except ...int) {
	r.t.Helper()
	left := map[int]bool{}
	for _, i := range except {
		left[i] = true
	}
	for i := range n {
		number := uint64(254_700_000_000 + 10_000_000 + i)
		if left[i] {
			continue
		}
		if got, times := r.gateway.Gateway("kobo").Text(number), r.gateway.Accepted(number); got != greetingOf(i, share) || times != 1 {
			r.t.Fatalf("recipient %d was sent %q, %d times", i, got, times)
		}
	}
}

func TestMergeFields_EachRecipientGetsItsOwnText(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Texts: true})
	r.start(r.account())
	const n = 2345
	_, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: greeting}, namedRecipients(n, 1))
	if err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 30*time.Second); s.Accepted != n || s.Calls != n || s.Segments != n {
		t.Fatalf("got the final status %+v, want %d accepted, %d calls and %d segments", s, n, n, n)
	}
	r.tally("c")
	r.expectGreetings(n, 1)
}

func TestMergeFields_SameTextSharesACall(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{Texts: true})
	r.start(r.account(func(_ *kobo.Config, a *worker.Account) { a.Name = "kobo-main" }))
	const n, names = 3000, 3
	interleaved := func(yield func(producer.Recipient, error) bool) {
		for i, number := range kenyanNumbers(n) {
			if !yield(producer.Recipient{Number: number, Fields: map[string]string{"n": strconv.Itoa(i % names)}}, nil) {
				return
			}
		}
	}
	if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: "You are number {{n}}"}, interleaved); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 30*time.Second); s.Accepted != n || s.Calls != n/500 {
		t.Fatalf("got the final status %+v, want %d accepted and %d calls", s, n, n/500)
	}
	for i := range n {
		if got := r.gateway.Gateway("kobo").Text(uint64(254_710_000_000 + i)); got != fmt.Sprintf("You are number %d", i%names) {
			t.Fatalf("recipient %d was sent %q", i, got)
		}
	}
}

// The first gateway is unreachable. The second gateway takes fewer recipients a call, and its
// character limit is one below the length of the longest bodies. Recipients with such a body must
// stay at the first account.
func TestMergeFields_FailoverMovesOnlyTextsThatFit(t *testing.T) {
	t.Parallel()
	const n, share = 600, 30
	r := newTestTuma(t, simulator.Options{})
	a, b := newBodyChecker(t, share, providers.Info{MaxRecipients: 500, KeyTTL: keyTTL}), newBodyChecker(t, share, providers.Info{MaxRecipients: 4})
	a.answer = func(context.Context, providers.Batch, int) ([]providers.Result, error) {
		return nil, connectionRefusedError()
	}
	b.info.MaxChars = len(greetingOf(0, share)) // the account "b" accepts only the shorter bodies: the name in them has one digit less
	r.startRouted(300*time.Millisecond, a, b)
	r.enqueueGreeting(producer.Campaign{ID: "c"}, n, share)
	short := 10 * share
	r.eventually(40*time.Second, "recipients whose body fits to be accepted", func() bool { return r.status("c").Accepted >= short })
	if s := r.status("c"); countsFor(s, "b").Accepted != short || s.Pending != n-short {
		t.Errorf("got the status %+v, want %d accepted at b and %d pending", s, short, n-short)
	}
	b.onceEach(short)
	a.acceptAll.Store(true)
	if _, err := r.producer.Release(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 40*time.Second); s.Accepted != n || int64(s.Calls) > a.calls.Load()+b.calls.Load() {
		t.Errorf("got the final status %+v, want %d accepted, and no more calls than the %d that the gateways got", s, n, a.calls.Load()+b.calls.Load())
	}
}

// A planner dies after committing the first of three pages. The next planner must know each
// recipient's body, and must fill the calls that the first planner began.
func TestMergeFields_NextPlannerKnowsEveryText(t *testing.T) {
	t.Parallel()
	const n, share = 5000, 300
	r := newTestTuma(t, simulator.Options{})
	l := ledger.New(r.rdb)
	h := newBodyChecker(t, share, providers.Info{KeyTTL: keyTTL})
	card := campaign.Card{Name: "kobo-main", Info: h.info, Unit: worker.UnitMessages, Concurrency: 1}
	if err := accounts.New(l.Runner()).Publish(t.Context(), "dead", card); err != nil {
		t.Fatal(err)
	}
	r.enqueueGreeting(producer.Campaign{ID: "c", Via: "kobo-main", MaxSegments: n - 1}, n, share)
	plan, err := l.StartPlan(t.Context(), "c", func(s campaign.Spec) (campaign.PlanSnapshot, error) {
		return campaign.PlanSnapshot{Country: "KE", Accounts: []campaign.SnapshotAccount{planning.Account(card, s, 0, 0)}}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pl, err := planning.New(plan.Spec, plan.Snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for page, err := range l.ReadPages(t.Context(), "c", 0, 1, 1) {
		if err != nil {
			t.Fatal(err)
		}
		out := pl.Page(page, false)
		if len(out.Carry[0]) == 0 {
			t.Fatal("no call was carried over")
		}
		if _, _, err := plan.CommitPage(t.Context(), "planner token", out); err != nil {
			t.Fatal(err)
		}
	}
	r.start(stubAccount(h))
	if s := r.wait("c", 40*time.Second); s.Accepted != n-1 || s.Reasons["over_cap"] != 1 || s.Calls != (n+share-1)/share {
		t.Errorf("got the final status %+v, want %d accepted, 1 over the cap and %d calls", s, n-1, (n+share-1)/share)
	}
	h.onceEach(n - 1)
}

// If the bodies of a batch are unreadable, only that batch stops. No recipient may receive the
// template instead of the rendered body.
func TestMergeFields_UnreadableTextsStopOnlyTheirBatch(t *testing.T) {
	t.Parallel()
	const n, share = 1200, 1
	for name, is := range map[string]string{"cut short": "", "noise": "\xf3\x01\x02", "of another batch": "\x00\x01\x01x"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			h := newBodyChecker(t, share, providers.Info{KeyTTL: keyTTL})
			r.publishAccount(stubAccount(h))
			r.enqueueGreeting(producer.Campaign{ID: "c", Via: "kobo-main"}, n, share)
			if _, err := r.producer.Pause(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			r.startLogged(stubAccount(h))
			r.eventually(20*time.Second, "the plan, and idle queues", func() bool {
				q := "asynq:{tuma-send:kobo-main}:"
				busy := r.rdb.LLen(t.Context(), q+"active").Val() + r.rdb.LLen(t.Context(), q+"pending").Val()
				return r.status("c").Batches == n/50 && busy == 0
			})
			was := r.hget("c", "t0.1")
			if is == "" {
				is = was[:len(was)-1]
			}
			r.hset("c", "t0.1", is)
			if _, err := r.producer.Resume(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			r.eventually(20*time.Second, "the other batches to be sent", func() bool {
				s := r.status("c")
				return s.Accepted == n-50 && s.Quarantined > 0 && s.Pending == 50 && strings.Contains(strings.Join(s.Unreadable, " "), "t0.1")
			})
			r.hset("c", "t0.1", was)
			if _, err := r.producer.Resume(t.Context(), "c"); err != nil {
				t.Fatal(err)
			}
			if s := r.wait("c", 20*time.Second); s.Accepted != n {
				t.Errorf("got the final status after the repair %+v, want %d accepted", s, n)
			}
			h.onceEach(n)
		})
	}
}

// Values and bodies are long, and there are many streams. Even so, no record in Redis may exceed 64
// KB.
func TestMergeFields_NoRecordOver64KB(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	h := newBodyChecker(t, 1, providers.Info{KeyTTL: keyTTL})
	h.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) { return h.accept(ctx, b) }
	r.publishAccount(stubAccount(h))
	const n = 400
	letters := make([]byte, 5000) // random letters, which do not compress
	lot := rand.New(rand.NewPCG(1, 2))
	for i := range letters {
		letters[i] = byte('!' + lot.IntN(90))
	}
	noise := string(letters)
	many := func(yield func(producer.Recipient, error) bool) {
		for i, number := range kenyanNumbers(n) {
			x := noise[:min(4900, i*20)]
			if !yield(producer.Recipient{Number: number, Fields: map[string]string{"a": x + "a", "b": "b" + x, "c": "c" + x, "d": "d" + x}}, nil) {
				return
			}
		}
	}
	if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: "{{a}} {{b}} {{c}} {{d}}"}, many); err != nil {
		t.Fatal(err)
	}
	largest := func() (most int64) {
		for _, f := range r.rdb.HKeys(t.Context(), "tuma:{c}:l").Val() {
			most = max(most, r.rdb.HStrLen(t.Context(), "tuma:{c}:l", f).Val())
		}
		return most
	}
	uploaded := largest()
	r.start(stubAccount(h))
	s := r.wait("c", 30*time.Second)
	if s.Accepted+s.Reasons["body_too_long"] != n || s.Accepted < 50 || s.Reasons["body_too_long"] < 50 {
		t.Errorf("got the final status %+v, want %d accepted or too long, at least 50 of each", s, n)
	}
	if got := max(uploaded, largest()); got > 64<<10 || got < 1000 {
		t.Errorf("the largest record has %d bytes", got)
	}
	segments := 0
	for x, err := range r.producer.Results(t.Context(), "c") {
		if err != nil {
			t.Fatal(err)
		}
		segments += x.Segments
	}
	if segments != s.Segments || segments <= s.Accepted {
		t.Errorf("the results have %d segments, the status %d", segments, s.Segments)
	}
}
