package producertest_test

import (
	"testing"
	"time"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/producer/producertest"
)

func TestSent_TimeoutNamesWhatBlocks(t *testing.T) {
	t.Parallel()
	tuma := producertest.NewWith(t, producertest.Config{Timeout: 2 * time.Second})
	if err := tuma.Client().Hold(t.Context(), "test", "audit"); err != nil {
		t.Fatal(err)
	}
	enqueue(t, tuma.Client(), nil, number, "0722000001")
	wants := []string{"not at rest after 2s", "1 campaign, 1 not ended", "campaign a: ", "2 of 2 recipients pending, 0 calls in flight",
		"blocked by account test: audit, by operator, which lasts until the test or the service acts"}
	expectFailure(t, true, func(f testing.TB) { tuma.Sent(f) }, wants...)
	expectFailure(t, true, func(f testing.TB) { tuma.AssertStatus(f, "a", number, "accepted") }, wants...)
	if _, err := tuma.Client().Release(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	tuma.AssertSent(t, number, "Hello")
}

func TestSentTo_TimeoutNamesTheBlockedGateway(t *testing.T) {
	t.Parallel()
	tuma := producertest.NewWith(t, producertest.Config{Timeout: 2 * time.Second})
	tuma.Block()
	tuma.FailNext(2, nil)
	tuma.SetCredit(0)
	enqueue(t, tuma.Client(), nil, number)
	tuma.AwaitBlocked(t, 1)
	expectFailure(t, true, func(f testing.TB) { tuma.SentTo(f, number) }, "1 call in flight", "the gateway is blocked, and 1 call is waiting for its reply: use the method Unblock",
		"the script of the gateway still has answers for 2 calls", "no credit: call SetCredit")
	expectFailure(t, true, func(f testing.TB) { tuma.AwaitBlocked(f, 5) }, "1 call is waiting in the gateway after 2s, want 5", "campaign a: ")
}

func TestAssertSent_FailureListsWhatWasSent(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	expectFailure(t, false, func(f testing.TB) { tuma.AssertSent(f, number, "way") },
		"the gateway accepted 0 messages to 254712345678, want 1 message that contains \"way\"", "It accepted nothing.", "0 campaigns")
	enqueue(t, tuma.Client(), nil, number)
	expectFailure(t, false, func(f testing.TB) { tuma.AssertSent(f, "0712 345 678", "way") },
		"message to 254712345678: body is \"Hello\", want it to contain \"way\"")
	expectFailure(t, false, func(f testing.TB) { tuma.AssertSent(f, "0722 000 000", "Hello") }, "0 messages to 254722000000",
		"to 254712345678 from TUMA, campaign a: \"Hello\"")
	enqueue(t, tuma.Client(), func(c *producer.Campaign) { c.ID = "b" }, number)
	expectFailure(t, false, func(f testing.TB) { tuma.AssertSent(f, number, "Hello") }, "2 messages to 254712345678, want 1", "campaign b")
	enqueue(t, tuma.Client(), func(c *producer.Campaign) { c.ID, c.StartAt = "later", time.Now().Add(time.Hour) }, "0733000000")
	expectFailure(t, false, func(f testing.TB) { tuma.AssertSent(f, "0733000000", "Hello") }, "campaign later: scheduled, 1 of 1 recipient pending", "starts at")
}

func TestAssertStatus_FailureNamesTheStatus(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	tuma.RejectNext(1, "barred")
	enqueue(t, tuma.Client(), nil, number, "none", number)
	expectFailure(t, false, func(f testing.TB) { tuma.AssertStatus(f, "a", number, "accepted") },
		"campaign a, recipient 254712345678 is rejected, barred (scripted), want accepted")
	expectFailure(t, false, func(f testing.TB) { tuma.AssertStatus(f, "a", "0722000000", "accepted") },
		"campaign a has no recipient 254722000000, want that recipient with status accepted", "254712345678 is rejected", "\"none\" is skipped, invalid_number (not_a_number)")
	expectFailure(t, true, func(f testing.TB) { tuma.AssertStatus(f, "order-9", number, "accepted") }, "campaign order-9: no campaign with this ID was enqueued; the campaigns are:\n  a")
}

func TestNewWith_MistakesAreNamed(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	expectFailure(t, true, func(f testing.TB) { tuma.SentTo(f, "12") }, "number \"12\"")
	expectFailure(t, true, func(f testing.TB) { tuma.RejectNumber(f, "", "barred") }, "number \"\"")
	expectFailure(t, true, func(f testing.TB) { producertest.NewWith(f, producertest.Config{Price: "free"}) }, "price \"free\"", "e.g. 0.80 KES")
	expectFailure(t, true, func(f testing.TB) { producertest.NewWith(f, producertest.Config{Country: "Kenya"}) }, "country \"Kenya\"", "e.g. KE")
	expectFailure(t, true, func(f testing.TB) { producertest.NewWith(f, producertest.Config{Accounts: []string{"no name"}}) }, "no name")
	expectFailure(t, true, func(f testing.TB) { producertest.NewWith(f, producertest.Config{Accounts: []string{"a", "a"}}) }, "twice")
	expectFailure(t, true, func(f testing.TB) { producertest.NewWith(f, producertest.Config{MaxRecipients: -1}) }, "must not be negative")
}
