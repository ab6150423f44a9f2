package producer_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// openRedis stands in for your Redis, on which a worker serves the account kobo-main.
func openRedis() (rdb *redis.Client, done func()) {
	server, err := miniredis.Run()
	if err != nil {
		panic(err)
	}
	rdb = redis.NewClient(&redis.Options{Addr: server.Addr()})
	card := ledger.Card{Name: "kobo-main", Provider: "kobo", Unit: "messages", Concurrency: 8,
		Info: providers.Info{MaxRecipients: 500, MaxChars: 905, SenderAlphaMax: 11, SenderDigitsMax: 16}}
	if err := ledger.New(rdb).Publish(context.Background(), "example", card); err != nil {
		panic(err)
	}
	return rdb, func() {
		_ = rdb.Close()
		server.Close()
	}
}

// A campaign's ID is its idempotency key: whoever does not know whether an Enqueue
// went through, enqueues the same again.
func ExampleClient_Enqueue() {
	ctx := context.Background()
	rdb, done := openRedis()
	defer done()

	client, err := producer.New(rdb)
	if err != nil {
		fmt.Println(err)
		return
	}
	campaign := producer.Campaign{ID: "order-1234", Via: "kobo-main", From: "ACME", Body: "Your order is on its way.",
		Class: producer.Transactional, ExpiresIn: 2 * time.Hour}
	to := producer.Numbers("0803 123 4567", "+234 805 765 4321")

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

// All mistakes come in one error, each with its field.
func ExampleClient_Enqueue_invalid() {
	ctx := context.Background()
	rdb, done := openRedis()
	defer done()

	client, err := producer.New(rdb)
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.Enqueue(ctx, producer.Campaign{ID: "sale", Via: "kobo-main", From: "ACMECOMPANYLTD"}, producer.Numbers("08031234567"))
	fmt.Println(errors.Is(err, producer.ErrInvalid))
	fmt.Println(err)
	// Output:
	// true
	// invalid campaign: body: must not be empty
	// from: sender "ACMECOMPANYLTD" has 14 characters, the gateway takes 11
}

// Recipients can come from anywhere, one by one: a file, rows of a database. An
// error of theirs ends the upload, and nothing is enqueued.
func ExampleClient_Enqueue_sequence() {
	ctx := context.Background()
	rdb, done := openRedis()
	defer done()

	client, err := producer.New(rdb)
	if err != nil {
		fmt.Println(err)
		return
	}
	subscribers := func(yield func(producer.Recipient, error) bool) {
		for n := range 100_000 {
			if !yield(producer.Recipient{Number: fmt.Sprintf("0803%07d", n)}, nil) {
				return
			}
		}
	}
	receipt, err := client.Enqueue(ctx, producer.Campaign{ID: "newsletter", Via: "kobo-main", From: "ACME", Body: "We open at 9."}, subscribers)
	fmt.Println(receipt.Total, err)
	// Output:
	// 100000 <nil>
}

// Pause stops a campaign before its next call; a status says why nothing moves.
func ExampleClient_Pause() {
	ctx := context.Background()
	rdb, done := openRedis()
	defer done()

	client, err := producer.New(rdb)
	if err != nil {
		fmt.Println(err)
		return
	}
	campaign := producer.Campaign{ID: "opening", Via: "kobo-main", From: "ACME", Body: "We open at 9."}
	if _, err := client.Enqueue(ctx, campaign, producer.Numbers("08031234567", "08057654321")); err != nil {
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

// ExampleContentID gives a campaign without a name one that its content decides.
func ExampleContentID() {
	campaign := producer.Campaign{Via: "kobo-main", From: "ACME", Body: "We open at 9."}
	first, err := producer.ContentID(campaign, producer.Numbers("08031234567"))
	if err != nil {
		fmt.Println(err)
		return
	}
	again, err := producer.ContentID(campaign, producer.Numbers("08031234567"))
	other, _ := producer.ContentID(campaign, producer.Numbers("08057654321"))
	fmt.Println(first == again, first == other, err)
	// Output:
	// true false <nil>
}

func ExamplePreview() {
	account := producer.Account{}
	account.Name, account.Country, account.Price, account.Rate, account.Unit, account.Sender = "kobo-main", "KE", "0.80 KES", 50, "messages", "ACME"
	account.Info.Name, account.Info.MaxRecipients, account.Info.MaxChars, account.Info.MaxSegments = "kobo", 500, 905, 6
	account.Info.SenderAlphaMax = 11
	f, err := producer.Preview(context.Background(), producer.Campaign{Via: "kobo-main", Body: "We open at 9."},
		producer.Numbers("0712 345 678", "+254712345678", "12345"), producer.PreviewOptions{Accounts: []producer.Account{account}})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(f.Sent, f.Reasons["duplicate"], f.Reasons["invalid_number"], *f.Calls, f.Segments, f.Cost)
	// Output: 1 1 1 1 1 0.80 KES
}
