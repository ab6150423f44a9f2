package worker_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers/kobo"
	"github.com/tuma-sms/tuma/worker"
)

// All idempotency keys of a campaign begin with the same 48 bits, which differ between campaigns.
// So the sandbox counts a duplicate only if one campaign sends a text twice to a number, not if two
// campaigns send the same text.
func TestIdempotencyKey_ShowsTheCampaign(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.start(r.account(func(c *kobo.Config, _ *worker.Account) { c.MaxRecipients = 10 }))
	numbers := kenyanNumbers(40)
	keys, prefixes := map[string]bool{}, map[string]string{}
	for _, id := range []string{"first", "second"} {
		r.enqueue(id, numbers)
		if s := r.wait(id, 20*time.Second); s.Accepted != 40 {
			t.Errorf("%s: got %d accepted, want 40", id, s.Accepted)
		}
		for x, err := range r.producer.Results(t.Context(), id) {
			if err != nil {
				t.Fatal(err)
			}
			key, err := uuid.Parse(x.MessageUUID)
			if err != nil || key.Version() != 8 || key.Variant() != uuid.RFC4122 {
				t.Fatalf("got key %q (%v), want a UUID of version 8", x.MessageUUID, err)
			}
			keys[x.MessageUUID] = true
			prefix := x.MessageUUID[:13]
			if of, ok := prefixes[prefix]; ok && of != id {
				t.Fatalf("campaigns %s and %s share the prefix %s", of, id, prefix)
			}
			prefixes[prefix] = id
		}
	}
	if len(keys) != 8 || len(prefixes) != 2 {
		t.Errorf("got %d keys with %d prefixes, want 8 keys with 2 prefixes", len(keys), len(prefixes))
	}
	if got := r.gateway.Stats(); got.Accepted != 80 || got.Numbers != 40 || got.Duplicates != 0 {
		t.Errorf("got %d accepted, %d numbers, %d duplicates; want 80, 40, 0", got.Accepted, got.Numbers, got.Duplicates)
	}
}

// A retry sends the messages of a campaign a second time. The sandbox must count them as
// duplicates.
func TestSandbox_CountsAMessageThatItsCampaignSendsTwice(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.start(r.africasTalkingAccount(worker.OnUnknownKeep))
	r.gateway.FailNext(1, "accept_close")
	r.enqueue("c", kenyanNumbers(5))
	if s := r.wait("c", 20*time.Second); s.Unknown != 5 {
		t.Fatalf("got %d unknown, want 5", s.Unknown)
	}
	if _, err := r.producer.Retry(t.Context(), "c", producer.RetryOptions{Unknown: true}); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 20*time.Second); s.Accepted != 5 {
		t.Fatalf("got %d accepted, want 5", s.Accepted)
	}
	if got := r.gateway.Stats(); got.Accepted != 10 || got.Duplicates != 5 {
		t.Errorf("got %d accepted, %d duplicates; want 10, 5", got.Accepted, got.Duplicates)
	}
}
