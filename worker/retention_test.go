package worker_test

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// A single message is deleted after Config.MessageRetention, which differs from the retention of campaigns. Even after
// that, another message with the same ID must not be sent.
func TestRetention_OfSingleMessages(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	account := stubAccount(newStubGateway(providers.Info{}))
	w := r.start(account)
	m := producer.Message{ID: "code", Via: "kobo-main", To: "+254712345678", Body: "Your code is 1234"}
	first, err := r.producer.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	r.enqueue("c", kenyanNumbers(2))
	r.wait("c", 20*time.Second)
	r.wait("code", 20*time.Second)
	w.drain(t)
	r.startWith(worker.Config{Accounts: []worker.Account{account}, Country: "KE", MessageRetention: time.Millisecond}) // a worker's first sweep deletes
	r.eventually(20*time.Second, "the message to be deleted", func() bool {
		_, err := r.producer.Message(t.Context(), "code")
		return errors.Is(err, producer.ErrNotFound)
	})
	if s := r.wait("c", time.Second); s.Accepted != 2 {
		t.Errorf("the campaign is %+v, want it kept", s)
	}
	again, err := r.producer.Send(t.Context(), m)
	if err != nil || !again.Again || !again.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("the same message again: %+v, %v; want the first receipt", again, err)
	}
}

func TestRetention_DeletesThousandsOfOldCampaigns(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	old := make([]redis.Z, 2500)
	for i := range old {
		old[i] = redis.Z{Score: float64(i + 1), Member: fmt.Sprint("old-", i)}
	}
	if err := r.rdb.ZAdd(t.Context(), "tuma:campaigns", old...).Err(); err != nil {
		t.Fatal(err)
	}
	r.start(stubAccount(newStubGateway(providers.Info{})))
	r.eventually(60*time.Second, "the campaigns to be deleted", func() bool { return r.rdb.ZCard(t.Context(), "tuma:campaigns").Val() == 0 })
}

// The sweeper archives a single message when the message has ended. Its status and its receipt stay the same, and the
// message is removed from the open index at once.
func TestSweep_ArchivesSingleMessages(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.start(r.account())
	m := producer.Message{ID: "code", Via: "kobo-main", To: "+254712345678", Body: "Your code is 1234", Ref: "user 7"}
	first, err := r.producer.Send(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	before, err := r.producer.WaitMessage(t.Context(), "code")
	if err != nil || before.Status != "accepted" || before.MessageID == "" {
		t.Fatalf("got %+v, %v; want it accepted", before, err)
	}
	r.eventually(20*time.Second, "the archive to be all that is left", func() bool {
		left := r.rdb.Exists(t.Context(), "tuma:{code}:l", "tuma:{code}:s", "tuma:{code}:o").Val()
		return left == 0 && r.rdb.Exists(t.Context(), "tuma:{code}:t").Val() == 1 && errors.Is(r.rdb.ZScore(t.Context(), "tuma:open", "code").Err(), redis.Nil)
	})
	before.Body = ""
	if after, err := r.producer.Message(t.Context(), "code"); err != nil || !reflect.DeepEqual(after, before) {
		t.Errorf("the archived message is\n%+v, %v; want\n%+v", after, err, before)
	}
	if again, err := r.producer.Send(t.Context(), m); err != nil || !again.Again || !again.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("the same message again: %+v, %v; want the first receipt", again, err)
	}
	m.Body = "Your code is 5678"
	if _, err := r.producer.Send(t.Context(), m); !errors.Is(err, producer.ErrConflict) {
		t.Errorf("another text under the same ID: %v, want ErrConflict", err)
	}
	if found, err := r.producer.Find(t.Context(), "0712345678", producer.FindOptions{Country: "KE"}); err != nil || len(found.Messages) != 1 {
		t.Errorf("Find has %+v, %v; want the message", found, err)
	}
	if _, err := r.producer.Retry(t.Context(), "code", producer.RetryOptions{Rejected: true}); !errors.Is(err, producer.ErrNothingToRetry) {
		t.Errorf("a retry of an accepted message: %v", err)
	}
}
