package producer_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

func oneTimeCode() producer.Message {
	return producer.Message{ID: "otp-1", Via: "kobo-main", To: "0712345678", Country: "KE", Body: "Your code is {{code}} }} {{{", Ref: "order 1234"}
}

func TestSend_SameMessageOnce(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	m := oneTimeCode()
	first, err := b.Send(t.Context(), m)
	if err != nil || first.ID != "otp-1" || first.Again || first.CreatedAt.IsZero() {
		t.Fatalf("got %+v, %v", first, err)
	}
	again, err := b.Send(t.Context(), m)
	if err != nil || !again.Again || !again.CreatedAt.Equal(first.CreatedAt) {
		t.Errorf("the same message again: got %+v, %v; want the first receipt", again, err)
	}
	for name, change := range map[string]func(*producer.Message){
		"body": func(m *producer.Message) { m.Body = "other" }, "to": func(m *producer.Message) { m.To = "0712345679" },
		"ref": func(m *producer.Message) { m.Ref = "other" }, "class": func(m *producer.Message) { m.Class = producer.Marketing },
	} {
		other := m
		change(&other)
		if _, err := b.Send(t.Context(), other); !errors.Is(err, producer.ErrConflict) {
			t.Errorf("another %s under the same ID: got %v, want ErrConflict", name, err)
		}
	}
	campaign := producer.Campaign{ID: "otp-1", Via: "kobo-main", Body: "Your code is", Class: producer.Transactional, Country: "KE"}
	if _, err := b.Enqueue(t.Context(), campaign, producer.Numbers("0712345678")); !errors.Is(err, producer.ErrConflict) {
		t.Errorf("a campaign under the ID of a message: got %v, want ErrConflict", err)
	}
	got, err := b.Message(t.Context(), "otp-1")
	if err != nil || got.Status != "pending" || got.Settled() || got.Body != m.Body || got.Ref != m.Ref || got.Class != producer.Transactional {
		t.Errorf("got %+v, %v; want a pending transactional message with its text and reference", got, err)
	}
}

func TestSend_WithoutIDIsANewMessage(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	m := oneTimeCode()
	m.ID = ""
	var ids []string
	for range 2 {
		r, err := b.Send(t.Context(), m)
		if err != nil || r.Again || !strings.HasPrefix(r.ID, "m-") {
			t.Fatalf("got %+v, %v", r, err)
		}
		ids = append(ids, r.ID)
	}
	if ids[0] == ids[1] {
		t.Error("two messages have one ID")
	}
	listed := func(o producer.ListOptions) (out []string) {
		t.Helper()
		for s, err := range b.ListCampaigns(t.Context(), o) {
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, s.ID)
		}
		slices.Sort(out)
		return out
	}
	if got := listed(producer.ListOptions{}); got != nil {
		t.Errorf("the list of campaigns has %q, want none", got)
	}
	b.enqueue(validCampaign(), 2)
	want := append([]string{"c"}, ids...)
	slices.Sort(want)
	if got := listed(producer.ListOptions{Messages: true}); !slices.Equal(got, want) {
		t.Errorf("the list of both has %q, want %q", got, want)
	}
	var found []string
	result, err := b.Find(t.Context(), "0712345678", producer.FindOptions{Country: "KE"})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range result.Messages {
		found = append(found, m.Campaign)
	}
	slices.Sort(found)
	slices.Sort(ids)
	if !slices.Equal(found, ids) {
		t.Errorf("Find has %q, want both messages %q", found, ids)
	}
}

func TestSend_AllMistakesAtOnce(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	_, err := b.Send(t.Context(), producer.Message{ID: "not an ID", Via: "kobo-main", To: "12", Country: "Kenya", Ref: strings.Repeat("x", producer.MaxRef+1), ExpiresIn: -time.Second})
	if !errors.Is(err, producer.ErrInvalid) {
		t.Fatalf("got %v, want ErrInvalid", err)
	}
	for _, field := range []string{"id: ", "to: ", "country: ", "ref: ", "body: ", "expires_in: "} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("the error does not name %q: %v", field, err)
		}
	}
	if _, err := b.Message(t.Context(), "not an ID"); !errors.Is(err, producer.ErrInvalid) {
		t.Errorf("the status of an ID that cannot exist: got %v", err)
	}
	b.enqueue(validCampaign(), 2)
	for _, id := range []string{"c", "none"} {
		if _, err := b.Message(t.Context(), id); !errors.Is(err, producer.ErrNotFound) {
			t.Errorf("%s is not a message: got %v, want ErrNotFound", id, err)
		}
	}
}

// If the message names no country, a number in national format belongs to the workers' default
// country.
func TestSend_DefaultCountry(t *testing.T) {
	t.Parallel()
	b := newTestClient(t, producer.WithAccounts(producer.Account{Name: "kobo-main", Sender: "ACME", Country: "NG", Info: providers.Info{Name: "kobo", MaxRecipients: 500, SenderAlphaMax: 11}}))
	m := oneTimeCode()
	m.Country, m.To = "", "08031234567"
	if _, err := b.Send(t.Context(), m); err != nil {
		t.Errorf("a national number of the default country: %v", err)
	}
	m.ID, m.To = "otp-2", "0712345678"
	if _, err := b.Send(t.Context(), m); !errors.Is(err, producer.ErrInvalid) || !strings.Contains(err.Error(), "to: ") {
		t.Errorf("a national number of another country: got %v, want an ErrInvalid for to", err)
	}
}
