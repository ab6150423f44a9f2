package producer_test

import (
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/producer"
)

// The method "holding" publishes an account with the given balance and price. An empty balance
// means that the balance is not known.
func (b *testClient) holding(name, balance, price string) {
	b.t.Helper()
	b.serve(name, func(c *campaign.Card) { c.Price = price; c.Country = "KE" })
	if balance == "" {
		return
	}
	if err := accounts.New(b.ledger.Runner()).SetBalance(b.t.Context(), name, balance); err != nil {
		b.t.Fatal(err)
	}
}

func TestEnqueue_ComparesTheCostWithTheBalance(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	later := newTestClientOn(t, b, producer.WithClock(func() time.Time { return time.Now().Add(3 * time.Hour) }))
	b.holding("credits", "3", "")
	b.holding("priced", "3", "0.80 KES")
	b.holding("money", "KES 2.40", "0.80 KES")
	b.holding("unpriced", "KES 100", "")
	b.holding("foreign", "USD 100", "0.80 KES")
	b.holding("silent", "", "")
	long := strings.Repeat("x", 161)
	for name, tt := range map[string]struct {
		client  *producer.Client
		via     string
		n       int
		change  func(*producer.Campaign)
		problem string
		says    string
	}{
		"enough credits":        {b.Client, "credits", 3, nil, "", ""},
		"too few credits":       {b.Client, "credits", 4, nil, "short", "up to 4 credits, but account credits has 3, read "},
		"two segments each":     {b.Client, "credits", 2, func(c *producer.Campaign) { c.Body = long }, "short", "4 credits"},
		"a cap":                 {b.Client, "credits", 9, func(c *producer.Campaign) { c.MaxMessages = 3 }, "", ""},
		"a cap on segments":     {b.Client, "credits", 9, func(c *producer.Campaign) { c.Body, c.MaxSegments = long, 3 }, "", ""},
		"a price makes it last": {b.Client, "priced", 3, nil, "", ""},
		"not for ever":          {b.Client, "priced", 4, nil, "short", "3.2 KES"},
		"money, exactly":        {b.Client, "money", 3, nil, "", ""},
		"money, too little":     {b.Client, "money", 4, nil, "short", "KES 2.40"},
		"money without a price": {b.Client, "unpriced", 1, nil, "unknown", "price"},
		"another currency":      {b.Client, "foreign", 1, nil, "unknown", "another currency"},
		"no balance":            {b.Client, "silent", 1, nil, "unknown", "tuma balance silent"},
		"old":                   {later, "credits", 1, nil, "old", "read 3h0m"},
		"old and too little":    {later, "credits", 4, nil, "short", "read 3h0m"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := producer.Campaign{ID: strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), ",", ""), Via: tt.via, Body: "b"}
			if tt.change != nil {
				tt.change(&c)
			}
			enqueueWithCredit(t, tt.client, c, producer.Numbers(kenyanNumbers(tt.n)...), tt.problem, tt.says)
		})
	}
}

// enqueueWithCredit enqueues a campaign with and without RequireCredit. The parameter "problem"
// is the expected CreditGap.Problem. The error and the warning must contain the text in the
// parameter "says".
func enqueueWithCredit(t *testing.T, client *producer.Client, c producer.Campaign, numbers iter.Seq2[producer.Recipient, error], problem, says string) {
	t.Helper()
	refuses := problem == "short" || problem == "unknown"
	c.RequireCredit = true
	_, err := client.Enqueue(t.Context(), c, numbers)
	if errors.Is(err, producer.ErrNoCredit) != refuses || errors.Is(err, producer.ErrInvalid) != refuses || refuses && !strings.Contains(err.Error(), says) {
		t.Errorf("Enqueue with RequireCredit: error %v; want an ErrNoCredit only if the credit is short or unknown", err)
	}
	if _, err := client.Status(t.Context(), c.ID); errors.Is(err, producer.ErrNotFound) != refuses {
		t.Errorf("Status after Enqueue with RequireCredit: error %v; want ErrNotFound only after a refusal", err)
	}
	c.RequireCredit = false
	c.ID += ":2"
	got, err := client.Enqueue(t.Context(), c, numbers)
	if err != nil || len(got.Credit) > 1 || (len(got.Credit) == 0) != (problem == "") {
		t.Fatalf("Enqueue without RequireCredit = %+v, %v; want at most one warning", got, err)
	}
	if len(got.Credit) == 1 && (got.Credit[0].Problem != problem || got.Credit[0].Account != c.Via || !strings.Contains(got.Credit[0].Warning, says)) {
		t.Errorf("warning %+v; want problem %q, account %s and a text with %q", got.Credit[0], problem, c.Via, says)
	}
	c.RequireCredit = true // RequireCredit is not part of the content, so this is the same campaign
	if again, err := client.Enqueue(t.Context(), c, numbers); err != nil || !again.Again || len(again.Credit) > 0 {
		t.Errorf("Enqueue again = %+v, %v; want Again without a warning", again, err)
	}
}

func TestEnqueue_SharesTheCostByRoute(t *testing.T) {
	t.Parallel()
	b := newTestClient(t)
	b.holding("ke", "2", "")
	b.holding("ng", "5", "")
	b.holding("spare", "0", "")
	if _, err := accounts.New(b.ledger.Runner()).PublishAll(t.Context(), "", 0, nil, accounts.Settings{Country: "KE",
		Routes: []campaign.Route{{Match: "254", Via: []string{"ke", "spare"}}, {Match: "234", Via: []string{"ng", "spare"}}}}); err != nil {
		t.Fatal(err)
	}
	numbers := append(kenyanNumbers(3), "+2348031234567", "+255712000001", "x")
	got, err := b.Enqueue(t.Context(), producer.Campaign{ID: "c", Body: "b"}, producer.Numbers(numbers...))
	if err != nil || len(got.Credit) != 1 || got.Credit[0].Account != "ke" || got.Credit[0].Cost != "3 credits" {
		t.Errorf("Enqueue = %+v, %v; want one warning: account ke, cost 3 credits", got, err)
	}
}

func kenyanNumbers(n int) (out []string) {
	for i := range n {
		out = append(out, "071234567"+string(rune('0'+i)))
	}
	return out
}
