package producer_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/producer"
)

// sendTo enqueues a campaign to the given numbers, and then changes its creation time: it makes the
// campaign as old as the parameter "age".
func (b *testClient) sendTo(id string, age time.Duration, numbers ...string) {
	b.t.Helper()
	c := validCampaign()
	c.ID, c.Body, c.CreatedBy = id, "Text of "+id, "jane@laptop"
	if _, err := b.Enqueue(b.t.Context(), c, producer.Numbers(numbers...)); err != nil {
		b.t.Fatal(err)
	}
	b.backdate(id, age)
}

func (b *testClient) find(number string, o producer.FindOptions) producer.FindResult {
	b.t.Helper()
	r, err := b.Find(b.t.Context(), number, o)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

// The function "places" returns the campaign and row of each message, as "campaign:row".
func places(r producer.FindResult) (out []string) {
	for _, m := range r.Messages {
		out = append(out, fmt.Sprintf("%s:%d", m.Campaign, m.Row))
	}
	return out
}

func TestFind_AllMessagesToANumberNewestFirst(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main", func(c *campaign.Card) { c.Country = "KE" })
	b.sendTo("march", 240*time.Hour, "0712 345 678", "0722000000")
	b.sendTo("june", time.Hour, "0722000000", "+254712345678", "254712345678")
	b.sendTo("may", 100*time.Hour, "0722000000")
	want := []string{"june:2", "june:3", "march:1"}
	for _, form := range []struct{ number, country string }{{"+254 712 345678", ""}, {"254712345678", "NG"}, {"0712345678", "ke"}} {
		if got := places(b.find(form.number, producer.FindOptions{Country: form.country})); !slices.Equal(got, want) {
			t.Errorf("%+v: found %v, want %v", form, got, want)
		}
	}
	r := b.find("+254712345678", producer.FindOptions{})
	if r.MSISDN != "254712345678" || r.Campaigns != 3 || r.Recipients != 6 || r.Bound != "" || r.Next != "" || r.Oldest == nil || !r.Oldest.Equal(b.status("march").CreatedAt) {
		t.Errorf("got %+v, want 3 campaigns and 6 recipients read, without a bound, since march", r)
	}
	m := r.Messages[2]
	if m.Text != "Text of march" || m.CreatedBy != "jane@laptop" || m.Status != "pending" || m.Input != "0712 345 678" || m.MSISDN != "254712345678" || !m.CreatedAt.Equal(*r.Oldest) {
		t.Errorf("got %+v, want the pending message of march", m)
	}
	if got := places(b.find("+254712345678", producer.FindOptions{Since: time.Now().Add(-200 * time.Hour)})); !slices.Equal(got, want[:2]) {
		t.Errorf("since 200 hours ago: found %v, want %v", got, want[:2])
	}
	text, err := json.Marshal(b.find("+254700000000", producer.FindOptions{}))
	if want := `{"msisdn":"254700000000","messages":[],`; err != nil || string(text[:len(want)]) != want {
		t.Errorf("a number without messages: got %s, error %v, want an empty list", text, err)
	}
}

// If a search ends at a bound of FindOptions, the result must name this bound. The test continues the
// search until the result names no bound. All results together must have each message once.
func TestFind_ContinuesWhereABoundEndedIt(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.serve("kobo-main")
	var want []string
	for i := range 7 {
		b.sendTo(fmt.Sprintf("c%d", i), time.Duration(i/2)*time.Hour, "+254722000000", "+254712345678", "+254722000001") // two campaigns for each hour
	}
	for s, err := range b.List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, s.ID+":2")
	}
	for _, tt := range []struct {
		o     producer.FindOptions
		bound string
		each  int // campaigns of a search
	}{
		{producer.FindOptions{Limit: 1}, "limit", 1},
		{producer.FindOptions{Limit: 3}, "limit", 3},
		{producer.FindOptions{MaxCampaigns: 2}, "campaigns", 2},
		{producer.FindOptions{MaxRecipients: 4}, "recipients", 2},
		{producer.FindOptions{MaxRecipients: 1}, "recipients", 1},
		{producer.FindOptions{Limit: 7}, "", 7},
		{producer.FindOptions{}, "", 7},
	} {
		var got []string
		o := tt.o
		for range 8 {
			r := b.find("+254712345678", o)
			got = append(got, places(r)...)
			if rest := 7 - len(got); rest > 0 && (r.Bound != tt.bound || r.Next == "" || r.Campaigns != tt.each) || rest == 0 && (r.Bound != "" || r.Next != "") {
				t.Errorf("%+v: after %v: %d campaigns, bound %q, next %q; want bound %q after %d campaigns each", tt.o, got, r.Campaigns, r.Bound, r.Next, tt.bound, tt.each)
			}
			if o.After = r.Next; r.Next == "" {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%+v: (-want +got)\n%s", tt.o, diff)
		}
	}
}

func TestFind_Mistakes(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	for _, number := range []string{"", "0712345678", "n/a", "-254712345678"} {
		_, err := b.Find(t.Context(), number, producer.FindOptions{})
		if _, ok := errors.AsType[*producer.NumberError](err); !ok || !errors.Is(err, producer.ErrInvalid) {
			t.Errorf("%q: got error %v, want a NumberError", number, err)
		}
	}
	for _, o := range []producer.FindOptions{{Limit: -1}, {MaxCampaigns: -1}, {MaxRecipients: -1}, {After: "x"}, {After: "1_"}, {After: "-1_c"}, {After: "1_a b"}} {
		if _, err := b.Find(t.Context(), "+254712345678", o); !errors.Is(err, producer.ErrInvalid) {
			t.Errorf("%+v: got error %v, want ErrInvalid", o, err)
		}
	}
}
