package report

import (
	"fmt"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/producer"
)

func TestReport_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	c := newTotals()
	at := time.Date(2025, 11, 3, 9, 0, 0, 0, time.UTC)
	const n = 50_000
	for i := range n {
		word := fmt.Sprint("w", i)
		c.add(producer.Result{Row: i, Status: "rejected", Reason: word, Code: word, Account: word, MSISDN: "254712345678", MessageUUID: "u",
			Cost: "0.10", Currency: word, UpdatedAt: at.Add(time.Duration(i) * time.Minute)})
	}
	if len(c.reasons.n) > maxKeys+1 || len(c.codes.n) > maxKeys+1 || len(c.accounts) > maxKeys+1 || len(c.countries["KE"].cost) > maxKeys {
		t.Errorf("got %d reasons, %d codes, %d accounts and %d currencies in memory, want about %d of each at most", len(c.reasons.n), len(c.codes.n), len(c.accounts),
			len(c.countries["KE"].cost), maxKeys)
	}
	r := c.report(nil)
	reasons, codes, accounts, moments := 0, 0, 0, 0
	for _, x := range r.Reasons {
		reasons += x.Recipients
	}
	for _, x := range r.Codes {
		codes += x.Recipients
	}
	for _, x := range r.Accounts {
		accounts += x.Recipients
	}
	for _, x := range r.Timeline {
		moments += x.Recipients
	}
	if reasons != n || codes != n || accounts != n || moments != n {
		t.Errorf("got %d reasons, %d codes, %d accounts and %d times, want %d of each", reasons, codes, accounts, moments, n)
	}
}
