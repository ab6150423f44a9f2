package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	auditlog "github.com/tuma-sms/tuma/internal/audit"
	"github.com/tuma-sms/tuma/internal/keys"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/polling"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/ratelimit"
	"github.com/tuma-sms/tuma/sms"
)

func rejectedResult() *providers.Result {
	return &providers.Result{Outcome: providers.Rejected, Reason: "refused", Code: "7"}
}

func noAnswer() error {
	return &providers.Error{Op: "scripted send", Outcome: providers.Unknown, Scope: providers.Call, Cause: providers.CauseNoAnswer}
}

// The method "ordinary" runs two small campaigns. The first campaign has an invalid number. The second campaign is
// paused, resumed and cancelled. Then a third campaign gets the ID of the second campaign.
func (r *schemaRig) ordinary() {
	r.enqueue(producer.Campaign{ID: "ordinary", Via: "plain"}, append(r.numbers(3), "12")...)
	r.done("ordinary")
	r.ok(r.client.Hold(r.t.Context(), "keyed", ""))
	r.enqueue(producer.Campaign{ID: "cancelled", Via: "keyed", StartAt: time.Now().Add(time.Hour)}, r.numbers(3)...)
	_, err := r.client.Pause(r.t.Context(), "cancelled")
	r.ok(err)
	_, err = r.client.Resume(r.t.Context(), "cancelled")
	r.ok(err)
	_, err = r.client.Cancel(r.t.Context(), "cancelled")
	r.ok(err)
	r.enqueue(producer.Campaign{ID: "cancelled", Via: "keyed"}, r.numbers(2)...) // takes the freed ID
	_, err = r.client.Release(r.t.Context(), "keyed")
	r.ok(err)
}

// The method "everything" runs a campaign that sets every option.
func (r *schemaRig) everything() {
	recipients := func(yield func(producer.Recipient, error) bool) {
		for i, n := range r.numbers(6) {
			fields := map[string]string{"name": fmt.Sprintf("Amina %d", i)}
			if i == 5 {
				fields = nil
			}
			if !yield(producer.Recipient{Number: n, Fields: fields, Ref: fmt.Sprint("order ", i)}, nil) {
				return
			}
		}
	}
	traced, err := producer.New(r.rdb, producer.WithTraceparent(func(context.Context) string {
		return "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	}))
	r.ok(err)
	_, err = traced.Enqueue(r.t.Context(), producer.Campaign{ID: "everything", StatusEvents: true, Via: "keyed", From: "ACME", Body: "Habari {{name}}", Class: producer.Transactional,
		Country: "KE", Flash: true, OnUnknown: producer.OnUnknownKeep, OnMissing: producer.OnMissingSkip, Duplicates: producer.DuplicatesEach, Transliterate: true, MaxMessages: 100,
		MaxSegments: 100, Canary: 2, MaxRejected: 50, StartIn: 200 * time.Millisecond, ExpiresIn: time.Hour, CreatedBy: "ada@host", Notes: []string{"the encoding is a guess"}}, recipients)
	r.ok(err)
	r.done("everything")

	household := func(yield func(producer.Recipient, error) bool) {
		n := r.numbers(1)[0]
		_ = yield(producer.Recipient{Number: n, Fields: map[string]string{"due": "100"}}, nil) &&
			yield(producer.Recipient{Number: n, Fields: map[string]string{"due": "200"}}, nil)
	}
	_, err = r.client.Enqueue(r.t.Context(), producer.Campaign{ID: "household", Via: "keyed", Class: producer.Transactional, Body: "Pay {{due}}"}, household)
	r.ok(err)
	if s := r.done("household"); s.OtherText != 1 {
		r.t.Fatalf("household: %+v", s)
	}
}

// tryAgain retries rejected and unknown recipients of a campaign with routes. Another campaign has a recipient that
// the gateway refuses at first.
func (r *schemaRig) tryAgain() {
	numbers := r.numbers(4)
	bad := func(to sms.MSISDN) int {
		for i, n := range numbers {
			if n == to.E164() {
				return i
			}
		}
		return -1
	}
	r.plain.answers(func(to sms.MSISDN, _ int) (*providers.Result, error) {
		switch bad(to) {
		case 0:
			return rejectedResult(), nil
		case 1:
			return &providers.Result{Outcome: providers.Unknown, Reason: "not_in_reply"}, nil
		}
		return nil, nil
	})
	r.enqueue(producer.Campaign{ID: "retried"}, numbers...)
	if s := r.done("retried"); s.Rejected != 1 || s.Unknown != 1 {
		r.t.Fatalf("before the retry: %+v", s)
	}
	r.plain.answers(nil)
	n, err := r.client.Retry(r.t.Context(), "retried", producer.RetryOptions{Unknown: true, Rejected: true})
	if err != nil || n != 2 {
		r.t.Fatalf("got %d retried recipients, %v; want 2", n, err)
	}
	r.done("retried")

	first := r.numbers(3)
	r.keyed.answers(func(to sms.MSISDN, tries int) (*providers.Result, error) {
		if to.E164() == first[0] && tries == 1 {
			return &providers.Result{Outcome: providers.Retryable, Reason: "busy"}, nil
		}
		return nil, nil
	})
	r.enqueue(producer.Campaign{ID: "busy", Via: "keyed"}, first...)
	r.done("busy")
	r.keyed.answers(nil)
}

// The method "reports" delivers reports about a campaign with routes, and a report whose message is not known.
func (r *schemaRig) reports() {
	r.enqueue(producer.Campaign{ID: "reported"}, r.numbers(2)...)
	r.done("reported")
	reports := []providers.DLR{{MessageID: "not-sent", Status: providers.MessageStatus{Final: true, Delivered: true}}}
	for row, err := range r.client.Results(r.t.Context(), "reported") {
		r.ok(err)
		x := providers.DLR{MessageID: row.MessageID, Status: providers.MessageStatus{Final: true, Delivered: row.Row == 1, State: "Failed"}}
		reports = append(reports, x)
	}
	door := tracking.NewDoor(ledger.New(r.rdb), zerolog.Nop(), []tracking.DoorAccount{{Name: "plain", Info: r.plain.info, For: time.Hour}}, nil)
	r.ok(door.Deliver(r.t.Context(), "plain", "", reports))
	r.until("the reports to be applied, within a second", func() bool { // the worker indexes the IDs of many calls together
		st, err := r.client.Status(r.t.Context(), "reported")
		r.ok(err)
		return st.Delivered == 1 && st.Undelivered == 1 && st.Reports != nil && st.Reports.Expected == 2 && st.Reports.Final == 2
	})
	r.polls()
}

// The method "polls" asks the gateway for the delivery reports of a campaign.
func (r *schemaRig) polls() {
	ctx, stop := context.WithCancel(r.t.Context())
	r.enqueue(producer.Campaign{ID: "polled", Via: "keyed"}, r.numbers(2)...)
	r.done("polled")
	queues, err := r.rdb.Keys(ctx, "tuma:polls:*").Result()
	r.ok(err)
	for _, key := range queues { // the first poll would be due after a minute
		if kind, err := r.rdb.Type(ctx, key).Result(); err != nil || kind != "zset" {
			continue
		}
		members, err := r.rdb.ZRange(ctx, key, 0, -1).Result()
		r.ok(err)
		for _, m := range members {
			r.ok(r.rdb.ZAdd(ctx, key, redis.Z{Score: 1, Member: m}).Err())
		}
	}
	p := polling.New(polling.Config{Ledger: ledger.New(r.rdb), Log: zerolog.Nop(), Accounts: []polling.Account{{Name: "keyed", Provider: polledGateway{r.keyed},
		Login: r.keyed.info.Fingerprint, Rate: 100, For: time.Hour}}})
	ended := make(chan struct{})
	go func() { p.Run(ctx); close(ended) }()
	r.until("the reports that were requested", func() bool {
		st, err := r.client.Status(ctx, "polled")
		r.ok(err)
		return st.Delivered == 2
	})
	stop()
	<-ended
	// For a gateway that lists delivery reports by time, the polling queue has spans of time instead of calls.
	sent := ledger.SentCall{BatchRef: ledger.BatchRef{Campaign: "polled", Upload: "upload", Name: "0.0"}, At: time.Now()}
	r.ok(polling.NewQueue(ledger.New(r.rdb).Runner(), "00000000000000cc", 1).AddToSpan(r.t.Context(), sent, time.Hour))
}

// The method "message" sends a single message, which is archived after its end. It also makes and uses a key of the
// HTTP API.
func (r *schemaRig) message() {
	ctx := r.t.Context()
	_, err := r.client.Send(ctx, producer.Message{ID: "code", Via: "plain", To: r.numbers(1)[0], Body: "Your code is 1234", Ref: "user 7"})
	r.ok(err)
	r.done("code")
	r.until("the message to be archived", func() bool { return r.rdb.Exists(ctx, "tuma:{code}:t").Val() == 1 })
	_, err = r.client.Retry(ctx, "code", producer.RetryOptions{Rejected: true}) // restores the message, which is then archived again
	if !errors.Is(err, producer.ErrNothingToRetry) {
		r.t.Fatalf("a retry of an accepted message: %v", err)
	}
	store := keys.New(script.NewRunner(r.rdb, script.Durability{}))
	_, key, err := store.Create(ctx, keys.Key{Name: "shop", Scopes: []keys.Scope{keys.ScopeSend}, Accounts: []string{"plain"}, Senders: []string{"ACME"}, Daily: 10, PerSecond: 5,
		ExpiresAt: time.Now().Add(time.Hour)})
	r.ok(err)
	r.ok(store.Take(ctx, key, 1, 1))
	r.ok(store.GiveBackCancelled(ctx, keys.CreatedBy(key), "c", time.Now(), 1))
	r.ok(store.NoteUsed(ctx, key))
	r.ok(auditlog.New(r.rdb).Add(ctx, auditlog.Entry{Who: "me", What: "key.create", Object: key.ID}))
}

// optOut opts out a recipient between planning and sending.
func (r *schemaRig) optOut() {
	numbers := r.numbers(3)
	r.ok(r.client.Hold(r.t.Context(), "keyed", ""))
	r.enqueue(producer.Campaign{ID: "opted", Via: "keyed"}, numbers...)
	r.until("opted to be planned", func() bool { return r.has("opted", "b0.0") })
	for _, sender := range []string{"", "ACME"} {
		people := func(yield func(producer.OptOut, error) bool) {
			yield(producer.OptOut{Number: numbers[0], Sender: sender, Origin: "form"}, nil)
		}
		_, err := r.client.OptOut(r.t.Context(), people)
		r.ok(err)
	}
	_, err := r.client.Release(r.t.Context(), "keyed")
	r.ok(err)
	if s := r.done("opted"); s.Skipped != 1 {
		r.t.Fatalf("opted: %+v", s)
	}
}

// The method "quarantine" overwrites a batch with unreadable bytes, and enqueues a task with an unreadable payload. A
// worker quarantines both.
func (r *schemaRig) quarantine() {
	for try := 0; !r.breakBatch(fmt.Sprintf("broken-%d", try)); try++ {
		if try == 4 {
			r.t.Fatal("each of five campaigns was sent, although its batch cannot be read")
		}
	}
	tasks := asynq.NewClientFromRedisClient(r.rdb)
	_, err := tasks.EnqueueContext(r.t.Context(), asynq.NewTask("tuma:send", []byte("nothing")), asynq.Queue("tuma-send:plain"), asynq.TaskID("nothing"))
	r.ok(err)
	r.until("the payload", func() bool {
		n, err := r.rdb.Exists(r.t.Context(), "tuma:payloads").Result()
		r.ok(err)
		return n == 1
	})
}

// breakBatch overwrites the only batch of a planned campaign, and reports whether the worker quarantined it. It
// returns false if the campaign ended, because then planning has overwritten the broken batch.
func (r *schemaRig) breakBatch(id string) (quarantined bool) {
	r.ok(r.client.Hold(r.t.Context(), "keyed", ""))
	r.enqueue(producer.Campaign{ID: id, Via: "keyed"}, r.numbers(3)...)
	r.until(id+" to be planned", func() bool { return r.has(id, "b0.0") })
	r.ok(r.rdb.HSet(r.t.Context(), "tuma:{"+id+"}:l", "b0.0", "\xf0nothing").Err())
	_, err := r.client.Release(r.t.Context(), "keyed")
	r.ok(err)
	r.until("the quarantine of "+id, func() bool {
		if quarantined = r.has(id, "left"); quarantined {
			return true
		}
		s, err := r.client.Status(r.t.Context(), id)
		return err == nil && s.State == producer.Done
	})
	return quarantined
}

// The method "twice" runs a campaign whose recipient gets two messages. The first submission gets no answer, so Tuma
// sends again. Then a delivery report shows that the gateway had also accepted the first submission.
func (r *schemaRig) twice() {
	numbers := r.numbers(1)
	r.plain.answers(func(_ sms.MSISDN, tries int) (*providers.Result, error) {
		if tries == 1 {
			return nil, noAnswer()
		}
		return &providers.Result{Outcome: providers.Accepted, MessageID: "second"}, nil
	})
	r.enqueue(producer.Campaign{ID: "twice", Via: "plain"}, numbers...)
	if s := r.done("twice"); s.Accepted != 1 {
		r.t.Fatalf("twice: %+v", s)
	}
	to, err := sms.ParseMSISDN(numbers[0], "")
	r.ok(err)
	if told, err := r.worker.Reconcile(r.t.Context(), "plain", providers.DLR{MessageID: "first", To: to}); err != nil || !told {
		r.t.Fatalf("Reconcile of the report: got %t, %v; want true", told, err)
	}
	r.plain.answers(nil)
}

// The method "credit" lets an account run out of credit, and then tops up the account.
func (r *schemaRig) credit() {
	r.keyed.mu.Lock()
	r.keyed.credit = 1
	r.keyed.mu.Unlock()
	r.keyed.answers(func(sms.MSISDN, int) (*providers.Result, error) {
		if r.keyed.credit > 10 { // the lock is held
			return nil, nil
		}
		return nil, &providers.Error{Op: "scripted send", Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseCredit, Code: "402"}
	})
	r.enqueue(producer.Campaign{ID: "poor", Via: "keyed"}, r.numbers(4)...)
	r.until("the hold", func() bool {
		ok, err := r.rdb.HExists(r.t.Context(), "tuma:account:{keyed}", "hold_size").Result()
		r.ok(err)
		return ok
	})
	r.keyed.mu.Lock()
	r.keyed.credit = 100
	r.keyed.mu.Unlock()
	r.done("poor")
	r.keyed.answers(nil)
}

// The method "refusals" uses an account that accepts nothing. The gateway refuses too many recipients in a
// row, so Tuma holds the account for bulk campaigns.
func (r *schemaRig) refusals() {
	r.ok(r.rdb.HDel(r.t.Context(), "tuma:account:{keyed}", "ok_at").Err())
	r.keyed.answers(func(sms.MSISDN, int) (*providers.Result, error) { return rejectedResult(), nil })
	r.enqueue(producer.Campaign{ID: "refusals", Via: "keyed"}, r.numbers(60)...)
	r.done("refusals")
	r.keyed.answers(nil)
	if had, err := r.client.Release(r.t.Context(), "keyed"); err != nil || !had {
		r.t.Fatalf("Release after the refusals: got %t, %v; want true", had, err)
	}
}

// failOver makes an account unreachable. Its work moves to the next account of the route. Then a worker plans another
// campaign, and does not use the held account.
func (r *schemaRig) failOver() {
	r.plain.answers(func(sms.MSISDN, int) (*providers.Result, error) {
		return nil, &providers.Error{Op: "scripted send", Outcome: providers.Retryable, Scope: providers.Account, Cause: providers.CauseConnection}
	})
	r.enqueue(producer.Campaign{ID: "moved"}, r.numbers(9)...)
	r.done("moved")
	// Planning avoids the account only between two probes of its hold. If a probe is due, the campaign becomes
	// the probe and is planned for the account, so the test tries up to 20 campaigns.
	for n := range 20 {
		id := fmt.Sprintf("around-%d", n)
		r.enqueue(producer.Campaign{ID: id}, r.numbers(2)...)
		r.done(id)
		snapshot, err := r.rdb.HGet(r.t.Context(), "tuma:{"+id+"}:l", "frozen").Result()
		r.ok(err)
		if strings.Contains(snapshot, `"h":true`) {
			break
		}
	}
	r.plain.answers(nil)
	_, err := r.client.Release(r.t.Context(), "plain")
	r.ok(err)
}

// The method "night" enqueues a marketing campaign outside the sending hours, and cancels it.
func (r *schemaRig) night() {
	_, err := r.client.Enqueue(r.t.Context(), producer.Campaign{ID: "night", Via: "plain", Body: "Habari"}, producer.Numbers(r.numbers(1)...))
	r.ok(err)
	r.until("the sending hours", func() bool { return r.has("night", "z:1") })
	_, err = r.client.Cancel(r.t.Context(), "night")
	r.ok(err)
}

// The method "large" runs two campaigns. The campaign "large" has three pages, and is planned in the queue for large
// campaigns. The campaign "personal" has merge fields, and goes to the account with small calls.
func (r *schemaRig) large() {
	r.enqueue(producer.Campaign{ID: "large", Via: "keyed"}, r.numbers(10_001)...)
	r.done("large")
	recipients := func(yield func(producer.Recipient, error) bool) {
		for i, n := range r.numbers(600) {
			if !yield(producer.Recipient{Number: n, Fields: map[string]string{"n": fmt.Sprint(i)}}, nil) {
				return
			}
		}
	}
	_, err := r.client.Enqueue(r.t.Context(), producer.Campaign{ID: "personal", Via: "plain", Body: "{{n}}", Class: producer.Transactional}, recipients)
	r.ok(err)
	r.done("personal")
}

// byHand changes the rate of an account, like the command `tuma rate`.
func (r *schemaRig) byHand() {
	setting, err := ratelimit.Setting(500, 50)
	r.ok(err)
	r.ok(r.rdb.HSet(r.t.Context(), "tuma:account:{plain}", "rate", setting).Err())
}
