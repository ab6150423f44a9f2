package producertest_test

import (
	"errors"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/producer/producertest"
	"github.com/tuma-sms/tuma/providers"
)

const number = "254712345678"

// enqueue enqueues a campaign with the ID "a" and a body. If the parameter "change" is not nil,
// enqueue first calls it to change the campaign.
func enqueue(t *testing.T, client *producer.Client, change func(*producer.Campaign), numbers ...string) {
	t.Helper()
	c := producer.Campaign{ID: "a", Via: "test", Body: "Hello"}
	if change != nil {
		change(&c)
	}
	if _, err := client.Enqueue(t.Context(), c, producer.Numbers(numbers...)); err != nil {
		t.Fatal(err)
	}
}

// countAnswered counts the messages whose answers the worker received.
func countAnswered(sent []producertest.Message) (n int) {
	for _, m := range sent {
		if !m.Lost {
			n++
		}
	}
	return n
}

func TestFault_EachEndsInItsStatus(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	refused := &providers.Error{Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseConnection}
	for name, tt := range map[string]struct {
		cfg    producertest.Config
		script func(*testing.T, *producertest.Tuma)
		change func(*producer.Campaign)
		status string
		sent   int
	}{
		"none":       {status: "accepted", sent: 1},
		"FailNext 1": {script: func(_ *testing.T, u *producertest.Tuma) { u.FailNext(1, nil) }, status: "accepted", sent: 1},
		"FailNext 5": {script: func(_ *testing.T, u *producertest.Tuma) { u.FailNext(5, errors.New("busy")) }, status: "accepted", sent: 1},
		"FailNext 0": {script: func(_ *testing.T, u *producertest.Tuma) { u.FailNext(0, nil) }, status: "accepted", sent: 1},
		"no connection, three times": {script: func(_ *testing.T, u *producertest.Tuma) { u.FailNext(3, refused) },
			status: "accepted", sent: 1, cfg: producertest.Config{Timeout: time.Minute}},
		"UnknownNext": {script: func(_ *testing.T, u *producertest.Tuma) { u.UnknownNext(1) }, status: "unknown", sent: 1},
		"UnknownNext, resend": {script: func(_ *testing.T, u *producertest.Tuma) { u.UnknownNext(1) },
			change: func(c *producer.Campaign) { c.OnUnknown = producer.OnUnknownResend }, status: "accepted", sent: 2},
		"UnknownNext with keys":   {script: func(_ *testing.T, u *producertest.Tuma) { u.UnknownNext(1) }, cfg: producertest.Config{KeyTTL: day}, status: "accepted", sent: 1},
		"UnknownNext 2 with keys": {script: func(_ *testing.T, u *producertest.Tuma) { u.UnknownNext(2) }, cfg: producertest.Config{KeyTTL: day}, status: "accepted", sent: 1},
		"FailNext, then UnknownNext": {script: func(_ *testing.T, u *producertest.Tuma) {
			u.FailNext(1, nil)
			u.UnknownNext(1)
		}, status: "unknown", sent: 1},
		"RejectNext":   {script: func(_ *testing.T, u *producertest.Tuma) { u.RejectNext(1, "invalid_number") }, status: "rejected"},
		"RejectNumber": {script: func(t *testing.T, u *producertest.Tuma) { u.RejectNumber(t, "0712345678", "barred") }, status: "rejected"},
		"blacklisted":  {script: func(t *testing.T, u *producertest.Tuma) { u.RejectNext(1, providers.ReasonBlacklisted) }, status: "rejected"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tuma := producertest.NewWith(t, tt.cfg)
			if tt.script != nil {
				tt.script(t, tuma)
			}
			enqueue(t, tuma.Client(), tt.change, number)
			tuma.AssertStatus(t, "a", number, tt.status)
			sent := tuma.Sent(t)
			if len(sent) != tt.sent {
				t.Errorf("sent %v, want %d messages", sent, tt.sent)
			}
			for _, m := range sent {
				if m.Campaign != "a" || m.To != number || m.From != "TUMA" || m.Account != "test" || m.IdempotencyKey == "" || m.ID == "" {
					t.Errorf("message %+v; want campaign a, the number, TUMA, account test, a key and an ID", m)
				}
			}
			s, err := tuma.Client().Status(t.Context(), "a")
			if n := countAnswered(sent); err != nil || s.Accepted != n {
				t.Errorf("the status counts %d accepted (error %v); want %d, as the gateway does", s.Accepted, err, n)
			}
		})
	}
}

func TestRejectNext_BlacklistedNumberIsSkippedLater(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	// A worker adds a blacklisted number to the suppression list only if the gateway accepts other
	// messages of the sender before and after the rejection.
	enqueue(t, tuma.Client(), func(c *producer.Campaign) { c.ID = "before" }, "0733000000")
	tuma.AssertStatus(t, "before", "0733000000", "accepted")
	tuma.RejectNext(1, providers.ReasonBlacklisted)
	enqueue(t, tuma.Client(), nil, number)
	tuma.AssertStatus(t, "a", number, "rejected")
	enqueue(t, tuma.Client(), func(c *producer.Campaign) { c.ID = "after" }, "0733000000")
	tuma.AssertStatus(t, "after", "0733000000", "accepted")
	enqueue(t, tuma.Client(), func(c *producer.Campaign) { c.ID = "b" }, number, "0722000000")
	tuma.AssertStatus(t, "b", number, "skipped")
	tuma.AssertSent(t, "0722000000", "Hello")
}

func TestUnknownNext_RetryIsRecorded(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	tuma.UnknownNext(1)
	enqueue(t, tuma.Client(), nil, number)
	tuma.AssertStatus(t, "a", number, "unknown")
	if _, err := tuma.Client().Retry(t.Context(), "a", producer.RetryOptions{Unknown: true}); err != nil {
		t.Fatal(err)
	}
	tuma.Advance(t, time.Minute) // a retry begins after five seconds
	tuma.AssertStatus(t, "a", number, "accepted")
	sent := tuma.SentTo(t, "0712 345 678")
	if len(sent) != 2 || !sent[0].Lost || sent[1].Lost || sent[0].IdempotencyKey == sent[1].IdempotencyKey || sent[0].Campaign != "a" || sent[1].Campaign != "a" {
		t.Errorf("sent %v; want 2 messages, the first lost", sent)
	}
}

func TestRejectNumber_RejectsOnlyThatNumber(t *testing.T) {
	t.Parallel()
	tuma := producertest.NewWith(t, producertest.Config{MaxRecipients: 2})
	tuma.RejectNumber(t, number, "barred")
	numbers := []string{number, "0722000001", "0722000002", "0722000003", "0722000004"}
	enqueue(t, tuma.Client(), nil, numbers...)
	sent := tuma.Sent(t)
	calls := map[string]int{}
	for _, m := range sent {
		calls[m.IdempotencyKey]++
	}
	if len(sent) != 4 || len(calls) != 3 {
		t.Errorf("sent %v in %d calls; want 4 messages in 3 calls", sent, len(calls))
	}
	for key, n := range calls {
		if n > 2 {
			t.Errorf("call %s has %d recipients; want at most 2", key, n)
		}
	}
	tuma.AssertStatus(t, "a", number, "rejected")
}

func TestCredit_IsDebitedAndRunsOut(t *testing.T) {
	t.Parallel()
	tuma := producertest.NewWith(t, producertest.Config{Price: "0.50 KES", Credit: 1})
	dear := producer.Campaign{ID: "dear", Via: "test", Body: "Hello", RequireCredit: true}
	_, err := tuma.Client().Enqueue(t.Context(), dear, producer.Numbers(number, "0722000001", "0722000002"))
	if !errors.Is(err, producer.ErrNoCredit) {
		t.Errorf("Enqueue of three messages with credit for two: error %v; want ErrNoCredit", err)
	}
	enqueue(t, tuma.Client(), func(c *producer.Campaign) { c.RequireCredit = true }, number, "0722000001")
	if sent := tuma.Sent(t); len(sent) != 2 {
		t.Errorf("sent %v; want 2 messages", sent)
	}
	for r, err := range tuma.Client().Results(t.Context(), "a") {
		if err != nil || r.Cost != "0.5" || r.Currency != "KES" {
			t.Errorf("cost %s %s, error %v; want 0.5 KES", r.Cost, r.Currency, err)
		}
	}
	enqueue(t, tuma.Client(), func(c *producer.Campaign) { c.ID = "b" }, "0722000003")
	awaitHold(t, tuma, "credit")
	tuma.SetCredit(10)
	if _, err := tuma.Client().Release(t.Context(), "test"); err != nil {
		t.Fatal(err)
	}
	tuma.AssertSent(t, "0722000003", "Hello")
}

// awaitHold waits until the account is held for the given reason.
func awaitHold(t *testing.T, tuma *producertest.Tuma, reason string) {
	t.Helper()
	for s, err := range tuma.Client().Watch(t.Context(), "b") {
		if err != nil {
			t.Fatal(err)
		}
		if len(s.BlockedBy) > 0 && s.BlockedBy[0].Reason == reason {
			return
		}
	}
	t.Fatalf("the account is not held for the reason %s", reason)
}
