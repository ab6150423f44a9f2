package producertest_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/producer/producertest"
)

// startUps is the number of starts that the test times.
const startUps = 20

// New takes some 50 ms, even on a busy machine with the race detector. The package documentation
// promises a first message within one second.
func TestNew_FirstMessageWithinASecond(t *testing.T) {
	t.Parallel()
	var ready, sent []time.Duration
	for range startUps {
		t.Run("start", func(t *testing.T) { //nolint:paralleltest // each start is timed alone
			begin := time.Now()
			tuma := producertest.New(t)
			ready = append(ready, time.Since(begin))
			enqueue(t, tuma.Client(), nil, number)
			tuma.AssertSent(t, number, "Hello")
			sent = append(sent, time.Since(begin))
		})
	}
	slices.Sort(ready)
	slices.Sort(sent)
	t.Logf("ready after %s (median; longest %s), first message sent after %s (longest %s)",
		ready[startUps/2], ready[startUps-1], sent[startUps/2], sent[startUps-1])
	if sent[startUps/2] > time.Second {
		t.Errorf("the first message was sent after %s (median); want at most 1 s", sent[startUps/2])
	}
}

func TestNew_InstancesShareNothing(t *testing.T) {
	t.Parallel()
	for i := range 8 {
		t.Run("instance", func(t *testing.T) {
			t.Parallel()
			tuma := producertest.New(t)
			if i%2 == 1 {
				tuma.RejectNext(1, "barred")
			}
			// Each Tuma gets a campaign with the same ID and different content. This works only
			// if two Tumas share no data.
			enqueue(t, tuma.Client(), func(c *producer.Campaign) { c.Body = fmt.Sprintf("Hello %d", i) }, number)
			if i%2 == 1 {
				tuma.AssertStatus(t, "a", number, "rejected")
			} else {
				tuma.AssertSent(t, number, fmt.Sprintf("Hello %d", i))
			}
		})
	}
}

func TestNew_ManyGoroutinesShareOne(t *testing.T) {
	t.Parallel()
	tuma := producertest.NewWith(t, producertest.Config{Timeout: time.Minute}) // 20 goroutines wait for one worker
	var work sync.WaitGroup
	for i := range 20 {
		work.Go(func() {
			c := producer.Campaign{ID: fmt.Sprintf("c%d", i), Via: "test", Body: "Hello"}
			if _, err := tuma.Client().Enqueue(t.Context(), c, producer.Numbers(fmt.Sprintf("07220000%02d", i))); err != nil {
				t.Error(err)
			}
			tuma.FailNext(1, nil)
			tuma.AssertStatus(t, c.ID, fmt.Sprintf("07220000%02d", i), "accepted")
			_ = tuma.Sent(t)
		})
	}
	work.Wait()
	sent := tuma.Sent(t)
	if len(sent) != 20 {
		t.Errorf("sent %v; want 20 messages", sent)
	}
	for _, m := range sent {
		if m.To != fmt.Sprintf("2547220000%02s", m.Campaign[1:]) {
			t.Errorf("message %s; want a message to 2547220000%02s", m, m.Campaign[1:])
		}
	}
}

func TestRedis_ServiceMayCloseItsOwnClient(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	client, err := producer.New(tuma.Redis())
	if err != nil {
		t.Fatal(err)
	}
	enqueue(t, client, nil, number)
	if err := errors.Join(client.Close(), tuma.Redis().Close()); err != nil {
		t.Fatal(err)
	}
	tuma.AssertSent(t, "+254 712 345 678", "Hello")
}

func TestNewWith_ConfigReachesTheMessages(t *testing.T) {
	t.Parallel()
	tuma := producertest.NewWith(t, producertest.Config{Accounts: []string{"one", "two"}, Sender: "SHOP", Country: "NG"})
	c := producer.Campaign{ID: "a", Body: "Dear {{name}}"}
	recipients := func(yield func(producer.Recipient, error) bool) {
		yield(producer.Recipient{Number: "0803 123 4567", Fields: map[string]string{"Name": "Ada"}}, nil)
	}
	if _, err := tuma.Client().Enqueue(t.Context(), c, recipients); err != nil {
		t.Fatal(err)
	}
	enqueue(t, tuma.Client(), func(c *producer.Campaign) { c.ID, c.Via, c.From = "b", "two", "ACME" }, "0803 123 4567")
	tuma.AssertStatus(t, "b", "0803 123 4567", "accepted")
	sent := tuma.SentTo(t, "0803 123 4567")
	slices.SortFunc(sent, func(a, b producertest.Message) int { return len(b.Campaign+b.Body) - len(a.Campaign+a.Body) })
	if len(sent) != 2 {
		t.Fatalf("sent %v; want 2 messages", sent)
	}
	if m := sent[0]; m.Body != "Dear Ada" || m.From != "SHOP" || m.Account != "one" || m.Campaign != "a" {
		t.Errorf("message %+v; want Dear Ada from SHOP, account one, campaign a", m)
	}
	if m := sent[1]; m.Body != "Hello" || m.From != "ACME" || m.Account != "two" || m.Campaign != "b" {
		t.Errorf("message %+v; want Hello from ACME, account two, campaign b", m)
	}
}

func TestSent_PausedCampaignIsAtRest(t *testing.T) {
	t.Parallel()
	tuma := producertest.NewWith(t, producertest.Config{MaxRecipients: 1})
	tuma.Block()
	enqueue(t, tuma.Client(), nil, number, "0722000001", "0722000002")
	tuma.AwaitBlocked(t, 1)
	if in, err := tuma.Client().Pause(t.Context(), "a"); err != nil || in.Calls != 1 {
		t.Fatalf("Pause: %d calls in flight, error %v; want 1", in.Calls, err)
	}
	tuma.Unblock()
	if sent := tuma.Sent(t); len(sent) != 1 {
		t.Errorf("sent %v after Pause and Unblock; want 1 message", sent)
	}
	for r, err := range tuma.Client().Results(t.Context(), "a") { // any of the three calls may be the first
		if err != nil {
			t.Fatal(err)
		}
		want := "pending"
		if slices.ContainsFunc(tuma.Sent(t), func(m producertest.Message) bool { return m.To == r.MSISDN }) {
			want = "accepted"
		}
		tuma.AssertStatus(t, "a", r.Input, want)
	}
	if _, err := tuma.Client().Resume(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if sent := tuma.Sent(t); len(sent) != 3 {
		t.Errorf("sent %v after Resume; want 3 messages", sent)
	}
}

func TestSent_CancelledCampaignWaitsForCallsInFlight(t *testing.T) {
	t.Parallel()
	tuma := producertest.NewWith(t, producertest.Config{MaxRecipients: 1})
	tuma.Block()
	tuma.Block() // a second Block changes nothing
	enqueue(t, tuma.Client(), nil, number, "0722000001")
	tuma.AwaitBlocked(t, 1)
	if _, err := tuma.Client().Cancel(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	tuma.Unblock()
	tuma.Unblock()
	sent := tuma.Sent(t)
	s, err := tuma.Client().Status(t.Context(), "a")
	if err != nil || len(sent) != 1 || s.Accepted != 1 || s.Skipped != 1 {
		t.Errorf("sent %v, status %+v, %v; want 1 sent and 1 skipped", sent, s, err)
	}
}

func TestBlock_TestMayEndWithBlockedCalls(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	tuma.Block()
	enqueue(t, tuma.Client(), nil, number)
	tuma.AwaitBlocked(t, 1)
}

func TestSent_FailedEnqueueIsNotAwaited(t *testing.T) {
	t.Parallel()
	tuma := producertest.New(t)
	broken := func(yield func(producer.Recipient, error) bool) {
		_ = yield(producer.Recipient{Number: number}, nil) && yield(producer.Recipient{}, errors.New("the database is gone"))
	}
	if _, err := tuma.Client().Enqueue(t.Context(), producer.Campaign{ID: "a", Via: "test", Body: "Hello"}, broken); err == nil {
		t.Error("Enqueue of a broken sequence returned no error")
	}
	if sent := tuma.Sent(t); len(sent) != 0 {
		t.Errorf("sent %v; want nothing", sent)
	}
}

func TestSent_LargeCampaignCountsEqualTheStatus(t *testing.T) {
	t.Parallel()
	tuma := producertest.NewWith(t, producertest.Config{Timeout: time.Minute})
	enqueue(t, tuma.Client(), func(c *producer.Campaign) { c.ID = "proof" }, "0733000000")
	tuma.AssertStatus(t, "proof", "0733000000", "accepted") // without an accepted message, workers hold the account after 50 rejected recipients
	tuma.RejectNext(3, "barred")
	tuma.FailNext(3, nil)
	numbers := make([]string, 20_000)
	for i := range numbers {
		numbers[i] = fmt.Sprintf("0722%06d", i)
	}
	enqueue(t, tuma.Client(), nil, numbers...)
	sent := tuma.Sent(t)
	s, err := tuma.Client().Status(t.Context(), "a")
	if err != nil || s.Accepted != len(sent)-1 || s.Rejected != 1500 || s.Accepted+s.Rejected != len(numbers) {
		t.Errorf("sent %d, status %+v, %v; want as many accepted as sent, and 1500 rejected", len(sent)-1, s, err)
	}
}
