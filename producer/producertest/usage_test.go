package producertest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/producer/producertest"
)

// The usage of the month counts each sent message once, with its cost. The counts stay after a
// purge.
func TestUsage_OfSentCampaigns(t *testing.T) {
	t.Parallel()
	tuma := producertest.NewWith(t, producertest.Config{Accounts: []string{"one", "two"}, Price: "0.80 KES", MaxRecipients: 2})
	client := tuma.Client()
	tuma.RejectNumber(t, "0712345679", "bad_number")
	send := func(c producer.Campaign, numbers ...string) {
		t.Helper()
		c.Body = "Hello"
		if _, err := client.Enqueue(t.Context(), c, producer.Numbers(numbers...)); err != nil {
			t.Fatal(err)
		}
		if _, err := client.Wait(t.Context(), c.ID); err != nil {
			t.Fatal(err)
		}
	}
	send(producer.Campaign{ID: "a", Via: "one", CreatedBy: "key:shop (f742eeb916)"}, "0712345678", "0712345679", "0712345680", "0712345681")
	send(producer.Campaign{ID: "b", Via: "one", From: "ACME", CreatedBy: "key:shop (f742eeb916)"}, "0712345678")
	send(producer.Campaign{ID: "c", Via: "two"}, "0712345678", "0712345680")
	month := time.Now().UTC().Format("2006-01")
	want := []producer.Usage{
		{Month: month, Account: "one", Sender: "ACME", Key: "shop", KeyID: "f742eeb916", Messages: 1, Segments: 1, Cost: "0.80", Currency: "KES"},
		{Month: month, Account: "one", Sender: "TUMA", Key: "shop", KeyID: "f742eeb916", Messages: 3, Segments: 3, Cost: "2.40", Currency: "KES"},
		{Month: month, Account: "two", Sender: "TUMA", Messages: 2, Segments: 2, Cost: "1.60", Currency: "KES"},
	}
	read := func() []producer.Usage {
		t.Helper()
		got, err := client.Usage(t.Context(), time.Time{}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for got := read(); !slices.Equal(got, want); got = read() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("usage is %+v, want %+v", got, want)
		}
	}
	for _, id := range []string{"a", "b", "c"} {
		if err := client.Purge(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if got := read(); !slices.Equal(got, want) {
		t.Errorf("after the purge: %+v, want %+v", got, want)
	}
}
