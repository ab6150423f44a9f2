package worker_test

import (
	"context"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/internal/tracking"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/catalog"
	"github.com/tuma-sms/tuma/sms"
	"github.com/tuma-sms/tuma/worker"
)

// textConnectAccount returns an account at the simulated TextConnect, a gateway that lists the
// messages it has taken. A call has at most five numbers.
func (r *testTuma) textConnectAccount(change ...func(*worker.Account)) worker.Account {
	r.t.Helper()
	kind, ok := catalog.Lookup("textconnect")
	if !ok {
		r.t.Fatal("the catalog does not have the gateway")
	}
	p, err := kind.Open(providers.Settings{Endpoint: providers.Endpoint{BaseURL: r.url + "/textconnect", MaxRecipients: 5, Timeout: 2 * time.Second}, Secrets: map[string]providers.Secret{"token": "demo"}})
	if err != nil {
		r.t.Fatal(err)
	}
	a := worker.Account{Name: "kobo-main", Provider: p, Sender: "ACME", Timeout: 2 * time.Second, ReconcileFor: 1200 * time.Millisecond}
	for _, f := range change {
		f(&a)
	}
	return a
}

// rows returns the results of a campaign by number.
func (r *testTuma) rows(id string) map[string]producer.Result {
	r.t.Helper()
	out := map[string]producer.Result{}
	for x, err := range r.producer.Results(r.t.Context(), id) {
		if err != nil {
			r.t.Fatal(err)
		}
		out[x.MSISDN] = x
	}
	return out
}

func TestReconcile_FindsAcceptedMessagesAtTheGateway(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.gateway.FailNext(1, "accept_close")
	r.gateway.FailNext(1, "accept_502")
	r.gateway.FailNext(1, "close")
	r.start(r.textConnectAccount())
	r.enqueue("c", kenyanNumbers(40))
	s := r.wait("c", 60*time.Second)
	// The gateway does not take the third call. That call has five recipients if the account has accepted
	// a message before. Otherwise it has one recipient, because of the slow start.
	if s.Accepted+s.Unknown != 40 || s.Unknown == 0 || s.Unknown > 5 {
		t.Errorf("got the status %+v, want 40 accepted or unknown, and 1 to 5 of them unknown", s)
	}
	reconciled := 0
	for n, x := range r.rows("c") {
		m, err := sms.ParseMSISDN("+"+n, "")
		if err != nil {
			t.Fatal(err)
		}
		switch times := r.gateway.Accepted(uint64(m)); {
		case times > 1:
			t.Errorf("%s was taken %d times, want at most 1", n, times)
		case (x.Status == "accepted") != (times == 1):
			t.Errorf("%s has status %s but was taken %d times", n, x.Status, times)
		case x.Status == "unknown" && x.Reason != "not_found":
			t.Errorf("%s is unknown with reason %q, want not_found", n, x.Reason)
		case x.Status == "accepted" && x.MessageID == "":
			t.Errorf("%s was accepted, but has no message ID", n)
		}
		if x.Reason == "reconciled" {
			reconciled++
		}
	}
	if reconciled < 2 || reconciled+s.Unknown < 3 {
		t.Errorf("%d recipients are reconciled and %d unknown, want at least 2 reconciled and 3 together", reconciled, s.Unknown)
	}
}

// The account is held, and its probe has one recipient, split off from a call. The gateway takes the probe
// and does not answer. The worker must find the probe's message in the gateway's list.
func TestReconcile_FindsTheMessageOfAProbe(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.gateway.FailNext(3, "close")
	r.gateway.FailNext(1, "accept_close")
	r.start(r.textConnectAccount())
	r.enqueue("c", kenyanNumbers(20))
	r.wait("c", 60*time.Second)
	for n, x := range r.rows("c") {
		m, err := sms.ParseMSISDN("+"+n, "")
		if err != nil {
			t.Fatal(err)
		}
		if times := r.gateway.Accepted(uint64(m)); times > 1 || (times == 1) != (x.Status == "accepted") {
			t.Errorf("%s has status %s (%s) but was taken %d times", n, x.Status, x.Reason, times)
		}
	}
}

func TestReconcile_FoundMessagesAreNotResent(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.gateway.FailNext(1, "accept_close")
	r.gateway.FailNext(1, "close")
	r.start(r.textConnectAccount(func(a *worker.Account) { a.OnUnknown = worker.OnUnknownResend }))
	r.enqueue("c", kenyanNumbers(30))
	if s := r.wait("c", 60*time.Second); s.Accepted != 30 || s.Resent != 0 {
		t.Errorf("got the status %+v, want 30 accepted and 0 resent", s)
	}
	for i := range 30 {
		if times := r.gateway.Accepted(254_710_000_000 + uint64(i)); times != 1 {
			t.Errorf("number %d went out %d times", i, times)
		}
	}
}

func TestReconcile_AmbiguousMessageMatchesNoCall(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.start(r.textConnectAccount())
	r.enqueue("first", kenyanNumbers(5)) // the message IDs of this campaign are recorded, so these IDs cannot belong to another call
	if s := r.wait("first", 30*time.Second); s.Accepted != 5 {
		t.Fatalf("got the status %+v, want 5 accepted", s)
	}
	r.gateway.FailNext(1, "accept_close")
	r.enqueue("taken", kenyanNumbers(4))
	r.eventually(10*time.Second, "the call to be in doubt", func() bool { return r.gateway.Stats().Ambiguous == 1 })
	r.gateway.FailNext(1, "close")
	r.enqueue("lost", kenyanNumbers(3))
	for id, want := range map[string][2]int{"taken": {1, 3}, "lost": {0, 3}} {
		if s := r.wait(id, 60*time.Second); s.Accepted != want[0] || s.Unknown != want[1] {
			t.Errorf("campaign %s: unexpected status: %+v", id, s)
		}
	}
}

func TestReconcile_CanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	r.gateway.FailNext(1, "accept_close")
	r.start(r.textConnectAccount(func(a *worker.Account) { a.ReconcileFor = -1 }))
	r.enqueue("c", kenyanNumbers(5))
	if s := r.wait("c", 30*time.Second); s.Unknown != 5 {
		t.Errorf("got the status %+v, want 5 unknown", s)
	}
}

func TestReconcile_FindsTheCallsOfADeadWorker(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	a := r.textConnectAccount()
	stuck := neverReturns{Provider: a.Provider, Reconciler: a.Provider.(providers.Reconciler), until: make(chan struct{})}
	first := a
	first.Provider = stuck
	r.start(first)
	t.Cleanup(func() { close(stuck.until) })
	r.enqueue("c", kenyanNumbers(5))
	r.eventually(10*time.Second, "the gateway to accept the messages", func() bool { return r.gateway.Stats().Accepted == 5 })
	r.start(a)
	if s := r.wait("c", 60*time.Second); s.Accepted != 5 {
		t.Errorf("got the status %+v, want 5 accepted", s)
	}
	for n, x := range r.rows("c") {
		if x.Reason != "reconciled" || x.MessageID == "" {
			t.Errorf("%s: got result %+v, want reason reconciled and a message ID", n, x)
		}
	}
}

// neverReturns is a provider whose Send makes the call, but returns only when the channel "until" is
// closed. So the worker never settles the call, and other workers treat this worker as dead.
type neverReturns struct {
	providers.Provider
	providers.Reconciler
	until chan struct{}
}

// Send implements providers.Provider.
func (p neverReturns) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	out, err := p.Provider.Send(ctx, b)
	<-p.until
	return out, err
}

func TestReconcile_DLRSettlesAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	w := r.start(r.africasTalkingAccount(worker.OnUnknownKeep)).worker
	r.enqueue("known", kenyanNumbers(2))
	known := r.wait("known", 30*time.Second)
	r.gateway.FailNext(1, "accept_close")
	r.enqueue("lost", kenyanNumbers(5)[1:])
	if s := r.wait("lost", 30*time.Second); known.Accepted != 2 || s.Unknown != 4 {
		t.Fatalf("got statuses %+v and %+v, want 2 accepted in the first and 4 unknown in the second", known, s)
	}
	number := func(i int) sms.MSISDN { return sms.MSISDN(254_710_000_000 + i) }
	rows := r.rows("known")
	steps := []struct {
		what   string
		report providers.DLR
		told   bool
	}{
		{"with a recorded message ID", providers.DLR{MessageID: rows[number(1).String()].MessageID, To: number(1)}, false},
		{"without a number", providers.DLR{MessageID: "ATXid_new0"}, false},
		{"without a message ID", providers.DLR{To: number(2)}, false},
		{"to another number", providers.DLR{MessageID: "ATXid_new1", To: number(77)}, false},
		{"with a new message ID", providers.DLR{MessageID: "ATXid_new2", To: number(2)}, true},
		{"that is repeated", providers.DLR{MessageID: "ATXid_new2", To: number(2)}, false},
		{"with another new message ID", providers.DLR{MessageID: "ATXid_new3", To: number(3), Status: providers.MessageStatus{Final: true, State: "Failed"}}, true},
	}
	for _, x := range steps {
		if applied, err := w.Reconcile(t.Context(), "kobo-main", x.report); applied != x.told || err != nil {
			t.Errorf("report %s: got %t, %v, want %t and no error", x.what, applied, err, x.told)
		}
	}
	if s := r.status("lost"); s.Accepted != 2 || s.Unknown != 2 {
		t.Errorf("got the status %+v, want 2 accepted and 2 unknown", s)
	}
	if x := r.rows("lost")[number(2).String()]; x.Status != "accepted" || x.Reason != "reconciled" || x.MessageID != "ATXid_new2" {
		t.Errorf("got result %+v, want accepted and reconciled with message ID ATXid_new2", x)
	}
	// After the next call, two calls to one number have an unknown outcome. A report that fits both calls
	// must not resolve either of the calls.
	r.gateway.FailNext(1, "close")
	r.enqueue("other", kenyanNumbers(5)[4:])
	if s := r.wait("other", 60*time.Second); s.Unknown != 1 {
		t.Fatalf("got status %+v, want 1 unknown", s)
	}
	if applied, err := w.Reconcile(t.Context(), "kobo-main", providers.DLR{MessageID: "ATXid_new4", To: number(4)}); applied || err != nil {
		t.Errorf("report that fits two calls: got %t, %v, want false", applied, err)
	}
	if s := r.status("lost"); s.Accepted != 2 || s.Unknown != 2 {
		t.Errorf("got the status %+v, want 2 accepted and 2 unknown", s)
	}
	if _, err := w.Reconcile(t.Context(), "not-served", steps[0].report); err == nil {
		t.Error("Reconcile accepted a report for an account that is not served")
	}
}

// An accepted message has no recorded ID, and a call of unknown outcome went to the same number. A report
// may be about either message, so the report must not resolve either of them.
func TestReconcile_DLRBesideAMessageWithoutIDIsIgnored(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{DLRNamesRecipient: true})
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		out, err := gw.accept(ctx, b)
		for i := range out {
			out[i].MessageID = ""
		}
		if gw.calls.Load() > 1 {
			return nil, noAnswerError()
		}
		return out, err
	}
	w := r.start(stubAccount(gw)).worker
	r.enqueue("with-id", kenyanNumbers(1))
	r.wait("with-id", 20*time.Second)
	r.enqueue("without-id", kenyanNumbers(1))
	if s := r.wait("without-id", 20*time.Second); s.Unknown != 1 {
		t.Fatalf("got the status %+v, want 1 unknown", s)
	}
	applied, err := w.Reconcile(t.Context(), "kobo-main", providers.DLR{MessageID: "new", To: 254_710_000_000})
	if s := r.status("without-id"); applied || err != nil || s.Unknown != 1 {
		t.Errorf("got %t, %v, want false; status %+v", applied, err, s)
	}
}

// Worker.Reconcile adds the message that it resolves to the index, so that `tuma serve` finds this message
// by the ID of a later report.
func TestReconcile_ResolvedMessagesAreIndexed(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	acc := r.africasTalkingAccount(worker.OnUnknownKeep)
	acc.Reports = worker.ReportsAll
	w := r.start(acc).worker
	r.gateway.FailNext(1, "accept_close")
	r.enqueue("lost", kenyanNumbers(2))
	if s := r.wait("lost", 30*time.Second); s.Unknown != 2 {
		t.Fatalf("got the status %+v, want 2 unknown", s)
	}
	report := providers.DLR{MessageID: "ATXid_new", To: 254_710_000_001}
	if applied, err := w.Reconcile(t.Context(), "kobo-main", report); !applied || err != nil {
		t.Fatalf("got %t, %v, want true", applied, err)
	}
	report.Status = providers.MessageStatus{Final: true, Delivered: true, State: "Success"}
	door := tracking.NewDoor(ledger.New(r.rdb), testLogger(t), []tracking.DoorAccount{{Name: "kobo-main", Info: acc.Provider.Info(), For: time.Hour}}, nil)
	if err := door.Deliver(t.Context(), "kobo-main", "", []providers.DLR{report}); err != nil {
		t.Fatal(err)
	}
	if s := r.status("lost"); s.Delivered != 1 || s.Unknown != 1 {
		t.Errorf("got the status %+v, want 1 delivered and 1 unknown", s)
	}
}

// The index of message IDs is stored in parts, called segments. The sweeper removes expired segments, even if `tuma
// serve` does not run.
func TestSweep_RemovesOldSegmentsOfTheIndex(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	const index = "tuma:dlr:{0123456789abcdef}"
	for _, err := range []error{
		r.rdb.SAdd(t.Context(), "tuma:dlr", "0123456789abcdef").Err(),
		r.rdb.HSet(t.Context(), index, "n", 2, "s1", "64 1 1 2", "s2", "64 1 1 99999999999999").Err(), // the first ended in 1970
		r.rdb.SAdd(t.Context(), index+":1:63", 1).Err(),
		r.rdb.ZAdd(t.Context(), index+":1:t", redis.Z{Member: "c 0.0 up"}).Err(),
		r.rdb.SAdd(t.Context(), index+":2:63", 1).Err(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	r.start(r.account())
	r.eventually(20*time.Second, "the removal of the first segment", func() bool {
		n, err := r.rdb.HExists(t.Context(), index, "s1").Result()
		return err == nil && !n
	})
	if n, err := r.rdb.Exists(t.Context(), index+":1:63", index+":1:t", index+":2:63").Result(); err != nil || n != 1 {
		t.Errorf("%d of the keys are left (%v), want only the one of the second segment", n, err)
	}
}

// The next lookup of a doubtful call is due in ten minutes. A cancelled campaign makes no lookup, so
// it must not wait for that time.
func TestCancel_DoubtfulCallEndsBeforeItsLookup(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := listingStub{newStubGateway(providers.Info{})}
	gw.send = func(context.Context, providers.Batch) ([]providers.Result, error) { return nil, noAnswerError() }
	a := stubAccount(gw.stubGateway)
	a.Provider, a.ReconcileFor = gw, 2*time.Hour
	r.start(a)
	r.enqueue("c", kenyanNumbers(1))
	r.eventually(10*time.Second, "a doubtful call", func() bool { return gw.calls.Load() == 1 && r.status("c").InFlight.Calls == 0 })
	if _, err := r.producer.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 20*time.Second); s.Unknown != 1 || s.State != producer.Cancelled || gw.calls.Load() != 1 {
		t.Errorf("got the status %+v after %d calls, want 1 unknown after one call, and state cancelled", s, gw.calls.Load())
	}
}
