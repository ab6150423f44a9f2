package producer_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// A campaign's ID is its idempotency key. If you do not know whether Enqueue succeeded, call it
// again with the same arguments.
func ExampleClient_Enqueue() {
	ctx := context.Background()
	client, stop := startTuma(sendAll{})
	defer stop()

	campaign := producer.Campaign{ID: "order-1234", Via: "at", Body: "Your order is on its way.",
		Class: producer.Transactional, ExpiresIn: 2 * time.Hour}
	to := producer.Numbers("0712 345 678", "+254 722 000 001")

	receipt, err := client.Enqueue(ctx, campaign, to)
	fmt.Println(receipt.ID, receipt.Total, receipt.Again, err)
	receipt, err = client.Enqueue(ctx, campaign, to)
	fmt.Println(receipt.ID, receipt.Total, receipt.Again, err)

	campaign.Body = "Your order is late."
	_, err = client.Enqueue(ctx, campaign, to)
	fmt.Println(errors.Is(err, producer.ErrConflict))
	// Output:
	// order-1234 2 false <nil>
	// order-1234 2 true <nil>
	// true
}

// An ErrInvalid lists every mistake, each with its field.
func ExampleClient_Enqueue_invalid() {
	client, stop := startTuma(sendAll{})
	defer stop()

	campaign := producer.Campaign{ID: "sale", Via: "at", From: "ACMECOMPANYLTD", MaxMessages: -1}
	_, err := client.Enqueue(context.Background(), campaign, producer.Numbers("0712345678"))
	fmt.Println(errors.Is(err, producer.ErrInvalid))
	fmt.Println(err)
	// Output:
	// true
	// invalid campaign: body: must not be empty
	// max_messages: -1 must not be negative
	// from: sender "ACMECOMPANYLTD" has 14 characters, the gateway takes at most 11
}

// A sequence can read recipients from a file or a database, one at a time. An error of the
// sequence stops the upload, and nothing is enqueued.
func ExampleClient_Enqueue_sequence() {
	client, stop := startTuma(sendAll{})
	defer stop()

	subscribers := func(yield func(producer.Recipient, error) bool) {
		for n := range 100_000 {
			if !yield(producer.Recipient{Number: fmt.Sprintf("07%08d", n)}, nil) {
				return
			}
		}
	}
	receipt, err := client.Enqueue(context.Background(), producer.Campaign{ID: "newsletter", Via: "at", Body: "We open at 9."}, subscribers)
	fmt.Println(receipt.Total, err)
	// Output:
	// 100000 <nil>
}

// Each recipient's values replace the merge fields of the body.
func ExampleClient_Enqueue_mergeFields() {
	ctx := context.Background()
	client, stop := startTuma(sendAll{})
	defer stop()

	campaign := producer.Campaign{ID: "points-june", Via: "at", Body: "Habari {{first name|there}}, you have {{points}} points."}
	receipt, err := client.Enqueue(ctx, campaign, func(yield func(producer.Recipient, error) bool) {
		_ = yield(producer.Recipient{Number: "0712345678", Fields: map[string]string{"First name": "Wanjiru", "points": "7"}}, nil) &&
			yield(producer.Recipient{Number: "0722000001", Fields: map[string]string{"First name": "", "points": "12"}}, nil)
	})
	fmt.Println(receipt.Total, err)

	campaign.ID, campaign.Body = "points-july", "{{points}} points"
	_, err = client.Enqueue(ctx, campaign, func(yield func(producer.Recipient, error) bool) {
		yield(producer.Recipient{Number: "0712345678", Fields: map[string]string{"points": ""}}, nil)
	})
	var missing *producer.MissingError
	fmt.Println(errors.As(err, &missing), missing.Recipient, missing.Field)
	// Output:
	// 2 <nil>
	// true 1 points
}

// Wait blocks until every recipient has ended.
func ExampleClient_Wait() {
	ctx := context.Background()
	client, stop := startTuma(sendAll{})
	defer stop()

	if _, err := client.Enqueue(ctx, producer.Campaign{ID: "code-7", Via: "at", Body: "Your code is 482913."}, producer.Numbers("0712345678")); err != nil {
		fmt.Println(err)
		return
	}
	status, err := client.Wait(ctx, "code-7")
	fmt.Println(status.State, status.Accepted, "accepted", err)
	// Output:
	// done 1 accepted <nil>
}

// Send enqueues one message. If the caller chooses the ID, it can repeat the call, and the message is sent once.
func ExampleClient_Send() {
	ctx := context.Background()
	client, stop := startTuma(sendAll{})
	defer stop()

	code := producer.Message{ID: "login-77", Via: "at", To: "0712345678", Body: "Your code is 482913.", Ref: "user 77", ExpiresIn: 5 * time.Minute}
	for range 2 {
		receipt, err := client.Send(ctx, code)
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(receipt.ID, receipt.Again)
	}
	status, err := client.WaitMessage(ctx, "login-77")
	fmt.Println(status.Status, status.Ref, err)
	// Output:
	// login-77 false
	// login-77 true
	// accepted user 77 <nil>
}

// Results yields one result for every uploaded recipient, also for skipped recipients.
func ExampleClient_Results() {
	ctx := context.Background()
	client, stop := startTuma(sendAll{})
	defer stop()

	to := producer.Numbers("0712345678", "+254712345678", "12345")
	if _, err := client.Enqueue(ctx, producer.Campaign{ID: "opening", Via: "at", Body: "We open at 9."}, to); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := client.Wait(ctx, "opening"); err != nil {
		fmt.Println(err)
		return
	}
	for r, err := range client.Results(ctx, "opening") {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%d %s: %s %q\n", r.Row, r.Input, r.Status, r.Reason)
	}
	// Output:
	// 1 0712345678: accepted ""
	// 2 +254712345678: skipped "duplicate"
	// 3 12345: skipped "invalid_number"
}

// Once Pause returns, no new call of the campaign starts. Status.BlockedBy has the reason why
// the campaign sends nothing.
func ExampleClient_Pause() {
	ctx := context.Background()
	client, stop := startTuma(sendAll{})
	defer stop()

	campaign := producer.Campaign{ID: "opening", Via: "at", Body: "We open at 9.", StartAt: time.Now().Add(time.Hour)}
	if _, err := client.Enqueue(ctx, campaign, producer.Numbers("0712345678", "0722000001")); err != nil {
		fmt.Println(err)
		return
	}
	inFlight, err := client.Pause(ctx, "opening")
	fmt.Println("in flight:", inFlight.Calls, err)
	status, err := client.Status(ctx, "opening")
	fmt.Println(status.State, status.Pending, "pending,", status.BlockedBy[0].Reason, err)
	// Output:
	// in flight: 0 <nil>
	// paused 2 pending, paused <nil>
}

// Cancel skips the recipients that were not submitted.
func ExampleClient_Cancel() {
	ctx := context.Background()
	client, stop := startTuma(sendAll{})
	defer stop()

	campaign := producer.Campaign{ID: "sale", Via: "at", Body: "Half price today.", StartAt: time.Now().Add(time.Hour)}
	if _, err := client.Enqueue(ctx, campaign, producer.Numbers("0712345678", "0722000001")); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := client.Cancel(ctx, "sale"); err != nil {
		fmt.Println(err)
		return
	}
	status, err := client.Wait(ctx, "sale")
	fmt.Println(status.State, status.Skipped, "skipped", status.Reasons, err)
	// Output:
	// cancelled 2 skipped map[cancelled:2] <nil>
}

// Retry sends again to recipients whose outcome is unknown. They may get the message twice.
func ExampleClient_Retry() {
	ctx := context.Background()
	client, stop := startTuma(&loseFirst{})
	defer stop()

	if _, err := client.Enqueue(ctx, producer.Campaign{ID: "reminder", Via: "at", Body: "Today until 5."}, producer.Numbers("0712345678")); err != nil {
		fmt.Println(err)
		return
	}
	status, err := client.Wait(ctx, "reminder")
	fmt.Println(status.Unknown, "unknown", err)
	n, err := client.Retry(ctx, "reminder", producer.RetryOptions{Unknown: true})
	fmt.Println("sent again to", n, err)
	status, err = client.Wait(ctx, "reminder")
	fmt.Println(status.Accepted, "accepted", err)
	// Output:
	// 1 unknown <nil>
	// sent again to 1 <nil>
	// 1 accepted <nil>
}

// OptOut applies to every campaign, even to a campaign that is enqueued later.
func ExampleClient_OptOut() {
	ctx := context.Background()
	client, stop := startTuma(sendAll{})
	defer stop()

	receipt, err := client.OptOut(ctx, producer.OptOutNumbers("", "KE", "0712345678"))
	fmt.Println(receipt.Added, "added,", receipt.InFlight.Calls, "calls in flight", err)

	if _, err := client.Enqueue(ctx, producer.Campaign{ID: "sale", Via: "at", Body: "Half price today."}, producer.Numbers("0712345678", "0722000001")); err != nil {
		fmt.Println(err)
		return
	}
	status, err := client.Wait(ctx, "sale")
	fmt.Println(status.Accepted, "accepted,", status.Reasons["opted_out"], "opted out", err)
	// Output:
	// 1 added, 0 calls in flight <nil>
	// 1 accepted, 1 opted out <nil>
}

// While an account is held, its work waits and no message is lost.
func ExampleClient_Hold() {
	ctx := context.Background()
	client, stop := startTuma(sendAll{})
	defer stop()

	if err := client.Hold(ctx, "at", "maintenance"); err != nil {
		fmt.Println(err)
		return
	}
	if _, err := client.Enqueue(ctx, producer.Campaign{ID: "evening", Via: "at", Body: "Good evening."}, producer.Numbers("0712345678")); err != nil {
		fmt.Println(err)
		return
	}
	status, err := client.Status(ctx, "evening")
	fmt.Println(status.Pending, "pending,", status.BlockedBy[0].Account, status.BlockedBy[0].Reason, err)
	held, err := client.Release(ctx, "at")
	fmt.Println("was held:", held, err)
	status, err = client.Wait(ctx, "evening")
	fmt.Println(status.Accepted, "accepted", err)
	// Output:
	// 1 pending, at maintenance <nil>
	// was held: true <nil>
	// 1 accepted <nil>
}

// Accounts shows what workers publish: limits, holds and balances.
func ExampleClient_Accounts() {
	client, stop := startTuma(sendAll{})
	defer stop()

	accounts, err := client.Accounts(context.Background())
	for _, a := range accounts {
		fmt.Println(a.Name, a.Sender, a.Workers, "worker,", "held:", a.Hold.Held())
	}
	fmt.Println(err)
	// Output:
	// at ACME 1 worker, held: false
	// <nil>
}

// ContentID returns the same ID for the same content. It suits campaigns that have no better
// ID.
func ExampleContentID() {
	campaign := producer.Campaign{Via: "at", From: "ACME", Body: "We open at 9."}
	first, err := producer.ContentID(campaign, producer.Numbers("0712345678"))
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := producer.ContentID(campaign, producer.Numbers("0712345678"))
	if err != nil {
		fmt.Println(err)
		return
	}
	other, err := producer.ContentID(campaign, producer.Numbers("0722000001"))
	fmt.Println(first == again, first == other, err)
	// Output:
	// true false <nil>
}

// Preview plans a campaign without Redis and without a worker, and sends nothing.
func ExamplePreview() {
	account := producer.Account{Name: "at", Country: "KE", Price: "0.80 KES", Rate: 50, Unit: "messages", Sender: "ACME",
		Info: providers.Info{Name: "africastalking", MaxRecipients: 200, SenderAlphaMax: 11}}
	f, err := producer.Preview(context.Background(), producer.Campaign{Via: "at", Body: "We open at 9."},
		producer.Numbers("0712 345 678", "+254712345678", "12345"), producer.PreviewOptions{Accounts: []producer.Account{account}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("would send", f.Sent, "and skip", f.Skipped, f.Reasons, "for", f.Cost)
	// Output:
	// would send 1 and skip 2 map[duplicate:1 invalid_number:1] for 0.80 KES
}

// startTuma starts an embedded Redis, and a worker that serves the account "at" through the given gateway. In
// production the worker is another process. In a test, use package producertest instead.
func startTuma(gateway providers.Provider) (client *producer.Client, stop func()) {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	w, err := worker.New(worker.Config{Redis: rdb, UnsafeRedis: true, Country: "KE", SweepEvery: 20 * time.Millisecond,
		Accounts: []worker.Account{{Name: "at", Provider: gateway, Sender: "ACME"}}})
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- w.Run(ctx) }()
	client, err = producer.New(rdb, producer.WithPollInterval(5*time.Millisecond))
	if err != nil {
		panic(err)
	}
	for range time.Tick(time.Millisecond) { // wait until the worker has published its account
		accounts, err := client.Accounts(ctx)
		if err != nil {
			panic(err)
		}
		if len(accounts) > 0 {
			break
		}
	}
	return client, func() {
		cancel()
		err := <-stopped
		if errors.Is(err, context.Canceled) { // the end of ctx is not a failure
			err = nil
		}
		if err := errors.Join(err, rdb.Close()); err != nil {
			panic(err)
		}
		server.Close()
	}
}

// sendAll is a gateway that accepts every message.
type sendAll struct{}

func (sendAll) Info() providers.Info {
	return providers.Info{Name: "example", Fingerprint: "example", MaxRecipients: 500, SenderAlphaMax: 11, SenderDigitsMax: 16}
}

func (sendAll) Send(_ context.Context, b providers.Batch) ([]providers.Result, error) {
	results := make([]providers.Result, len(b.To))
	for i, to := range b.To {
		results[i] = providers.Result{Outcome: providers.Accepted, MessageID: "id-" + to.String()}
	}
	return results, nil
}

// loseFirst is a gateway without idempotency keys. The outcome of its first call is unknown.
type loseFirst struct {
	sendAll
	lost bool
}

func (g *loseFirst) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	if !g.lost {
		g.lost = true
		return make([]providers.Result, len(b.To)), nil // the zero Outcome is Unknown
	}
	return g.sendAll.Send(ctx, b)
}
