package producer_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/producer"
)

func TestEnqueue_AllMistakesComeInOneError(t *testing.T) {
	t.Parallel()
	b := newTestClient(t, producer.WithClock(func() time.Time { return now }))
	b.serve("kobo-main")
	b.serve("bare", func(c *campaign.Card) { c.Sender = "" })
	b.serve("flashing", func(c *campaign.Card) { c.Info.Flash, c.Info.FlashGSM7 = true, true })
	tests := []struct {
		name   string
		change func(*producer.Campaign)
		fields []string // the invalid fields, in the order in which the error lists them
	}{
		{"nothing wrong", func(*producer.Campaign) {}, nil},
		{"no id", func(c *producer.Campaign) { c.ID = "" }, []string{"id"}},
		{"a bad id", func(c *producer.Campaign) { c.ID = "a{b}" }, []string{"id"}},
		{"a long id", func(c *producer.Campaign) { c.ID = strings.Repeat("x", 129) }, []string{"id"}},
		{"flash at a gateway that cannot send it", func(c *producer.Campaign) { c.Flash = true }, []string{"flash"}},
		{"flash in GSM-7", func(c *producer.Campaign) { c.Via, c.Flash = "flashing", true }, nil},
		{"flash with a text that needs Unicode", func(c *producer.Campaign) { c.Via, c.Flash, c.Body = "flashing", true, "Pay ₦5" }, []string{"flash"}},
		{"no body", func(c *producer.Campaign) { c.Body = "" }, []string{"body"}},
		{"a blank body", func(c *producer.Campaign) { c.Body = " \n\t" }, []string{"body"}},
		{"a body that is not UTF-8", func(c *producer.Campaign) { c.Body = "a\xff" }, []string{"body"}},
		{"a merge field that is not closed", func(c *producer.Campaign) { c.Body = "Dear {{name" }, []string{"body"}},
		{"a body longer than MaxBody", func(c *producer.Campaign) { c.Body = strings.Repeat("x", producer.MaxBody+1) }, []string{"body", "body", "body"}},
		{"too many characters and segments", func(c *producer.Campaign) { c.Body = strings.Repeat("x", 1000) }, []string{"body", "body"}},
		{"too many segments", func(c *producer.Campaign) { c.Body = strings.Repeat("ŝ", 600) }, []string{"body"}},
		{"a long sender", func(c *producer.Campaign) { c.From = "ACMECOMPANYLTD" }, []string{"from"}},
		{"a long number as sender", func(c *producer.Campaign) { c.From = "12345678901234567" }, []string{"from"}},
		{"a sender of 1 MiB", func(c *producer.Campaign) { c.From = strings.Repeat("A", 1<<20) }, []string{"from"}},
		{"no sender, and an account without a default", func(c *producer.Campaign) { c.Via = "bare" }, []string{"from"}},
		{"an unknown class", func(c *producer.Campaign) { c.Class = "urgent" }, []string{"class"}},
		{"an unknown country", func(c *producer.Campaign) { c.Country = "XX" }, []string{"country"}},
		{"resend", func(c *producer.Campaign) { c.OnUnknown = producer.OnUnknownResend }, nil},
		{"an invalid OnUnknown", func(c *producer.Campaign) { c.OnUnknown = "drop" }, []string{"on_unknown"}},
		{"a negative MaxMessages", func(c *producer.Campaign) { c.MaxMessages = -1 }, []string{"max_messages"}},
		{"a negative MaxSegments", func(c *producer.Campaign) { c.MaxSegments = -1 }, []string{"max_segments"}},
		{"MaxSegments less than one message needs", func(c *producer.Campaign) { c.Body, c.MaxSegments = strings.Repeat("x", 161), 1 }, []string{"max_segments"}},
		{"a start in the past", func(c *producer.Campaign) { c.StartAt = now.Add(-time.Second) }, []string{"start_at"}},
		{"an expiry in the past", func(c *producer.Campaign) { c.ExpiresAt = now.Add(-time.Second) }, []string{"expires_at"}},
		{"an expiry before the start", func(c *producer.Campaign) { c.StartAt, c.ExpiresAt = now.Add(2*time.Hour), now.Add(time.Hour) }, []string{"expires_at"}},
		{"ExpiresAt and ExpiresIn", func(c *producer.Campaign) { c.ExpiresAt, c.ExpiresIn = now.Add(time.Hour), time.Hour }, []string{"expires_in"}},
		{"a negative ExpiresIn", func(c *producer.Campaign) { c.ExpiresIn = -time.Hour }, []string{"expires_in"}},
		{"an expiry before the start in an hour", func(c *producer.Campaign) { c.StartIn, c.ExpiresAt = 2*time.Hour, now.Add(time.Hour) }, []string{"expires_at"}},
		{"StartAt and StartIn", func(c *producer.Campaign) { c.StartAt, c.StartIn = now.Add(time.Hour), time.Hour }, []string{"start_in"}},
		{"a negative StartIn", func(c *producer.Campaign) { c.StartIn = -time.Hour }, []string{"start_in"}},
		{"no account and no routes", func(c *producer.Campaign) { c.Via = "" }, []string{"via"}},
		{"an unknown account", func(c *producer.Campaign) { c.Via = "absent" }, []string{"via"}},
		{"everything at once", func(c *producer.Campaign) {
			*c = producer.Campaign{ID: "/", Via: "absent", Class: "x", Country: "nowhere", OnUnknown: "x", MaxMessages: -1,
				StartAt: now.Add(-2 * time.Hour), ExpiresAt: now.Add(-3 * time.Hour), ExpiresIn: -1}
		}, []string{"id", "body", "class", "on_unknown", "max_messages", "country", "expires_in", "expires_in", "expires_at", "start_at", "expires_at", "via"}},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := validCampaign()
			c.ID = fmt.Sprint("c-", i)
			tt.change(&c)
			_, err := b.Enqueue(t.Context(), c, producer.Numbers("0803 123 4567"))
			if errors.Is(err, producer.ErrInvalid) != (len(tt.fields) > 0) {
				t.Fatalf("Enqueue: error %v; want an ErrInvalid exactly if there are mistakes", err)
			}
			if got := fields(err); !slices.Equal(got, tt.fields) {
				t.Errorf("mistakes in the fields %v; want %v: %v", got, tt.fields, err)
			}
			if err != nil && len(err.Error()) > 4000 {
				t.Errorf("the error has %d bytes; want at most 4000", len(err.Error()))
			}
			if unknown := slices.Contains(tt.fields, "via") && c.Via != ""; errors.Is(err, producer.ErrUnknownAccount) != unknown {
				t.Errorf("error %v; want an ErrUnknownAccount exactly for an account that no worker serves", err)
			}
		})
	}
}

// fields returns the names of the invalid fields in an error.
func fields(err error) (out []string) {
	switch x := err.(type) { //nolint:errorlint // this function walks the whole error tree, including joined errors
	case *producer.FieldError:
		return []string{x.Field}
	case interface{ Unwrap() []error }:
		for _, e := range x.Unwrap() {
			out = append(out, fields(e)...)
		}
	case interface{ Unwrap() error }:
		return fields(x.Unwrap())
	}
	return out
}

func TestEnqueue_ChecksTheAccountsOfTheRoutes(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	if err := accounts.New(b.ledger.Runner()).PublishRoutes(t.Context(), []campaign.Route{{Match: "254", Via: []string{"kobo-main", "gone"}}, {Match: "2", Via: []string{"kobo-main"}}}); err != nil {
		t.Fatal(err)
	}
	c := validCampaign()
	c.Via, c.From = "", "MUCHTOOLONGASENDER"
	_, err := b.Enqueue(t.Context(), c, producer.Numbers("0803 123 4567"))
	if got := fields(err); !slices.Equal(got, []string{"via", "from"}) || !errors.Is(err, producer.ErrUnknownAccount) {
		t.Errorf("mistakes in the fields %v; want via and from with an ErrUnknownAccount: %v", got, err)
	}
}
