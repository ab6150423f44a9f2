package producertest_test

import (
	"testing"
	"time"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/producer/producertest"
)

func TestAdvance_StartsACampaign(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	client, err := producer.New(tuma.Redis()) // its clock is time.Now
	if err != nil {
		t.Fatal(err)
	}
	enqueue(t, client, func(c *producer.Campaign) { c.StartAt = time.Now().Add(24 * time.Hour) }, number)
	tuma.Advance(t, 23*time.Hour)
	if sent := tuma.Sent(t); len(sent) != 0 {
		t.Errorf("sent %v an hour before StartAt; want nothing", sent)
	}
	tuma.Advance(t, time.Hour)
	tuma.AssertSent(t, number, "Hello")
	// After an Advance the clock must keep running, and a worker must serve the account.
	enqueue(t, tuma.Client(), func(c *producer.Campaign) { c.ID, c.ExpiresIn = "b", time.Hour }, "0722000000")
	tuma.AssertSent(t, "0722000000", "Hello")
	tuma.FailNext(1, nil)
	enqueue(t, tuma.Client(), func(c *producer.Campaign) { c.ID = "c" }, "0722000001")
	tuma.AssertSent(t, "0722000001", "Hello")
	accounts, err := tuma.Client().Accounts(t.Context())
	if err != nil || len(accounts) != 1 || accounts[0].Workers != 1 {
		t.Errorf("accounts %+v, %v; want one with one worker", accounts, err)
	}
}

func TestAdvance_ExpiresACampaign(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	if err := tuma.Client().Hold(t.Context(), "test", ""); err != nil {
		t.Fatal(err)
	}
	enqueue(t, tuma.Client(), func(c *producer.Campaign) { c.ExpiresIn = time.Hour }, number)
	tuma.Advance(t, 2*time.Hour)
	tuma.AssertStatus(t, "a", number, "skipped")
	if sent := tuma.Sent(t); len(sent) != 0 {
		t.Errorf("sent %v; want nothing", sent)
	}
}

func TestAdvance_RefusedWithCallsInFlight(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	tuma.Block()
	enqueue(t, tuma.Client(), nil, number)
	tuma.AwaitBlocked(t, 1)
	expectFailure(t, true, func(f testing.TB) { tuma.Advance(f, time.Hour) }, "1 call is waiting in the gateway", "call Unblock first")
	expectFailure(t, true, func(f testing.TB) { tuma.Advance(f, -time.Hour) }, "-1h0m0s", "must be positive")
	tuma.Unblock()
	tuma.AssertSent(t, number, "Hello")
}
