package producer

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// Result is what became of one uploaded recipient, in the form of `tuma results`.
type Result struct {
	// Row counts the uploaded recipients from 1.
	Row int `json:"row"`
	// MSISDN is digits without plus; empty where the number could not be read.
	MSISDN string `json:"msisdn"`
	// Status is pending, accepted, delivered, undelivered, rejected, unknown or skipped.
	Status string `json:"status"`
	// Reason is one word for what is not accepted.
	Reason  string `json:"reason"`
	Account string `json:"account"`
	// MessageID is the gateway's; MessageUUID is the idempotency key it went under.
	MessageID   string `json:"message_id"`
	MessageUUID string `json:"message_uuid"`
	// Code is the gateway's own word, or more exactly why a number is invalid.
	Code string `json:"code"`
	// Segments of the message, 0 if nothing was submitted.
	Segments int `json:"segments"`
	// Cost and Currency are what the gateway said it charged.
	Cost      string    `json:"cost"`
	Currency  string    `json:"currency"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	// Input is the number as uploaded.
	Input string `json:"input"`
}

// Results yields one result for every uploaded recipient, in the order of the
// upload and in constant memory; with statuses named, only those. ErrNotFound if
// there is no such campaign.
func (c *Client) Results(ctx context.Context, id string, statuses ...string) iter.Seq2[Result, error] {
	return c.ResultsAfter(ctx, id, 0, statuses...)
}

// ResultsAfter yields what Results does, from the row behind one on: whoever was
// interrupted gives the last Result.Row that he has got, and has each row once. What
// happened to those before meanwhile is not told again.
func (c *Client) ResultsAfter(ctx context.Context, id string, row int, statuses ...string) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		if row < 0 {
			yield(Result{}, &FieldError{Field: "after", Problem: fmt.Sprintf("%d is the number of no row", row)})
			return
		}
		if !ledger.ValidID(id) {
			yield(Result{}, &FieldError{Field: "id", Problem: "it is no campaign id"})
			return
		}
		for _, s := range statuses {
			if _, ok := ledger.ParseStatus(s); !ok {
				yield(Result{}, &FieldError{Field: "status", Problem: s + " is none of pending, accepted, delivered, undelivered, rejected, unknown, skipped"})
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
			out := Result{Row: r.Row, Status: r.Status.String(), Reason: r.Reason, Account: r.Account, MessageID: r.MessageID,
				MessageUUID: r.MessageUUID, Code: r.Code, Segments: r.Segments, Cost: r.Cost, Currency: r.Currency,
				UpdatedAt: r.UpdatedAt, Input: r.Input}
			if r.MSISDN != 0 {
				out.MSISDN = r.MSISDN.String()
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}
