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

func TestAuditHoldsOptOutsAgainstTheCallsThatCame(t *testing.T) {
	t.Parallel()
	back := time.Now()
	before, after, later := arrival{arrived: back.Add(-time.Second)}, arrival{arrived: back.Add(time.Second)}, arrival{arrived: back.Add(time.Minute)}
	keyed := func(a arrival, key string) arrival { a.key = key; return a }
	asked := func(open int, calls ...arrival) record {
		return record{optedOut: true, request: request{returned: back, inFlight: open}, calls: calls}
	}
	for _, c := range []struct {
		name, status, reason string
		got                  int
		is                   record
		breaches             int
	}{
		{name: "nobody asked for anything", status: "accepted", got: 1, is: record{calls: []arrival{before}}},
		{name: "skipped, and nobody asked", status: "skipped", reason: "opted_out", breaches: 1},
		{name: "accepted in a call that was not seen", status: "accepted", got: 1, breaches: 1},
		{name: "left out", status: "skipped", reason: "opted_out", is: asked(0)},
		{name: "left out after a call that was refused", status: "skipped", reason: "opted_out", is: asked(0, before)},
		{name: "skipped for another reason", status: "skipped", reason: "expired", is: asked(0), breaches: 1},
		{name: "sent to before", status: "accepted", got: 1, is: asked(0, before)},
		{name: "sent to after", status: "accepted", got: 1, is: asked(0, after), breaches: 1},
		{name: "in flight, as it was told", status: "accepted", got: 1, is: asked(1, after)},
		{name: "two calls, of which one was told", status: "unknown", is: asked(1, after, later), breaches: 1},
		{name: "one call again under its key", status: "accepted", got: 1, is: asked(1, keyed(before, "k"), keyed(after, "k"), keyed(later, "k"))},
		{name: "another call with a key", status: "accepted", got: 1, is: asked(1, keyed(after, "k"), keyed(later, "l")), breaches: 1},
		{name: "again under its key, which nobody was told of", status: "accepted", got: 1, is: asked(0, keyed(before, "k"), keyed(after, "k")), breaches: 1},
		{name: "refused, and never called", status: "rejected", is: asked(0), breaches: 1},
		{name: "its worker died before it called", status: "unknown", is: asked(1)},
		{name: "an opt-out that was never back", status: "skipped", reason: "opted_out", is: record{optedOut: true}, breaches: 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			a := audit{gateway: "kobo"}
			a.checkOptOut("c", producer.Result{Row: 1, Status: c.status, Reason: c.reason}, c.got, c.is)
			if len(a.breaches) != c.breaches {
				t.Errorf("got %q", a.breaches)
			}
		})
	}
}

func TestWhomARequestIsToIsReadBeforeTheGatewayHasIt(t *testing.T) {
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
		if err := c.readRequest(gateway, q); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(q.Body); err != nil || string(got) != text {
			t.Errorf("%s is given %q, %v", gateway, got, err)
		}
	}
	for n, calls := range map[uint64]int{254710000001: 1, 254710000002: 2, 254710000003: 1, 254710000004: 1, 254710000005: 0} {
		is := c.recordOf(n)
		if len(is.calls) != calls || is.optedOut || calls > 0 && is.calls[0].arrived.Before(began) {
			t.Errorf("%d: %+v", n, is)
		}
		for _, a := range is.calls {
			if a.key != "" && a.key != key || n == 254710000001 && a.key == "" {
				t.Errorf("%d has key %q", n, a.key)
			}
		}
	}
}

func TestAnOptOutIsSaidUntilItIsHeard(t *testing.T) {
	t.Parallel()
	x := traffic{optOuts: newOptOutLog()}
	answers := []error{errors.New("there is no Redis"), nil}
	x.optOuts.optOut = func(_ context.Context, number, sender string) (r producer.OptOutReceipt, err error) {
		if number != "+254710000001" || sender != "ACME" {
			t.Errorf("asked for %s of %s", number, sender)
		}
		err, answers = answers[0], answers[1:]
		r.InFlight.Calls, r.Doubt = 1, 2
		return r, err
	}
	began := time.Now()
	x.optOut(t.Context(), 254710000001, "ACME")
	if is := x.optOuts.recordOf(254710000001); !is.returned.After(began) || is.inFlight != 3 || x.optOuts.retries.Load() != 1 {
		t.Errorf("got %+v", is)
	}
	x.optOuts.optOut = func(context.Context, string, string) (producer.OptOutReceipt, error) {
		return producer.OptOutReceipt{}, producer.ErrInvalid
	}
	x.optOut(t.Context(), 254710000002, "ACME")
	if is := x.optOuts.recordOf(254710000002); !is.returned.IsZero() || len(x.breaches) != 1 {
		t.Errorf("%+v, %q: one that Tuma does not take is no wish", is, x.breaches)
	}
}

func TestWhoOptsOutIsNearWhatCameLast(t *testing.T) {
	t.Parallel()
	c, of := newOptOutLog(), &campaign{gateway: "kobo", first: firstNumber, total: 200}
	c.last["kobo"] = firstNumber + 100
	near, drawn := 0, map[uint64]bool{}
	for range of.total {
		n := c.pickNumber(of)
		if drawn[n] || n < of.first || n >= of.first+uint64(of.total) {
			t.Fatalf("%d is drawn", n)
		}
		if drawn[n] = true; len(drawn) <= 20 && n >= firstNumber+80 && n < firstNumber+140 {
			near++
		}
	}
	if near < 8 {
		t.Errorf("%d of the first 20 are near the last call", near)
	}
}
