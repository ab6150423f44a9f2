package dev

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(providertest.Guarded(m)) }

func TestArrivals_ShowsTheFirstMessagesAndCountsTheOthers(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	now := time.Date(2026, 11, 28, 8, 0, 0, 0, time.Local)
	a := newArrivals(&out, func() time.Time { return now })
	take := func() string {
		text := out.String()
		out.Reset()
		return text
	}
	call := func(first, n int, body string) {
		c := simulator.AcceptedCall{From: "ACME", Body: body}
		for i := range n {
			c.Numbers = append(c.Numbers, uint64(254712000000+first+i))
		}
		a.add("kobo", c, 0)
	}
	a.show(false)
	if got := take(); got != "" {
		t.Errorf("before the first message, show printed %q, want nothing", got)
	}

	call(0, 2, "Hello\x1b[2J\nthere, "+strings.Repeat("é", 100))
	a.show(false)
	want := "08:00:00 kobo 254712000000 ACME: Hello [2J there, éééééééééééééééééééééééééééé…\n" +
		"08:00:00 kobo 254712000001 ACME: Hello [2J there, éééééééééééééééééééééééééééé…\n"
	if got := take(); got != want {
		t.Errorf("show printed\n%swant two lines of 79 characters without control characters\n%s", got, want)
	}

	// Of a long burst, 10 messages are printed. The count of its messages is printed after countEvery and at its end.
	for range 12 {
		now = now.Add(500 * time.Millisecond)
		call(100, 500, "Hi")
		a.show(false)
	}
	got := take()
	if n := strings.Count(got, "ACME: Hi"); n != shownPerBurst-2 {
		t.Errorf("the burst has %d more lines, want %d:\n%s", n, shownPerBurst-2, got)
	}
	if n := strings.Count(got, " = "); n != 1 || !strings.Contains(got, "08:00:05 = 5,002 messages in 11 calls; 5,002 since the start, 0 duplicates\n") {
		t.Errorf("the burst has %d counts, want one after five seconds:\n%s", n, got)
	}
	now = now.Add(quiet)
	a.show(false)
	if got := take(); got != "08:00:07 = 6,002 messages in 13 calls; 6,002 since the start, 0 duplicates\n" {
		t.Errorf("at the end of the burst, show printed %q", got)
	}

	// A second burst is also printed and counted. It ends when tuma dev stops.
	a.add("qserve", simulator.AcceptedCall{From: "SHOP", Body: "Again", Numbers: []uint64{254712000000}}, 1)
	a.show(true)
	if got := take(); got != "08:00:07 qserve 254712000000 SHOP: Again\n08:00:07 = 1 message in 1 call; 6,003 since the start, 1 duplicate\n" {
		t.Errorf("the second burst printed %q", got)
	}
	a.show(true)
	if got := take(); got != "" {
		t.Errorf("a second show printed %q, want nothing", got)
	}
}

func TestQuoteForShell(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]string{
		"/home/ann/tuma-1.0": "/home/ann/tuma-1.0",
		"/home/ann/my lists": "'/home/ann/my lists'",
		"/home/o'neil/$x":    `'/home/o'\''neil/$x'`,
	} {
		if got := quoteForShell(path); got != want {
			t.Errorf("quoteForShell(%q) is %s, want %s", path, got, want)
		}
	}
}

func TestAccounts_AddressThatIsNotLoopback(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]int{"127.0.0.1:8025": 0, "0.0.0.0:8025": 5} {
		if got := strings.Count(Accounts(address), "allow_http: true"); got != want {
			t.Errorf("Accounts(%s) has %d accounts with allow_http, want %s", address, got, fmt.Sprint(want))
		}
	}
}
