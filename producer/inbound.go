package producer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/tuma-sms/tuma/internal/inbox"
)

// Inbound is an incoming message (MO), which a subscriber sent to a number or short code of ours.
type Inbound struct {
	// Cursor is the position of the message in the inbox, for InboundOptions.After.
	Cursor string `json:"cursor"`
	// Account is the account at whose gateway the message arrived.
	Account string `json:"account"`
	// ID is the gateway's ID of the message. It is empty if the gateway gives no ID.
	ID string `json:"id,omitempty"`
	// From is the subscriber's number: digits without a plus sign. If it is not a phone number, From is
	// the gateway's text.
	From string `json:"from"`
	// To is the number or short code to which the message was sent, as the gateway writes it. It is empty
	// if the gateway does not name it.
	To string `json:"to,omitempty"`
	// Text is the message body.
	Text string `json:"text"`
	// Word is "stop" if the text is an opt-out word, "start" if it is an opt-in word, and otherwise empty.
	Word string `json:"word,omitempty"`
	// LinkID is the ID that a reply to this message must name, if the message belongs to an on-demand
	// service. It is empty for any other message.
	LinkID string `json:"link_id,omitempty"`
	// At is when the gateway received the message. It is zero if the gateway gives no readable time.
	At time.Time `json:"at,omitzero"`
	// StoredAt is when Tuma stored the message, by the clock of Redis.
	StoredAt time.Time `json:"stored_at"`
	// Fields holds the gateway's other fields, under the gateway's names.
	Fields map[string]string `json:"fields,omitempty"`
}

// InboundOptions select incoming messages.
type InboundOptions struct {
	// After is the Cursor of the last message that the caller has. If After is empty, the sequence begins
	// with the oldest message that Tuma keeps.
	After string
	// Account selects the messages of one account. If it is empty, the messages of all accounts are
	// selected.
	Account string
	// With Follow, the sequence waits for further messages after the last message, until its context ends.
	Follow bool
}

// ErrInboundRemoved means that messages after a cursor were removed before they were read. These
// messages were older than inbound.keep, or the inbox was full. To continue with the messages
// that the inbox still has, call Inbound without After.
var ErrInboundRemoved = errors.New("incoming messages were removed before they were read")

// inboundPage is how many messages Inbound reads at once.
const inboundPage = 500

// Inbound yields the incoming messages that `tuma serve` has stored, each once, in the order of arrival.
// Memory does not grow with the number of messages. The sequence ends after an error. The error wraps
// ErrInvalid if After is not a cursor, and ErrInboundRemoved if messages after the cursor were removed. If
// Follow is set and ctx ends, it is the error of ctx. All other errors are from Redis. To continue, call
// Inbound again with the cursor of the last message.
func (c *Client) Inbound(ctx context.Context, o InboundOptions) iter.Seq2[Inbound, error] {
	return func(yield func(Inbound, error) bool) {
		after := o.After
		box := inbox.New(c.ledger.Runner(), 0, 0)
		for {
			page, err := box.Page(ctx, after, inboundPage)
			if err != nil {
				yield(Inbound{}, inboundError(err))
				return
			}
			for _, s := range page {
				after = s.Cursor
				if o.Account != "" && s.Account != o.Account {
					continue
				}
				if !yield(inboundOf(s), nil) {
					return
				}
			}
			if len(page) > 0 {
				continue
			}
			if !o.Follow {
				return
			}
			select {
			case <-ctx.Done():
				yield(Inbound{}, ctx.Err())
				return
			case <-time.After(c.poll):
			}
		}
	}
}

func inboundError(err error) error {
	switch {
	case errors.Is(err, inbox.ErrCursor):
		return fmt.Errorf("%w: %w", ErrInvalid, &FieldError{Field: "after", Problem: "must be the cursor of an incoming message, such as 1764323173000-0"})
	case errors.Is(err, inbox.ErrCut):
		return fmt.Errorf("%w: %w", ErrInboundRemoved, err)
	}
	return err
}

func inboundOf(s inbox.Stored) Inbound {
	return Inbound{
		Cursor: s.Cursor, Account: s.Account, ID: s.ID, From: s.From, To: s.To, Text: s.Text, Word: s.Word, LinkID: s.LinkID,
		At: s.At, StoredAt: s.StoredAt, Fields: s.Fields,
	}
}
