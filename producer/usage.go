package producer

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/usage"
)

// Usage counts the messages of one month that have the same account, the same sender ID and the same
// key of the HTTP API. It counts all messages that the gateway has accepted. Later delivery reports
// do not change the counts.
type Usage struct {
	// Month is in UTC, such as "2025-11". A worker counts a message a few seconds after the gateway's
	// answer. The message belongs to the month of this moment.
	Month   string `json:"month"`
	Account string `json:"account"`
	// Sender is the sender ID of the campaign, or else of the account. A month has at most about 10,000
	// rows. Beyond that, "(others)" stands for all further sender IDs and keys.
	Sender string `json:"sender"`
	// Key and KeyID are the name and the ID of the key of the HTTP API. Both are empty for messages of
	// other programs and of the command line.
	Key   string `json:"key"`
	KeyID string `json:"key_id"`
	// Messages and Segments are numbers of messages and of their segments.
	Messages int `json:"messages"`
	Segments int `json:"segments"`
	// Cost is the sum of the costs that the gateway has named, such as "1520.80". Currency is its ISO
	// code. Both are empty if the gateway names no cost.
	Cost     string `json:"cost"`
	Currency string `json:"currency"`
	// Estimate is the number of segments times the present price of the account, such as "96.00 KES". It
	// is empty if Cost is known, or if the account has no price.
	Estimate string `json:"estimate,omitempty"`
}

// MaxUsageMonths is the maximum number of months that Usage returns. Tuma keeps the current month and
// the two years before it.
const MaxUsageMonths = usage.KeptMonths + 1

// Usage returns the usage in a range of months in UTC, sorted by month, account, sender ID and key. The
// range begins with the month of the parameter "from" and ends with the month of the parameter "to". If
// "to" is zero, the range ends with the current month. If "from" is zero, the range has only its last
// month. If the range has more than MaxUsageMonths, or if "from" is after "to", Usage returns an
// ErrInvalid. Usage is safe for concurrent use.
func (c *Client) Usage(ctx context.Context, from, to time.Time) ([]Usage, error) {
	if to.IsZero() {
		now, err := c.ledger.Now(ctx)
		if err != nil {
			return nil, err
		}
		to = now
	}
	if from.IsZero() {
		from = to
	}
	months := usage.Months(from, to)
	if len(months) == 0 {
		return nil, fmt.Errorf("usage: %w: %w", ErrInvalid, &FieldError{Field: "from", Problem: "must not be after the last month"})
	}
	if len(months) > MaxUsageMonths {
		return nil, fmt.Errorf("usage: %w: %w", ErrInvalid, &FieldError{Field: "from", Problem: fmt.Sprintf("must be at most %d months before the last month", MaxUsageMonths-1)})
	}
	rows, err := c.usage.Read(ctx, months...)
	if err != nil {
		return nil, err
	}
	all, err := c.accounts.All(ctx)
	if err != nil {
		return nil, err
	}
	prices := map[string]string{}
	for _, a := range all {
		prices[a.Name] = a.Price
	}
	out := make([]Usage, len(rows))
	for i, r := range rows {
		out[i] = Usage{Month: r.Month, Account: r.Account, Sender: r.Sender, Key: r.Key, KeyID: r.KeyID, Messages: r.Messages, Segments: r.Segments, Currency: r.Currency}
		if r.Currency != "" {
			out[i].Cost = millionths(r.Cost)
		} else if price, ok := accounts.Money(prices[r.Account]); ok && price.Currency != "" {
			out[i].Estimate = costText(price.Amount*float64(r.Segments), price.Currency)
		}
	}
	return out, nil
}

// millionths formats an amount in millionths with at least two decimals.
func millionths(n int64) string {
	text := fmt.Sprintf("%d.%06d", n/1_000_000, n%1_000_000)
	return text[:len(text)-4] + strings.TrimRight(text[len(text)-4:], "0")
}
