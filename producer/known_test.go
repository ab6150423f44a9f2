package producer_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// A worker publishes its accounts a hundred times, each time on an empty Redis. Meanwhile a client
// with these accounts in WithAccounts enqueues through each account. Every Enqueue must find its
// account.
func TestEnqueue_BesideTheStartsOfAWorker(t *testing.T) {
	t.Parallel()
	b := newTestClient(t, producer.WithAccounts(producer.Account{Name: "a"}, producer.Account{Name: "b"}, producer.Account{Name: "c"}))
	store := accounts.New(b.ledger.Runner())
	var offers []accounts.Offer
	for _, name := range []string{"a", "b", "c"} {
		offers = append(offers, accounts.Offer{Card: campaign.Card{Name: name, Unit: "messages", Info: providers.Info{Name: "kobo", MaxRecipients: 5, SenderOptional: true}}})
	}
	for round := range 100 {
		b.rdb.FlushAll(t.Context())
		var starting sync.WaitGroup
		starting.Go(func() {
			if _, err := store.PublishAll(t.Context(), "w", int64(round), offers, accounts.Settings{Country: "KE"}); err != nil {
				t.Error(err)
			}
		})
		for n, via := range []string{"c", "a", "b", "c"} {
			if _, err := b.Enqueue(t.Context(), producer.Campaign{ID: fmt.Sprintf("c%d", n), Via: via, Body: "Hello"}, producer.Numbers("0712345678")); err != nil {
				t.Errorf("round %d: Enqueue via %s: %v", round, via, err)
			}
		}
		starting.Wait()
	}
}

func TestWithAccounts_UsedUntilAWorkerPublishes(t *testing.T) {
	t.Parallel()
	known := producer.Account{Name: "kobo-main", Sender: "ACME", Country: "KE", Windows: map[string]string{"KE": "08:00-18:00"},
		Info: providers.Info{Name: "kobo", MaxRecipients: 500, SenderAlphaMax: 11}}
	b := newTestClient(t, producer.WithAccounts(known), producer.WithRoutes(producer.Route{Via: []string{"kobo-main"}}))
	c := validCampaign()
	first, err := b.Enqueue(t.Context(), c, manyRecipients(2))
	if err != nil || first.Country != "KE" || first.Windows["KE"] != "08:00-18:00" || len(first.NoWorker) != 1 || first.NoWorker[0] != "kobo-main" {
		t.Fatalf("Enqueue = %+v, %v; want country and hours of the known account, which no worker serves", first, err)
	}
	s := b.status("c")
	if s.Country != "KE" || s.Windows["KE"] != "08:00-18:00" || len(s.BlockedBy) != 1 || s.BlockedBy[0].Reason != "no_worker" {
		t.Errorf("status %+v; want country and hours of the known account, blocked by no_worker", s)
	}
	long := c
	long.ID, long.From = "long", "MoreThan11Chars"
	if err := b.Check(t.Context(), long); !errors.Is(err, producer.ErrInvalid) || errors.Is(err, producer.ErrUnknownAccount) {
		t.Errorf("a sender that is too long for the known account: %v; want an ErrInvalid", err)
	}
	byRoute := c
	byRoute.ID, byRoute.Via = "route", ""
	if _, err := b.Enqueue(t.Context(), byRoute, manyRecipients(2)); err != nil {
		t.Errorf("Enqueue by a known route: %v", err)
	}

	// A worker publishes other settings. New campaigns get these settings, and the enqueued
	// campaign keeps its own.
	if _, err := accounts.New(b.ledger.Runner()).PublishAll(t.Context(), "w", 1, []accounts.Offer{{Card: campaign.Card{Name: "kobo-main", Unit: "messages", Sender: "ACME",
		Info: providers.Info{Name: "kobo", MaxRecipients: 500}}}}, accounts.Settings{Country: "NG"}); err != nil {
		t.Fatal(err)
	}
	again, err := b.Enqueue(t.Context(), c, manyRecipients(2))
	if err != nil || !again.Again || again.Country != "KE" || again.Windows["KE"] != "08:00-18:00" {
		t.Errorf("Enqueue again = %+v, %v; want the country and hours of the first one", again, err)
	}
	next := c
	next.ID = "next"
	if r, err := b.Enqueue(t.Context(), next, manyRecipients(2)); err != nil || r.Country != "NG" || len(r.Windows) != 0 || len(r.NoWorker) != 0 {
		t.Errorf("Enqueue of another campaign = %+v, %v; want country NG, any hour, a worker", r, err)
	}
	if s := b.status("c"); s.Country != "KE" || s.Windows["KE"] != "08:00-18:00" {
		t.Errorf("status of the first campaign: %+v; want its own country and hours", s)
	}
	now := c
	now.ID, now.Class = "now", producer.Transactional
	if r, err := b.Enqueue(t.Context(), now, manyRecipients(2)); err != nil || r.Country != "NG" || r.Windows != nil {
		t.Errorf("Enqueue of a transactional campaign = %+v, %v; want country NG and no hours", r, err)
	}
	if err := b.Check(t.Context(), producer.Campaign{ID: "x", Via: "nope", Body: "x"}); !errors.Is(err, producer.ErrUnknownAccount) {
		t.Errorf("an unknown account: %v; want ErrUnknownAccount", err)
	}
}

func TestWithAccounts_MistakesAreRefused(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	_, err := producer.New(b.rdb, producer.WithAccounts(producer.Account{Name: "a b"}, producer.Account{Name: "c", Country: "Kenya", Windows: map[string]string{"KE": "noon"}}))
	if !errors.Is(err, producer.ErrInvalid) {
		t.Fatalf("New returned %v, want an ErrInvalid", err)
	}
	for _, want := range []string{`name "a b"`, `country "Kenya"`, "sending hours of KE"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not contain %q: %v", want, err)
		}
	}
}
