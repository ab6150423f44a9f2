package producer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/tuma-sms/tuma/internal/inbox"
)

// Inbound is an incoming message (MO): a subscriber sent it to a number or short code of ours.
type Inbound struct {
	// Cursor is the position of the message in the inbox, for InboundOptions.After.
	Cursor string `json:"cursor"`
	// Account is the account at whose gateway the message arrived.
	Account string `json:"account"`
	// ID is the gateway's ID of the message, if it has one.
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
	// LinkID connects an answer to this message in an on-demand service.
	LinkID string `json:"link_id,omitempty"`
	// At is when the gateway received the message; zero if the gateway gives no time that can be read.
	At time.Time `json:"at,omitzero"`
	// StoredAt is when Tuma stored the message, by the clock of Redis.
	StoredAt time.Time `json:"stored_at"`
	// Fields holds the gateway's other fields, under the gateway's names.
	Fields map[string]string `json:"fields,omitempty"`
}

// InboundOptions select incoming messages.
type InboundOptions struct {
	// After is the Cursor of the last message that the caller has. Empty means from the oldest message
	// that Tuma keeps.
	After string
	// Account selects the messages of one account; empty: of all accounts.
	Account string
	// Follow makes the sequence wait for further messages at its end, until its context ends.
	Follow bool
}

// ErrInboundRemoved means that messages after a cursor were removed before they were read. They
// were older than inbound.keep, or the inbox had more messages than it may hold. To continue with
// the messages that are still there, call Inbound without After.
var ErrInboundRemoved = errors.New("incoming messages were removed before they were read")

// inboundPage is how many messages Inbound reads at once.
const inboundPage = 500

// Inbound yields the incoming messages that `tuma serve` has stored, each once, in the order in which they
// arrived. Memory does not grow with their number. The sequence ends after an error: an ErrInvalid if After
// is not a cursor, an ErrInboundRemoved, an error of Redis, or with Follow the error of ctx. To continue,
// call Inbound again with the cursor of the last message.
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
