package worker_test

import (
	"fmt"
	"iter"
	"strconv"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/sandbox"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/worker"
)

// people yields n recipients with names, of which each stands for as many as share it.
func people(n, share int) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		fields := map[string]string{}
		for i, number := range kenyan(n) {
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

// greeted checks that each of the first n has been sent its own text, and that once.
func (r *rig) greeted(n, share int, except ...int) {
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
		if got, times := r.gateway.Desk("kobo").Text(number), r.gateway.Accepted(number); got != greetingOf(i, share) || times != 1 {
			r.t.Fatalf("recipient %d was sent %q, %d times", i, got, times)
		}
	}
}

func TestEveryoneGetsTheirOwnText(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Texts: true})
	r.start(r.account())
	const n = 2345
	_, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: greeting}, people(n, 1))
	if err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 30*time.Second); s.Accepted != n || s.Calls != n || s.Segments != n {
		t.Fatalf("it ended as %+v", s)
	}
	r.tally("c")
	r.greeted(n, 1)
}

func TestRecipientsOfTheSameTextShareACall(t *testing.T) {
	t.Parallel()
	r := newRig(t, sandbox.Options{Texts: true})
	r.start(r.account(func(_ *kobo.Config, a *worker.Account) { a.Name = "kobo-main" }))
	const n, names = 3000, 3
	interleaved := func(yield func(producer.Recipient, error) bool) {
		for i, number := range kenyan(n) {
			if !yield(producer.Recipient{Number: number, Fields: map[string]string{"n": strconv.Itoa(i % names)}}, nil) {
				return
			}
		}
	}
	if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: "You are number {{n}}"}, interleaved); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 30*time.Second); s.Accepted != n || s.Calls != n/500 {
		t.Fatalf("it ended as %+v", s)
	}
	for i := range n {
		if got := r.gateway.Desk("kobo").Text(uint64(254_710_000_000 + i)); got != fmt.Sprintf("You are number %d", i%names) {
			t.Fatalf("recipient %d was sent %q", i, got)
		}
	}
}
