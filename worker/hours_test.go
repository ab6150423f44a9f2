package worker_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
	"github.com/tuma-sms/tuma/worker"
)

// The method "now" returns the time of Redis' clock, in whole seconds.
func (r *testTuma) now() time.Time {
	r.t.Helper()
	now, err := ledger.New(r.rdb).Now(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	return now.Truncate(time.Second)
}

// offset maps a country to the difference between its local time and UTC. These countries do not
// change their clocks.
var offset = map[string]time.Duration{"KE": 3 * time.Hour, "NG": time.Hour, "JM": -5 * time.Hour}

// hoursIn returns sending hours of a country. They begin at the instant "from" and end at the
// instant "to". If "to" is before "from", sending is not allowed from the instant "to" until the
// instant "from".
func hoursIn(country string, from, to time.Time) worker.Hours {
	of := func(t time.Time) time.Duration {
		return t.UTC().Add(offset[country]).Sub(t.UTC().Add(offset[country]).Truncate(24 * time.Hour))
	}
	return worker.Hours{From: of(from), To: of(to)}
}

// timedStub is a stub that records when each number was submitted. The test fails if a call has
// recipients in a country with sending hours and also in another country.
type timedStub struct {
	*stubGateway
	t  *testing.T
	mu sync.Mutex
	at map[sms.MSISDN][]time.Time
}

func newTimedStub(t *testing.T, info providers.Info) *timedStub {
	p := &timedStub{stubGateway: newStubGateway(info), t: t, at: map[sms.MSISDN][]time.Time{}}
	p.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		p.note(b)
		return p.accept(ctx, b)
	}
	return p
}

// submittedAt returns the times at which calls to the number were made.
func (p *timedStub) submittedAt(m sms.MSISDN) []time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.at[m])
}

func (p *timedStub) note(b providers.Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range b.To {
		p.at[m] = append(p.at[m], time.Now())
		if m.Country() != b.To[0].Country() && (offset[m.Country()] != 0 || offset[b.To[0].Country()] != 0) {
			p.t.Errorf("one call has recipients in %s and %s", m.Country(), b.To[0].Country())
		}
	}
}

// The method "between" returns the times at which the stub got the first and the last recipient of a
// country.
func (p *timedStub) between(country string) (first, last time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for m, at := range p.at {
		for _, x := range at {
			if m.Country() != country {
				continue
			}
			if first.IsZero() || x.Before(first) {
				first = x
			}
			if x.After(last) {
				last = x
			}
		}
	}
	return first, last
}

func nigerianNumbers(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = "+234803" + fmt.Sprintf("%07d", i)
	}
	return out
}

func (r *testTuma) blocks(id string) []producer.Block { return r.status(id).BlockedBy }

func TestSendingHours_ClosedCountryWaitsOthersAreSent(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newTimedStub(t, providers.Info{MaxRecipients: 20})
	opens := r.now().Add(8 * time.Second)
	r.startWith(worker.Config{Accounts: []worker.Account{stubAccount(gw)}, Windows: map[string]worker.Hours{
		"KE": hoursIn("KE", opens, opens.Add(8*time.Hour)),
		"NG": hoursIn("NG", opens.Add(-time.Hour), opens.Add(time.Hour)),
		"JM": hoursIn("JM", opens.Add(time.Hour), opens.Add(2*time.Hour)),
	}})
	ke, ng := kenyanNumbers(900), nigerianNumbers(900)
	var numbers []string
	for i := range ke {
		numbers = append(numbers, ke[i], ng[i])
	}
	numbers = append(numbers, "+18762101234", "+12015550123", "+255712000001") // Jamaica, the United States, Tanzania
	r.enqueue("c", numbers)
	r.eventually(5*time.Second, "recipients in open countries to be accepted", func() bool { return r.status("c").Accepted >= 902 })
	r.eventually(2*time.Second, "the reason", func() bool { return len(r.blocks("c")) == 2 })
	for _, b := range r.blocks("c") {
		want := map[string]time.Time{"KE": opens, "JM": opens.Add(time.Hour)}[b.Country]
		if b.Reason != "window" || b.Account != "kobo-main" || b.Until == nil || !b.Until.Equal(want) || b.Since == nil {
			t.Errorf("got BlockedBy %+v, want until %s", b, want)
		}
	}
	r.eventually(12*time.Second, "recipients in Kenya to be accepted", func() bool { return r.status("c").Accepted == 1802 })
	if first, _ := gw.between("KE"); first.Before(opens) {
		t.Errorf("Kenya was sent to %s before it opened", opens.Sub(first))
	}
	if _, last := gw.between("NG"); last.After(opens) {
		t.Error("calls to Nigeria waited for Kenya's hours")
	}
	r.eventually(2*time.Second, "only Jamaica to be blocked", func() bool { b := r.blocks("c"); return len(b) == 1 && b[0].Country == "JM" })
	row, results := 0, map[string]int{}
	for x, err := range r.producer.Results(t.Context(), "c") {
		if row++; err != nil || x.Row != row || x.Account != "kobo-main" {
			t.Fatalf("got the result %+[2]v and the error %[3]v, want row %[1]d of kobo-main", row, x, err)
		}
		results[x.Status]++
	}
	if results["accepted"] != 1802 || results["pending"] != 1 {
		t.Errorf("got %v, want 1802 accepted and 1 pending", results)
	}
	if _, err := r.producer.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 5*time.Second); s.Reasons["cancelled"] != 1 {
		t.Errorf("got the status %+v, want 1 skipped as cancelled", s)
	}
}

func TestSendingHours_ClosedCampaignReservesNoRate(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newTimedStub(t, providers.Info{})
	a := stubAccount(gw)
	a.Rate, a.Burst = 100, 10
	opens := r.now().Add(time.Hour)
	closed := map[string]worker.Hours{"KE": hoursIn("KE", opens, opens.Add(8*time.Hour))}
	first := r.startWith(worker.Config{Accounts: []worker.Account{a}, Windows: closed})
	r.enqueue("c", kenyanNumbers(3000))
	r.eventually(5*time.Second, "the reason", func() bool { return len(r.blocks("c")) == 1 })
	if s := r.status("c"); s.ETA == nil || s.ETA.Before(opens.Add(29*time.Second)) || s.ETA.After(opens.Add(31*time.Second)) {
		t.Errorf("got ETA %v, want 30 s after %s (3,000 at 100/s)", s.ETA, opens)
	}
	if n, err := r.rdb.Exists(t.Context(), accounts.RateKey("kobo-main")).Result(); err != nil || n != 0 {
		t.Errorf("rate was reserved outside the sending hours (%v)", err)
	}

	// A campaign keeps the sending hours with which it was planned, even if the configuration of the
	// next worker has other hours.
	first.drain(t)
	r.startWith(worker.Config{Accounts: []worker.Account{a}})
	if _, err := r.producer.Pause(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.producer.Resume(t.Context(), "c"); err != nil { // after Resume, workers try every batch at once
		t.Fatal(err)
	}
	r.eventually(5*time.Second, "every batch to be put off again", func() bool {
		due, err := ledger.New(r.rdb).NextDue(t.Context(), "c")
		return err == nil && !due.Before(opens)
	})
	_, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "code", Via: "kobo-main", Body: "b", Class: producer.Transactional}, producer.Numbers("0730000001"))
	if err != nil {
		t.Fatal(err)
	}
	r.wait("code", 10*time.Second)
	r.enqueue("free", []string{"0730000002"}) // planned without sending hours
	r.wait("free", 10*time.Second)
	if s := r.status("c"); s.Pending != 3000 || gw.calls.Load() != 2 {
		t.Errorf("got %d calls, want 2, and status %+v, want 3,000 pending", gw.calls.Load(), s)
	}
}

func TestSendingHours_TransactionalIsSentAtAnyTime(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newTimedStub(t, providers.Info{})
	opens := r.now().Add(time.Hour)
	r.startWith(worker.Config{Accounts: []worker.Account{stubAccount(gw)}, Windows: map[string]worker.Hours{"KE": hoursIn("KE", opens, opens.Add(time.Hour))}})
	_, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "code", Via: "kobo-main", Body: "b", Class: producer.Transactional}, producer.Numbers(kenyanNumbers(3)...))
	if err != nil {
		t.Fatal(err)
	}
	if s := r.wait("code", 10*time.Second); s.Accepted != 3 {
		t.Errorf("got the status %+v, want 3 accepted", s)
	}
}

func TestSendingHours_ExpiryBeforeOpeningSkips(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newTimedStub(t, providers.Info{})
	opens := r.now().Add(time.Hour)
	r.startWith(worker.Config{Accounts: []worker.Account{stubAccount(gw)}, Windows: map[string]worker.Hours{"KE": hoursIn("KE", opens, opens.Add(time.Hour))}})
	_, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "c", Via: "kobo-main", Body: "b", ExpiresIn: 2 * time.Second}, producer.Numbers(kenyanNumbers(700)...))
	if err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 10*time.Second); s.Reasons["expired"] != 700 || gw.calls.Load() != 0 {
		t.Errorf("got the status %+v, want 700 skipped as expired, and no call", s)
	}
}

// TestSendingHours_RepeatedCallsWaitForOpening uses a gateway that answers its first call only when
// the sending hours end. After the answer, the call is doubtful, must be resent, or is refused for
// now. The second call must wait until the hours begin again.
func TestSendingHours_RepeatedCallsWaitForOpening(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		info   providers.Info
		resend string
		answer func() ([]providers.Result, error)
	}{
		"doubtful, with a key": {info: providers.Info{KeyTTL: keyTTL}, answer: func() ([]providers.Result, error) { return nil, noAnswerError() }},
		"resent":               {resend: worker.OnUnknownResend, answer: func() ([]providers.Result, error) { return nil, noAnswerError() }},
		"refused for now": {answer: func() ([]providers.Result, error) {
			return []providers.Result{{Outcome: providers.Retryable, Reason: "busy"}}, nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestTuma(t, simulator.Options{})
			gw := newTimedStub(t, tt.info)
			closes := r.now().Add(5 * time.Second)
			opens := closes.Add(5 * time.Second)
			gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
				gw.note(b)
				if gw.calls.Load() > 1 {
					return gw.accept(ctx, b)
				}
				select { // wait until the sending hours end, so that a retry must wait until the hours begin again
				case <-time.After(time.Until(closes)):
				case <-ctx.Done():
				}
				return tt.answer()
			}
			a := stubAccount(gw)
			a.Timeout, a.OnUnknown = 20*time.Second, tt.resend
			r.startWith(worker.Config{Accounts: []worker.Account{a}, Windows: map[string]worker.Hours{"KE": hoursIn("KE", opens, closes)}})
			r.enqueue("c", []string{"0712345678"})
			r.eventually(15*time.Second, "the reason", func() bool { return len(r.blocks("c")) == 1 })
			if b := r.blocks("c"); len(b) != 1 || b[0].Reason != "window" || !b[0].Until.Equal(opens) {
				t.Errorf("got the blocks %+v, want one: window until %s", b, opens)
			}
			if s := r.wait("c", 15*time.Second); s.Accepted != 1 {
				t.Errorf("got the status %+v, want 1 accepted", s)
			}
			at := gw.submittedAt(254712345678)
			if len(at) != 2 || at[0].After(closes) || at[1].Before(opens) {
				t.Errorf("submitted at %v; closed from %s to %s", at, closes, opens)
			}
		})
	}
}

func TestSendingHours_CancelledDoubtDoesNotWait(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newTimedStub(t, providers.Info{KeyTTL: keyTTL})
	closes := r.now().Add(5 * time.Second)
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		select {
		case <-time.After(time.Until(closes)):
		case <-ctx.Done():
		}
		return nil, noAnswerError()
	}
	a := stubAccount(gw)
	a.Timeout = 20 * time.Second
	r.startWith(worker.Config{Accounts: []worker.Account{a}, Windows: map[string]worker.Hours{"KE": hoursIn("KE", closes.Add(time.Hour), closes)}})
	r.enqueue("c", []string{"0712345678"})
	r.eventually(15*time.Second, "the reason", func() bool { b := r.blocks("c"); return len(b) == 1 && b[0].Reason == "window" })
	if _, err := r.producer.Cancel(t.Context(), "c"); err != nil {
		t.Fatal(err)
	}
	if s := r.wait("c", 30*time.Second); s.Unknown != 1 {
		t.Errorf("got the status %+v, want 1 unknown", s)
	}
	if n := gw.calls.Load(); n != 1 {
		t.Errorf("got %d calls, want 1", n)
	}
}

func TestSendingHours_InvalidConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	eight := worker.Hours{From: 8 * time.Hour, To: 12 * time.Hour}
	many := make([]worker.Account, 0, 400)
	var via []string
	for i := range 400 {
		via = append(via, fmt.Sprint("a", i))
	}
	many = append(many, r.account())
	for name, cfg := range map[string]worker.Config{
		"never open": {Windows: map[string]worker.Hours{"RU": eight}},
		"no country": {Windows: map[string]worker.Hours{"XX": eight}},
		"too many":   {Windows: map[string]worker.Hours{"KE": eight, "NG": eight, "UG": eight}, Routes: []worker.Route{{Match: "254", Via: via}}},
	} {
		cfg.Redis, cfg.Accounts = r.rdb, many
		if _, err := worker.New(cfg); err == nil {
			t.Errorf("%s: got no error, want one", name)
		}
	}
}

func TestSendingHours_NothingIsSentAfterClosing(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newTimedStub(t, providers.Info{MaxRecipients: 1})
	a := stubAccount(gw)
	a.Rate, a.Burst, a.Concurrency = 40, 4, 16 // with these values, every slot waits for a turn when the hours end
	closes := r.now().Add(5 * time.Second)
	sendingHours := map[string]worker.Hours{"KE": hoursIn("KE", closes.Add(time.Hour), closes)}
	r.startWith(worker.Config{Accounts: []worker.Account{a}, Windows: sendingHours})
	r.startWith(worker.Config{Accounts: []worker.Account{a}, Windows: sendingHours})
	r.enqueue("c", kenyanNumbers(2000))
	r.eventually(15*time.Second, "the reason", func() bool { b := r.blocks("c"); return len(b) == 1 && b[0].Reason == "window" })
	went := gw.calls.Load()
	_, last := gw.between("KE")
	if went == 0 || last.After(closes.Add(500*time.Millisecond)) {
		t.Errorf("got %d calls, the last %s after the hours ended; want some calls, the last within 500 ms", went, last.Sub(closes))
	}
	r.eventually(10*time.Second, "every batch to be put off", func() bool {
		due, err := ledger.New(r.rdb).NextDue(t.Context(), "c")
		return err == nil && due.After(closes.Add(time.Minute))
	})
	if s := r.status("c"); gw.calls.Load() != went || s.Pending != 2000-int(went) || s.InFlight.Calls != 0 {
		t.Errorf("got %d calls and status %+v, want %d calls, all others pending, and no call in flight", gw.calls.Load(), s, went)
	}
	// The slots return their unused turns, so another campaign can be sent at once.
	began := time.Now()
	if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: "code", Via: "kobo-main", Body: "b", Class: producer.Transactional},
		producer.Numbers("0730000001")); err != nil {
		t.Fatal(err)
	}
	if r.wait("code", 10*time.Second); time.Since(began) > 3*time.Second {
		t.Errorf("took %s, want at most 3 s", time.Since(began))
	}
}
