package producer_test

import (
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"testing"
	"time"
	_ "time/tzdata" // so that the time zones do not depend on the machine

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

func card(name string, rate float64, change ...func(*producer.Account)) producer.Account {
	a := producer.Account{Name: name, Provider: "kobo", Rate: rate, Unit: "messages", Sender: "ACME", Country: "KE", Price: "0.80 KES",
		Info: providers.Info{Name: "kobo", MaxRecipients: 500, MaxChars: 905, MaxSegments: 6, SenderAlphaMax: 11, SenderDigitsMax: 16}}
	for _, f := range change {
		f(&a)
	}
	return a
}

// kenyansAndNigerians returns the given number of Kenyan recipients, followed by the given number of Nigerian
// recipients.
func kenyansAndNigerians(kenyans, nigerians int) iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		for i := range kenyans {
			if !yield(producer.Recipient{Number: fmt.Sprintf("0712%06d", i)}, nil) {
				return
			}
		}
		for i := range nigerians {
			if !yield(producer.Recipient{Number: fmt.Sprintf("+234803%07d", i)}, nil) {
				return
			}
		}
	}
}

// scheduleStart is when the schedules of scheduleCases begin: a Monday morning in Nairobi.
const scheduleStart = "2026-11-23T09:00:00+03:00"

// parseTime parses a time in RFC 3339.
func parseTime(t *testing.T, s string) time.Time {
	t.Helper()
	x, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// scheduleCase is a campaign and the schedule that Preview must compute for it.
type scheduleCase struct {
	kenyans, nigerians int
	campaign           producer.Campaign
	accounts           []producer.Account
	routes             []producer.Route
	until              string
	stretches          []string
	expired            int
}

func scheduleCases(t *testing.T) map[string]scheduleCase {
	t.Helper()
	byDay := func(a *producer.Account) { a.Windows = map[string]string{"KE": "08:00-18:00", "NG": "08:00-20:00"} }
	requests := func(a *producer.Account) { a.Unit = "requests" }
	segments := func(a *producer.Account) { a.Unit = "segments" }
	return map[string]scheduleCase{
		"within one day's hours": {kenyans: 3600, accounts: []producer.Account{card("k", 1, byDay)}, until: "2026-11-23T10:00:00+03:00",
			stretches: []string{"KE 09:00 10:00 3600"}},
		"at any hour": {kenyans: 7200, campaign: producer.Campaign{Class: producer.Transactional}, accounts: []producer.Account{card("k", 0.1, byDay)},
			until: "2026-11-24T05:00:00+03:00", stretches: []string{" 09:00 05:00 7200"}},
		"over three days": {kenyans: 7200, accounts: []producer.Account{card("k", 0.1, byDay)}, until: "2026-11-25T09:00:00+03:00",
			stretches: []string{"KE 09:00 18:00 3240", "KE 08:00 18:00 3600", "KE 08:00 09:00 360"}},
		"it begins at night": {kenyans: 3600, campaign: producer.Campaign{StartAt: parseTime(t, "2026-11-23T22:00:00+03:00")},
			accounts: []producer.Account{card("k", 1, byDay)}, until: "2026-11-24T09:00:00+03:00", stretches: []string{"KE 08:00 09:00 3600"}},
		"two countries have one account": {kenyans: 3600, nigerians: 3600, accounts: []producer.Account{card("k", 1, byDay)},
			// 08:00 in Nigeria is 10:00 in Nairobi. Until then only Kenyan recipients use the account.
			until: "2026-11-23T11:00:00+03:00", stretches: []string{"KE 09:00 10:00 3600", "NG 10:00 11:00 3600"}},
		"two countries share the rate of one account": {kenyans: 5400, nigerians: 3600, accounts: []producer.Account{card("k", 1, byDay)},
			until: "2026-11-23T11:30:00+03:00", stretches: []string{"KE 09:00 11:00 5400", "NG 10:00 11:30 3600"}},
		"two accounts side by side": {kenyans: 3600, nigerians: 1800, campaign: producer.Campaign{Class: producer.Transactional},
			accounts: []producer.Account{card("k", 1), card("n", 0.25)}, routes: []producer.Route{{Match: "254", Via: []string{"k"}}, {Match: "234", Via: []string{"n"}}},
			until: "2026-11-23T11:00:00+03:00", stretches: []string{" 09:00 11:00 5400"}},
		"by requests": {kenyans: 3600, accounts: []producer.Account{card("k", 0.1, byDay, requests)}, until: "2026-11-23T09:01:20+03:00",
			stretches: []string{"KE 09:00 09:01 3600"}},
		"by segments": {kenyans: 3600, campaign: producer.Campaign{Body: fmt.Sprintf("%0161d", 0)}, accounts: []producer.Account{card("k", 1, byDay, segments)},
			until: "2026-11-23T11:00:00+03:00", stretches: []string{"KE 09:00 11:00 3600"}},
		"it expires": {kenyans: 7200, campaign: producer.Campaign{ExpiresIn: time.Hour}, accounts: []producer.Account{card("k", 1, byDay)},
			until: "2026-11-23T10:00:00+03:00", stretches: []string{"KE 09:00 10:00 3600"}, expired: 3600},
		"it expires before the sending hours begin": {nigerians: 100, campaign: producer.Campaign{ExpiresIn: time.Minute}, accounts: []producer.Account{card("k", 1, byDay)},
			until: "2026-11-23T09:01:00+03:00", expired: 100},
		"without a rate": {kenyans: 7200, nigerians: 10, accounts: []producer.Account{card("k", 0, byDay)}, until: "2026-11-23T10:00:00+03:00",
			stretches: []string{"KE 09:00 09:00 7200", "NG 10:00 10:00 10"}},
		"more than a year": {kenyans: 7200, campaign: producer.Campaign{Class: producer.Transactional}, accounts: []producer.Account{card("k", 0.0001)},
			stretches: []string{" 09:00 09:00 3162"}},
	}
}

// check compares a forecast with the expected schedule.
func (c scheduleCase) check(t *testing.T, f producer.Forecast) {
	t.Helper()
	var got []string
	nairobi := parseTime(t, scheduleStart).Location()
	sum := f.Schedule.Expired
	for _, x := range f.Schedule.Spans {
		got = append(got, fmt.Sprintf("%s %s %s %d", x.Country, x.From.In(nairobi).Format("15:04"), x.Until.In(nairobi).Format("15:04"), x.Recipients))
		sum += x.Recipients
	}
	if !slices.Equal(got, c.stretches) || f.Schedule.Expired != c.expired {
		t.Errorf("got %q, %d expire; want %q, %d", got, f.Schedule.Expired, c.stretches, c.expired)
	}
	if c.until == "" {
		if f.Schedule.Until != nil {
			t.Errorf("the schedule ends at %s; want no end", f.Schedule.Until)
		}
		return
	}
	if sum != f.Sent {
		t.Errorf("%d of %d recipients are scheduled or expire; want all", sum, f.Sent)
	}
	if u := f.Schedule.Until; u == nil || u.Sub(parseTime(t, c.until)).Abs() > time.Second {
		t.Errorf("the schedule ends at %v; want %s", u, c.until)
	}
}

func TestPreview_ForeseesTheEnd(t *testing.T) {
	t.Parallel()
	for name, tt := range scheduleCases(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := tt.campaign
			if c.Body == "" {
				c.Body = "Hello"
			}
			if len(tt.routes) == 0 {
				c.Via = "k"
			}
			f, err := producer.Preview(t.Context(), c, kenyansAndNigerians(tt.kenyans, tt.nigerians),
				producer.PreviewOptions{Accounts: tt.accounts, Routes: tt.routes, Now: parseTime(t, scheduleStart)})
			if err != nil {
				t.Fatal(err)
			}
			tt.check(t, f)
		})
	}
}

func TestPreview_RoutesAndHeldAccounts(t *testing.T) {
	t.Parallel()
	held := func(since, until time.Duration) func(*producer.Account) {
		return func(a *producer.Account) {
			a.Hold = producer.Hold{Reason: "connection", Since: now.Add(-since), Until: now.Add(until)}
		}
	}
	for name, tt := range map[string]struct {
		first producer.Account
		via   string
		after time.Duration
	}{
		"open":            {card("k", 1), "k", time.Minute},
		"held for long":   {card("k", 1, held(2*time.Minute, time.Minute)), "n", time.Minute},
		"held just now":   {card("k", 1, held(time.Second, time.Minute)), "k", time.Minute},
		"tried again now": {card("k", 1, held(2*time.Minute, 0)), "k", time.Minute},
		"never over":      {card("k", 1, held(2*time.Hour, time.Minute)), "k", 0},
	} {
		f, err := producer.Preview(t.Context(), producer.Campaign{Body: "Hello"}, kenyansAndNigerians(10, 10), producer.PreviewOptions{Now: now, FailoverAfter: tt.after,
			Accounts: []producer.Account{tt.first, card("n", 1)}, Routes: []producer.Route{{Match: "254", Via: []string{"k", "n"}}}})
		if err != nil {
			t.Fatal(err)
		}
		if len(f.Accounts) != 1 || f.Accounts[0].Account != tt.via || f.Accounts[0].Recipients != 10 || f.Reasons["no_route"] != 10 {
			t.Errorf("%s: accounts %+v, reasons %v; want 10 recipients in the expected account, and 10 without a route", name, f.Accounts, f.Reasons)
		}
	}
}

func TestPreview_NamesWhatIsUnknown(t *testing.T) {
	t.Parallel()
	f, err := producer.Preview(t.Context(), producer.Campaign{Body: "Hello"}, producer.Numbers("0712345678", "+254712345678"), producer.PreviewOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if f.Total != 2 || f.Sent != 1 || f.Calls != nil || f.Invalid["unknown_country"] != 1 || len(f.Unknown) != 3 || f.Schedule.Until != nil || f.Cost != "" {
		t.Errorf("forecast without accounts = %+v; want 1 of 2 sent, and no calls, cost or end", f)
	}
}

func TestPreview_RefusesAsEnqueueDoes(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		campaign producer.Campaign
		fields   []string
	}{
		"nothing":       {producer.Campaign{Via: "k"}, []string{"body"}},
		"long":          {producer.Campaign{Via: "k", Body: fmt.Sprintf("%0906d", 0)}, []string{"body"}},
		"many mistakes": {producer.Campaign{ID: "/", Via: "k", Body: "x", Class: "x", Country: "XX", StartAt: now.Add(-time.Hour)}, []string{"id", "class", "country", "start_at"}},
		"flash":         {producer.Campaign{Via: "k", Body: "x", Flash: true}, []string{"flash"}},
	} {
		_, err := producer.Preview(t.Context(), tt.campaign, kenyansAndNigerians(1, 0), producer.PreviewOptions{Accounts: []producer.Account{card("k", 1)}, Now: now})
		if !errors.Is(err, producer.ErrInvalid) || !slices.Equal(fields(err), tt.fields) {
			t.Errorf("%s: error %v; want an ErrInvalid for the fields %v", name, err, tt.fields)
		}
	}
	broken := errors.New("broken")
	_, err := producer.Preview(t.Context(), producer.Campaign{Body: "x"}, func(yield func(producer.Recipient, error) bool) { yield(producer.Recipient{}, broken) }, producer.PreviewOptions{})
	if !errors.Is(err, broken) {
		t.Errorf("Preview of a broken sequence: error %v; want the error of the sequence", err)
	}
	_, err = producer.Preview(t.Context(), producer.Campaign{Body: "x"}, producer.Numbers("1"), producer.PreviewOptions{Skipped: func(producer.SkippedRecipient) error { return broken }})
	if !errors.Is(err, broken) {
		t.Errorf("Preview with a broken Skipped: error %v; want the error of Skipped", err)
	}
	if _, err = producer.Preview(t.Context(), producer.Campaign{Body: "x"}, nil, producer.PreviewOptions{}); !errors.Is(err, producer.ErrInvalid) {
		t.Errorf("Preview without recipients: error %v; want an ErrInvalid", err)
	}
}

func TestPreview_CreditAndAlphabet(t *testing.T) {
	t.Parallel()
	account := card("k", 1, func(a *producer.Account) { a.Balance, a.BalanceAt = "KES 100", now.Add(-time.Minute) })
	f, err := producer.Preview(t.Context(), producer.Campaign{Via: "k", Body: "It’s on"}, kenyansAndNigerians(1000, 0), producer.PreviewOptions{Accounts: []producer.Account{account}, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	a := f.Accounts[0]
	if a.Cost != "800.00 KES" || f.Cost != a.Cost || a.Credit == nil || a.Credit.Problem != producer.CreditShort || !a.BalanceAt.Equal(account.BalanceAt) {
		t.Errorf("account %+v, credit %+v; want a cost of 800.00 KES and the problem short", a, a.Credit)
	}
	if f.Encoding != "UCS-2" || f.UCS2 == "" {
		t.Errorf("encoding %s because of %q; want UCS-2 and a character", f.Encoding, f.UCS2)
	}
	if diff := cmp.Diff([]producer.Length{{Segments: 1, Encoding: "UCS-2", Messages: 1000}}, f.Spread); diff != "" {
		t.Error(diff)
	}
	if len(f.Samples) != 5 || f.Samples[0].Row != 1 || !slices.IsSortedFunc(f.Samples, func(a, b producer.Sample) int { return a.Row - b.Row }) {
		t.Errorf("samples %+v; want five, sorted by row, from row 1", f.Samples)
	}
}

func TestPreview_MemoryIsBounded(t *testing.T) {
	// This test does not run in parallel, because it measures the heap of the whole process.
	const n = 300_000
	var peak uint64
	rows := func(yield func(producer.Recipient, error) bool) {
		for i := range n {
			if i%50_000 == 49_999 {
				runtime.GC()
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
			if !yield(producer.Recipient{Number: fmt.Sprintf("0712%06d", i)}, nil) {
				return
			}
		}
	}
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	f, err := producer.Preview(t.Context(), producer.Campaign{Via: "k", Body: "Hello"}, rows, producer.PreviewOptions{Accounts: []producer.Account{card("k", 1)}, Now: now})
	if err != nil || f.Sent != n {
		t.Fatalf("Preview = %+v, %v; want all recipients sent", f, err)
	}
	if grown := int64(peak) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("the heap grew by %d bytes for %d recipients; want at most 8 MiB", grown, n)
	}
}
