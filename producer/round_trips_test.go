package producer_test

import (
	"fmt"
	"testing"

	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/producer"
)

// A message takes one round trip. The client reads the account once a second and the memory of Redis
// every two seconds. So now and then a message takes one or two round trips more.
func TestSend_OneRoundTrip(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := newTestClientAt(t, server)
	b.serve("kobo-main")
	rdb := server.Client()
	trips := redistest.CountTrips(rdb)
	c, err := producer.New(rdb)
	if err != nil {
		t.Fatal(err)
	}
	send := func(i int, id string) int64 {
		before := trips()
		m := producer.Message{ID: id, Via: "kobo-main", To: fmt.Sprintf("+254712%06d", i), Body: "Code", Ref: "user 7"}
		if _, err := c.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		return trips() - before
	}
	for i := range 3 { // Redis learns the scripts
		send(i, "")
	}
	const n = 200
	var all int64
	least := int64(99)
	for i := range n {
		id := ""
		if i%2 == 0 {
			id = fmt.Sprint("order-", i)
		}
		n := send(i, id)
		all, least = all+n, min(least, n)
	}
	t.Logf("%d round trips for %d messages", all, n)
	if least != 1 || all > n+n/10 {
		t.Errorf("%d round trips for %d messages, %d for the cheapest; want one each", all, n, least)
	}
	if waiting, err := b.rdb.LLen(t.Context(), "asynq:{tuma-send-now:kobo-main}:pending").Result(); err != nil || waiting != n+3 {
		t.Errorf("%d tasks are queued, %v; want %d", waiting, err, n+3)
	}
	if !b.rdb.SIsMember(t.Context(), "asynq:queues", "tuma-send-now:kobo-main").Val() {
		t.Error("the queue is not announced to asynq's tools")
	}
}

// With one round trip, Send must still handle a repeated message, a conflict, and a Redis that has lost
// its scripts.
func TestSend_AtOnceKeepsEveryPromise(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	m := producer.Message{ID: "m", Via: "kobo-main", To: "+254712000001", Body: "Code"}
	first, err := b.Send(t.Context(), m)
	if err != nil || first.Again {
		t.Fatalf("%+v, %v; want a new message", first, err)
	}
	for _, lose := range []bool{false, true} {
		if lose {
			b.rdb.ScriptFlush(t.Context())
		}
		again, err := b.Send(t.Context(), m)
		if err != nil || !again.Again || !again.CreatedAt.Equal(first.CreatedAt) || again.To != first.To {
			t.Errorf("the same message: %+v, %v; want %+v again", again, err, first)
		}
		other := m
		other.Body = "Another code"
		if _, err := b.Send(t.Context(), other); err == nil {
			t.Error("another message with the ID is accepted")
		}
		more := m
		more.ID = fmt.Sprint("m-", lose)
		if r, err := b.Send(t.Context(), more); err != nil || r.Again {
			t.Errorf("another message: %+v, %v; want a new one", r, err)
		}
	}
	if keys := b.rdb.Keys(t.Context(), "tuma:*:u:*").Val(); len(keys) > 0 {
		t.Errorf("uploads are left: %v", keys)
	}
	if n := b.rdb.LLen(t.Context(), "asynq:{tuma-send-now:kobo-main}:pending").Val(); n != 3 {
		t.Errorf("%d tasks are queued, want one for each of 3 messages", n)
	}
}
