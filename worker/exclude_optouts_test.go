package worker_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
	"github.com/tuma-sms/tuma/worker"
)

func (r *testTuma) optOut(sender string, numbers ...string) producer.OptOutReceipt {
	r.t.Helper()
	got, err := r.producer.OptOut(r.t.Context(), producer.OptOutNumbers(sender, "KE", numbers...))
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

// optedOutRows returns the numbers that a campaign skipped because of an opt-out, by reason code.
func (r *testTuma) optedOutRows(id string) map[string][]string {
	r.t.Helper()
	out := map[string][]string{}
	for x, err := range r.producer.Results(r.t.Context(), id) {
		if err != nil {
			r.t.Fatal(err)
		}
		if x.Reason == "opted_out" {
			if x.Status != "skipped" || x.MSISDN == "" || x.Account != "" || x.MessageUUID != "" {
				r.t.Errorf("got the result %+v of an opted-out recipient, want skipped with a number, and neither account nor key", x)
			}
			out[x.Code] = append(out[x.Code], x.MSISDN)
		}
	}
	return out
}

func mustParse(t *testing.T, number string) sms.MSISDN {
	t.Helper()
	m, err := sms.ParseMSISDN(number, "KE")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestOptOut_PlanSkipsOptedOutRecipients(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	const n = 2*campaign.MaxPageRows + 500 // three pages
	numbers := kenyanNumbers(n)
	last := func(back uint64) string { return sms.MSISDN(254_710_000_000 + n - back).String() }
	if got := r.optOut("", numbers[0], numbers[n-800]); got.Added != 2 || got.InFlight.Calls != 0 {
		t.Errorf("got opt-out %+v, want 2 added and no call in flight", got)
	}
	r.optOut("acme", numbers[1], numbers[n-800], numbers[n-100])
	r.optOut("Other", numbers[2])
	r.start(r.account())
	all := slices.Concat(numbers, []string{numbers[0], numbers[5]})
	for id, c := range map[string]producer.Campaign{
		"of the account": {}, "named": {From: "Acme"}, "transactional": {From: "ACME", Class: producer.Transactional}, "other": {From: "OTHER"},
	} {
		c.ID, c.Via, c.Body = nameOf(id), "kobo-main", "Hello"
		if _, err := r.producer.Enqueue(t.Context(), c, producer.Numbers(all...)); err != nil {
			t.Fatal(err)
		}
		s := r.wait(c.ID, 20*time.Second)
		// 254710000000 is on the suppression list and occurs twice. Both rows count as opted out.
		// The second row does not count as a duplicate.
		want := map[string][]string{"global": {"254710000000", last(800), "254710000000"}, "ACME": {"254710000001", last(100)}}
		left := 5
		if id == "other" {
			want, left = map[string][]string{"global": want["global"], "OTHER": {"254710000002"}}, 4
		}
		got := r.optedOutRows(c.ID)
		for code := range want {
			if !slices.Equal(got[code], want[code]) {
				t.Errorf("%s: got opted-out numbers %v, want %v", id, got, want)
			}
		}
		if s.Reasons["opted_out"] != left || s.Reasons["duplicate"] != 1 || s.Accepted != n+2-left-1 {
			t.Errorf("campaign %s: unexpected status: %+v", id, s)
		}
	}
	if n := r.gateway.Accepted(254710000000); n != 0 {
		t.Errorf("an opted-out recipient was sent to %d times", n)
	}
	removed, err := r.producer.OptIn(t.Context(), producer.OptOutNumbers("", "KE", numbers[0], numbers[7]))
	if err != nil || removed != 1 {
		t.Errorf("OptIn: got %d, %v, want 1", removed, err)
	}
}

func nameOf(s string) string {
	out := []byte(s)
	for i, c := range out {
		if c == ' ' {
			out[i] = '-'
		}
	}
	return string(out)
}

func TestOptOut_DuringSendingRecipientsAreLeftOut(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 2})
	begun, goOn := make(chan []sms.MSISDN, 100), make(chan struct{})
	gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		begun <- b.To
		select {
		case <-goOn:
		case <-ctx.Done():
		}
		return gw.accept(ctx, b)
	}
	r.start(worker.Account{Name: "kobo-main", Provider: gw, Concurrency: 1})
	numbers := kenyanNumbers(8)
	r.enqueue("c", numbers)
	r.enqueue("d", numbers[5:6])
	first := <-begun
	got := r.optOut("", first[0].E164(), numbers[5], numbers[6], numbers[7])
	if got.Added != 4 || got.InFlight != (producer.InFlight{Calls: 1, Recipients: 1}) {
		t.Errorf("got opt-out %+v, want 4 added and one call with one recipient in flight", got)
	}
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := r.producer.WaitForInFlight(soon, got); err == nil {
		t.Error("WaitForInFlight returned while the call was in flight")
	}
	close(goOn)
	if err := r.producer.WaitForInFlight(t.Context(), got); err != nil {
		t.Error(err)
	}
	if s := r.wait("c", 20*time.Second); s.Accepted != 5 || s.Reasons["opted_out"] != 3 || s.Skipped != 3 || len(s.ByAccount) != 1 || s.ByAccount[0].Total != 5 {
		t.Errorf("got status %+v, want 5 accepted and 3 opted out", s)
	}
	if s := r.wait("d", 20*time.Second); s.Accepted != 0 || s.Reasons["opted_out"] != 1 {
		t.Errorf("got status %+v, want 0 accepted and 1 opted out", s)
	}
	for i, n := range numbers {
		want := 1
		if i >= 5 {
			want = 0
		}
		if n := gw.times(mustParse(t, n)); n != want {
			t.Errorf("number %d was sent to %d times, want %d", i, n, want)
		}
	}
}

func TestOptOut_GatewayBlacklistAddsToTheList(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		bySender     bool
		sender, list string
		others       int // 1 if another sender ID still sends to the barred recipient, and 0 otherwise
	}{{true, "ACME", "ACME", 1}, {false, "ACME", "", 0}, {false, "", "", 0}} {
		r := newTestTuma(t, simulator.Options{})
		gw := newStubGateway(providers.Info{MaxRecipients: 10, BlacklistBySender: c.bySender})
		barred := mustParse(t, "0710000001")
		gw.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
			out, err := gw.accept(ctx, b)
			for i, m := range b.To {
				if m == barred && b.From == c.sender {
					out[i] = providers.Result{Outcome: providers.Rejected, Reason: providers.ReasonBlacklisted, Code: "406"}
				}
			}
			return out, err
		}
		r.start(worker.Account{Name: "a", Provider: gw, Sender: c.sender})
		wait := func(id, from string, want map[string]int) {
			t.Helper()
			if _, err := r.producer.Enqueue(t.Context(), producer.Campaign{ID: id, Via: "a", From: from, Body: "Hello"}, producer.Numbers("0710000001", "0710000002")); err != nil {
				t.Fatal(err)
			}
			s := r.wait(id, 20*time.Second)
			if s.Accepted != want["accepted"] || s.Rejected != want["rejected"] || s.Reasons["opted_out"] != want["opted_out"] {
				t.Errorf("%+v: campaign %s: got the status %+v, want %v", c, id, s, want)
			}
		}
		wait("first", "", map[string]int{"accepted": 1, "rejected": 1})
		var found []producer.OptOut
		r.eventually(10*time.Second, "the suppression list entry", func() bool {
			var err error
			found, err = r.producer.OptOutsOf(t.Context(), "0710000001", "KE")
			return err != nil || len(found) > 0 && found[0].Origin != "" // Origin is written last, after the other fields of the entry
		})
		if len(found) != 1 || found[0].Sender != c.list || found[0].Origin != "gateway:a:406" || time.Since(found[0].At) > 2*time.Minute {
			t.Errorf("got the opt-out entries %+v, want one of now, for the list of %+v, with the origin gateway:a:406", found, c)
		}
		wait("second", "", map[string]int{"accepted": 1, "opted_out": 1})
		wait("other", "Other", map[string]int{"accepted": 1 + c.others, "opted_out": 1 - c.others})
		if n, err := r.producer.Retry(t.Context(), "first", producer.RetryOptions{Rejected: true}); n != 0 || err != nil {
			t.Errorf("%+v: Retry: got %d, %v, want 0", c, n, err)
		}
		if last, err := r.producer.LastRetry(t.Context(), "first"); err != nil || last.OptedOut != 1 {
			t.Errorf("%+v: got last retry %+v, %v, want 1 opted out", c, last, err)
		}
	}
}

// While a campaign waits for its turns at a slow account, people that are not its recipients opt out all the time.
// These opt-outs must not prevent the campaign's claims, because the campaign would then never end.
func TestOptOut_ManyByOthersDoNotStopACampaign(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gw := newStubGateway(providers.Info{MaxRecipients: 1})
	r.start(worker.Account{Name: "kobo-main", Provider: gw, Rate: 20, Concurrency: 4})
	numbers := kenyanNumbers(40)
	ctx, cancel := context.WithCancel(t.Context())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	for k := range 4 {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				other := sms.MSISDN(254_720_000_000 + 100_000*k + i).String()
				if _, err := r.producer.OptOut(ctx, producer.OptOutNumbers("", "KE", other)); err != nil && ctx.Err() == nil {
					t.Error(err)
				}
			}
		})
	}
	r.enqueue("c", numbers)
	if s := r.wait("c", 20*time.Second); s.Accepted != len(numbers) {
		t.Errorf("got status %+v, want all accepted", s)
	}
}
