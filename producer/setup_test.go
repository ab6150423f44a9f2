package producer_test

import (
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// The variable "now" is the time that the client's clock shows in these tests. Tests that use the
// clock of Redis are an exception.
var now = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

// testClient is a client with its own Redis and without a worker.
type testClient struct {
	*producer.Client
	t      *testing.T
	rdb    *redis.Client
	ledger *ledger.Ledger
}

func newTestClient(t *testing.T, options ...producer.Option) *testClient {
	t.Helper()
	return newTestClientAt(t, redistest.Start(t), options...)
}

// newTestClientAt returns a client of the given server.
func newTestClientAt(t *testing.T, server *redistest.Server, options ...producer.Option) *testClient {
	t.Helper()
	b := &testClient{t: t, rdb: server.Client()}
	b.ledger = ledger.New(b.rdb)
	var err error
	if b.Client, err = producer.New(b.rdb, append([]producer.Option{producer.WithPollInterval(time.Millisecond)}, options...)...); err != nil {
		t.Fatal(err)
	}
	return b
}

// serve publishes an account as a worker does.
func (b *testClient) serve(name string, change ...func(*campaign.Card)) {
	b.t.Helper()
	card := campaign.Card{Name: name, Provider: "kobo", Unit: "messages", Concurrency: 8, Sender: "ACME",
		Info: providers.Info{MaxRecipients: 500, MaxChars: 905, MaxSegments: 6, SenderAlphaMax: 11, SenderDigitsMax: 16}}
	for _, f := range change {
		f(&card)
	}
	if err := accounts.New(b.ledger.Runner()).Publish(b.t.Context(), "w1", card); err != nil {
		b.t.Fatal(err)
	}
}

func validCampaign() producer.Campaign {
	return producer.Campaign{ID: "c", Via: "kobo-main", Body: "Hello"}
}

// manyRecipients returns a sequence of n recipients.
func manyRecipients(n int) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		for i := range n {
			if !yield(producer.Recipient{Number: fmt.Sprintf("+234803%07d", i)}, nil) {
				return
			}
		}
	}
}

func (b *testClient) enqueue(c producer.Campaign, n int) {
	b.t.Helper()
	if _, err := b.Enqueue(b.t.Context(), c, manyRecipients(n)); err != nil {
		b.t.Fatal(err)
	}
}

func (b *testClient) status(id string) producer.Status {
	b.t.Helper()
	s, err := b.Status(b.t.Context(), id)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// newTestClientOn returns a further client, which uses the Redis of the testClient b.
func newTestClientOn(t *testing.T, b *testClient, options ...producer.Option) *producer.Client {
	t.Helper()
	c, err := producer.New(b.rdb, options...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
