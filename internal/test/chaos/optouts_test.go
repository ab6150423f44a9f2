//go:build unix

package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/producer"
)

func TestAudit_ComparesOptOutsWithTheCalls(t *testing.T) {
	t.Parallel()
	back := time.Now()
	before, after, later := arrival{arrived: back.Add(-time.Second)}, arrival{arrived: back.Add(time.Second)}, arrival{arrived: back.Add(time.Minute)}
	keyed := func(a arrival, key string) arrival { a.key = key; return a }
	asked := func(open int, calls ...arrival) numberHistory {
		return numberHistory{optedOut: true, request: request{returned: back, inFlight: open}, calls: calls}
	}
	for _, c := range []struct {
		name, status, reason string
		got                  int
		is                   numberHistory
		breaches             int
	}{
		{name: "no opt-out", status: "accepted", got: 1, is: numberHistory{calls: []arrival{before}}},
		{name: "skipped without an opt-out", status: "skipped", reason: "opted_out", breaches: 1},
		{name: "accepted in a call that was not recorded", status: "accepted", got: 1, breaches: 1},
		{name: "skipped after its opt-out", status: "skipped", reason: "opted_out", is: asked(0)},
		{name: "skipped after a call that the gateway refused", status: "skipped", reason: "opted_out", is: asked(0, before)},
		{name: "skipped for another reason", status: "skipped", reason: "expired", is: asked(0), breaches: 1},
		{name: "sent before the opt-out", status: "accepted", got: 1, is: asked(0, before)},
		{name: "sent after the opt-out", status: "accepted", got: 1, is: asked(0, after), breaches: 1},
		{name: "in flight as the opt-out reported", status: "accepted", got: 1, is: asked(1, after)},
		{name: "two calls, one of them reported", status: "unknown", is: asked(1, after, later), breaches: 1},
		{name: "one call repeated with its key", status: "accepted", got: 1, is: asked(1, keyed(before, "k"), keyed(after, "k"), keyed(later, "k"))},
		{name: "another call with a key", status: "accepted", got: 1, is: asked(1, keyed(after, "k"), keyed(later, "l")), breaches: 1},
		{name: "a call repeated with its key, but not reported", status: "accepted", got: 1, is: asked(0, keyed(before, "k"), keyed(after, "k")), breaches: 1},
		{name: "rejected without a call", status: "rejected", is: asked(0), breaches: 1},
		{name: "unknown because its worker died before the call", status: "unknown", is: asked(1)},
		{name: "an opt-out that never returned", status: "skipped", reason: "opted_out", is: numberHistory{optedOut: true}, breaches: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := audit{gateway: "kobo"}
			a.checkOptOut("c", producer.Result{Row: 1, Status: c.status, Reason: c.reason}, c.got, c.is)
			if len(a.breaches) != c.breaches {
				t.Errorf("got the broken promises %q, want %d", a.breaches, c.breaches)
			}
		})
	}
}

func TestOptOutLog_ReadsRecipientsBeforeTheGateway(t *testing.T) {
	t.Parallel()
	c, began := newOptOutLog(), time.Now()
	const key = "2f22a2be-5336-57c7-a88e-ff884564ea2d"
	for gateway, text := range map[string]string{
		"kobo":           `{"to":["254710000001","254710000002"],"message_uuid":"` + key + `"}`,
		"africastalking": "username=demo&to=%2B254710000003%2C%2B254710000002&message=It+opens+at+9",
		"connectmedia":   "",
	} {
		q := httptest.NewRequest(http.MethodPost, "/"+gateway+"/?phone=254710000004", strings.NewReader(text))
		if gateway != "connectmedia" {
			q.URL.RawQuery = ""
		}
		read, err := readText(q)
		if err != nil {
			t.Fatal(err)
		}
		c.readRequest(gateway, time.Now(), read)
		if got, err := io.ReadAll(q.Body); err != nil || string(got) != text {
			t.Errorf("%s: the body is %q, %v after readRequest, want %q", gateway, got, err, text)
		}
	}
	for n, calls := range map[uint64]int{254710000001: 1, 254710000002: 2, 254710000003: 1, 254710000004: 1, 254710000005: 0} {
		is := c.historyOf(n)
		if len(is.calls) != calls || is.optedOut || calls > 0 && is.calls[0].arrived.Before(began) {
			t.Errorf("%d: got the record %+v, want %d calls and no opt-out", n, is, calls)
		}
		for _, a := range is.calls {
			if a.key != "" && a.key != key || n == 254710000001 && a.key == "" {
				t.Errorf("%d has the key %q; only KoboMobile's calls have one, %q", n, a.key, key)
			}
		}
	}
}

func TestOptOut_RepeatedUntilConfirmed(t *testing.T) {
	t.Parallel()
	x := traffic{optOuts: newOptOutLog()}
	answers := []error{errors.New("redis is down"), nil}
	x.optOuts.optOut = func(_ context.Context, number, sender string) (r producer.OptOutReceipt, err error) {
		if number != "+254710000001" || sender != "ACME" {
			t.Errorf("got an opt-out of %s for sender %s, want +254710000001 and ACME", number, sender)
		}
		err, answers = answers[0], answers[1:]
		r.InFlight.Calls, r.Doubt = 1, 2
		return r, err
	}
	began := time.Now()
	x.optOut(t.Context(), 254710000001, "ACME")
	if is := x.optOuts.historyOf(254710000001); !is.returned.After(began) || is.inFlight != 3 || x.optOuts.retries.Load() != 1 {
		t.Errorf("got the record %+v, want 3 calls in flight after one retry", is)
	}
	x.optOuts.optOut = func(context.Context, string, string) (producer.OptOutReceipt, error) {
		return producer.OptOutReceipt{}, producer.ErrInvalid
	}
	x.optOut(t.Context(), 254710000002, "ACME")
	if is := x.optOuts.historyOf(254710000002); !is.returned.IsZero() || len(x.breaches) != 1 {
		t.Errorf("got %+v and %q, want no confirmed opt-out and one broken promise", is, x.breaches)
	}
}

func TestOptOutLog_PicksNumbersNearTheLastCall(t *testing.T) {
	t.Parallel()
	c, of := newOptOutLog(), &campaign{gateway: "kobo", first: firstNumber, total: 200}
	c.last["kobo"] = firstNumber + 100
	near, drawn := 0, map[uint64]bool{}
	for range of.total {
		n := c.pickNumber(of)
		if drawn[n] || n < of.first || n >= of.first+uint64(of.total) {
			t.Fatalf("pickNumber returns %d, want a new number of the campaign", n)
		}
		if drawn[n] = true; len(drawn) <= 20 && n >= firstNumber+80 && n < firstNumber+140 {
			near++
		}
	}
	if near < 8 {
		t.Errorf("%d of the first 20 are near the last call, want at least 8", near)
	}
}
