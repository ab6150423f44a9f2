package producer

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// Result is the outcome for one uploaded recipient, as in `tuma results`.
type Result struct {
	// Row is the recipient's position in the upload, counted from 1.
	Row int `json:"row"`
	// MSISDN is the number in international format without plus. It is empty if the uploaded number
	// could not be read.
	MSISDN string `json:"msisdn"`
	// Status is pending, accepted, delivered, undelivered, rejected, unknown or skipped.
	Status string `json:"status"`
	// Reason is one word that explains a status other than accepted, such as "duplicate". For an
	// undelivered message it is the gateway's own word, such as "AbsentSubscriber".
	Reason  string `json:"reason"`
	Account string `json:"account"`
	// MessageID is the gateway's ID of the message.
	MessageID string `json:"message_id"`
	// MessageUUID is the idempotency key of the call.
	MessageUUID string `json:"message_uuid"`
	// Code is the gateway's own code for a rejected message, or the precise reason of an
	// invalid number.
	Code string `json:"code"`
	// Segments is the number of segments of the message. It is 0 if the message was not submitted.
	Segments int `json:"segments"`
	// Cost and Currency are the price that the gateway charged, if its answer contains one.
	Cost      string    `json:"cost"`
	Currency  string    `json:"currency"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	// DeliveredAt is when the gateway reported the delivery. It is wrong by at most 3 percent of the
	// time between UpdatedAt and DeliveredAt. It is zero for a message that is not delivered.
	DeliveredAt time.Time `json:"delivered_at,omitzero"`
	// Input is the number as uploaded.
	Input string `json:"input"`
	// Ref is the caller's own reference of the recipient (Recipient.Ref) or of the single message
	// (Message.Ref).
	Ref string `json:"ref"`
	// Values are the recipient's values of the merge fields as uploaded, in the order of Fields. The
	// slice is nil in a campaign without merge fields, and if the values were too long to be kept.
	Values []string `json:"-"`
}

// Results yields one result for every uploaded recipient, in the order of the upload and in
// constant memory. If statuses are given, Results yields only the recipients that have one of these
// statuses. A status that does not exist is an ErrInvalid. The campaign may be running: each result
// shows the recipient's status at the moment of the read.
func (c *Client) Results(ctx context.Context, id string, statuses ...string) iter.Seq2[Result, error] {
	return c.ResultsAfter(ctx, id, 0, statuses...)
}

// ResultsAfter is like Results, but begins after the given row. To continue an interrupted read,
// pass the Row of the last result that you received. Changes to earlier rows are not yielded again.
// A negative row is an ErrInvalid.
func (c *Client) ResultsAfter(ctx context.Context, id string, row int, statuses ...string) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		if row < 0 {
			yield(Result{}, &FieldError{Field: "after", Problem: fmt.Sprintf("%d must not be negative", row)})
			return
		}
		if !ledger.ValidID(id) {
			yield(Result{}, &FieldError{Field: "id", Problem: badID})
			return
		}
		for _, s := range statuses {
			if _, ok := campaign.ParseStatus(s); !ok {
				yield(Result{}, &FieldError{Field: "status", Problem: fmt.Sprintf("%.40q must be pending, accepted, delivered, undelivered, rejected, unknown or skipped", s)})
				return
			}
		}
		for r, err := range c.ledger.ResultsAfter(ctx, id, row) {
			if err != nil {
				yield(Result{}, err)
				return
			}
			if len(statuses) > 0 && !slices.Contains(statuses, r.Status.String()) {
				continue
			}
			if !yield(resultOf(r), nil) {
				return
			}
		}
	}
}

func resultOf(r ledger.Row) Result {
	out := Result{Row: r.Row, Status: r.Status.String(), Reason: r.Reason, Account: r.Account, MessageID: r.MessageID,
		MessageUUID: r.MessageUUID, Code: r.Code, Segments: r.Segments, Cost: r.Cost, Currency: r.Currency,
		UpdatedAt: r.UpdatedAt, DeliveredAt: r.DeliveredAt, Input: r.Input, Ref: r.Ref, Values: r.Values}
	if r.MSISDN != 0 {
		out.MSISDN = r.MSISDN.String()
	}
	return out
}
