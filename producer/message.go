package producer

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// MaxRef is the maximum length of Message.Ref and Recipient.Ref in bytes.
const MaxRef = campaign.MaxRef

// Message is one text to one number, such as a one-time code or a receipt.
type Message struct {
	// ID is the caller's idempotency key, like Campaign.ID. If ID is empty, each call of Send makes a
	// new ID and so sends a new message.
	ID string
	// To is a phone number as people write it. A number in national format belongs to Country or,
	// if Country is empty, to the workers' default country.
	To string
	// Body is the text in UTF-8. Braces have no meaning in it.
	Body string
	// From is the sender ID. Empty means the account's default.
	From string
	// Via is the account to send through. Empty means the first account of the workers' routes that
	// matches the number.
	Via string
	// Ref is the caller's own reference, such as an order number. MessageStatus and Result return it. It
	// has at most MaxRef bytes and no control characters.
	Ref string
	// Class is Transactional or Marketing. Empty means Transactional.
	Class Class
	// Country is the ISO code for a number in national format, such as "KE".
	Country string
	// Transliterate, Flash and OnUnknown have the same meaning as in Campaign.
	Transliterate bool
	Flash         bool
	OnUnknown     string
	// StartAt or StartIn sets when the message may be sent. ExpiresAt or ExpiresIn sets the expiry. If
	// the message was not submitted before the expiry, it is skipped. The four fields have the same
	// meaning as in Campaign. A one-time code should expire.
	StartAt   time.Time
	StartIn   time.Duration
	ExpiresAt time.Time
	ExpiresIn time.Duration
	// CreatedBy names the user or the service that sends the message, as in Campaign.
	CreatedBy string
	// KeepBody keeps the text for the whole retention of the message. Without KeepBody, Tuma deletes the
	// text when the message has ended with a known outcome. A message without its text cannot be
	// retried.
	KeepBody bool
	// StatusEvents asks for the events MessageStatusChanged about this message, as in Campaign.
	StatusEvents bool
}

// MessageReceipt is the answer to Send.
type MessageReceipt struct {
	ID        string    `json:"id"`
	CreatedAt time.Time `json:"created_at"`
	// To is the number in international format without plus.
	To string `json:"to"`
	// Again reports whether the message had been enqueued before with the same content.
	Again bool `json:"again"`
	// NoWorker names the accounts of the message that no live worker serves.
	NoWorker []string `json:"no_worker,omitempty"`
}

// MessageStatus is the state of a single message, as in `tuma message status --json`.
type MessageStatus struct {
	ID  string `json:"id"`
	Ref string `json:"ref"`
	// To is the number in international format without plus.
	To string `json:"to"`
	// Status and Reason have the values of Result. Status is pending until the message has ended.
	Status string `json:"status"`
	Reason string `json:"reason"`
	// BlockedBy lists why a pending message is not sent at the moment.
	BlockedBy []Block `json:"blocked_by"`
	From      string  `json:"from"`
	// Body is the text of the message. It is empty after the text was deleted (Message.KeepBody).
	Body        string     `json:"body"`
	Class       Class      `json:"class"`
	Account     string     `json:"account"`
	MessageID   string     `json:"message_id"`
	MessageUUID string     `json:"message_uuid"`
	Code        string     `json:"code"`
	Segments    int        `json:"segments"`
	Cost        string     `json:"cost"`
	Currency    string     `json:"currency"`
	CreatedAt   time.Time  `json:"created_at"`
	StartAt     *time.Time `json:"start_at,omitempty"`
	ExpiresAt   *time.Time `json:"expires_at,omitempty"`
	UpdatedAt   time.Time  `json:"updated_at,omitzero"`
	DeliveredAt time.Time  `json:"delivered_at,omitzero"`
}

// Settled reports whether the message has ended: its status is not pending.
func (s MessageStatus) Settled() bool { return s.Status != campaign.Pending.String() }

// Send enqueues a single message. It makes the same promise as Enqueue for a campaign of one recipient: the message
// ends in exactly one recorded status, and is never sent twice. The same ID with the same content changes nothing and
// returns the first receipt with Again set. The same ID with other content is an ErrConflict.
//
// Unless Redis is a cluster, Send takes one round trip. To save further reads, it uses accounts and routes that were
// read within the last second.
//
// Unlike Enqueue, Send refuses a number that is not valid. One ErrInvalid lists all mistakes. A message has a separate
// retention (worker.Config.MessageRetention), and its ID stays in use for another week. Lists of campaigns leave out
// messages (ListOptions.Messages). Status, Results, Cancel and the other methods also accept the ID of a message.
func (c *Client) Send(ctx context.Context, m Message) (MessageReceipt, error) {
	camp := m.campaign()
	spec, found, err := c.check(ctx, camp)
	to, mistakes := m.check(spec, found.all)
	if err == nil && mistakes != nil && len(found.all) > 0 && !camp.single.newID && c.exists(ctx, camp.ID) {
		to, mistakes = m.check(spec, nil) // the first Send has chosen the default country
	}
	if err = errors.Join(err, mistakes); err != nil {
		return MessageReceipt{}, err
	}
	r, err := c.enqueue(ctx, camp, spec, found, Numbers(m.To))
	out := MessageReceipt{ID: r.ID, CreatedAt: r.CreatedAt, Again: r.Again, NoWorker: r.NoWorker}
	if to == 0 { // r.Country is the default country of the first Send
		to, _ = sms.ParseMSISDN(m.To, r.Country)
	}
	if to != 0 {
		out.To = to.String()
	}
	return out, err
}

// campaign returns the message as a campaign of one recipient.
func (m Message) campaign() Campaign {
	c := Campaign{ID: m.ID, Via: m.Via, From: m.From, Body: strings.ReplaceAll(m.Body, "{{", "{{{{"), Class: cmp.Or(m.Class, Transactional),
		Country: m.Country, Transliterate: m.Transliterate, Flash: m.Flash, OnUnknown: m.OnUnknown, StartAt: m.StartAt, StartIn: m.StartIn,
		ExpiresAt: m.ExpiresAt, ExpiresIn: m.ExpiresIn, CreatedBy: m.CreatedBy, StatusEvents: m.StatusEvents, single: &single{ref: m.Ref, purge: !m.KeepBody}}
	if c.ID == "" {
		c.ID, c.single.newID = newMessageID(), true
	}
	return c
}

// single has the facts that only the campaign of a single message has.
type single struct {
	ref string
	// purge: the text is deleted when the message is settled.
	purge bool
	// newID: the ID was made for this message, so that no campaign has it.
	newID bool
}

// newMessageID returns an ID with 128 random bits.
func newMessageID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // this never fails, because crypto/rand would end the program instead
	return "m-" + base64.RawURLEncoding.EncodeToString(b[:])
}

// check checks the rules that apply only to single messages. It returns the number, or 0 if the number is not known.
// The parameter "found" has the accounts that may send the message.
func (m Message) check(spec campaign.Spec, found []accounts.Account) (to sms.MSISDN, err error) {
	var list mistakes
	if !validRef(m.Ref) {
		list.add("ref", "must be UTF-8 of at most %d bytes without control characters", MaxRef)
	}
	country := spec.Country
	if country == "" && len(found) > 0 {
		country = found[0].Country
	}
	// If "found" is empty and the message names no country, the default country is not known. Then this
	// method does not report a number that it cannot read. Either the check of the account has already
	// failed, or Enqueue compares the message with an earlier message of this ID.
	to, err = sms.ParseMSISDN(m.To, country)
	if err != nil && (len(found) > 0 || country != "") {
		list.add("to", "%s", strings.TrimPrefix(err.Error(), "parse number "))
	}
	if len(list) == 0 {
		return to, nil
	}
	return 0, fmt.Errorf("%w: %w", ErrInvalid, errors.Join(list...))
}

// Message reads the status of a single message. It returns ErrNotFound if no message has the ID: the message never
// existed, its retention is over, or the ID belongs to a campaign (see Status).
func (c *Client) Message(ctx context.Context, id string) (MessageStatus, error) {
	st, _, err := c.readStatus(ctx, id)
	if err != nil {
		return MessageStatus{}, err
	}
	spec, err := c.ledger.Spec(ctx, id)
	if err != nil {
		return MessageStatus{}, err
	}
	if !spec.Message {
		return MessageStatus{}, fmt.Errorf("message %s: %w: the ID belongs to a campaign", id, ErrNotFound)
	}
	m := MessageStatus{ID: id, Ref: spec.Ref, Status: campaign.Pending.String(), BlockedBy: st.BlockedBy, From: st.From, Body: spec.Body, Class: st.Class,
		CreatedAt: st.CreatedAt, StartAt: st.StartAt, ExpiresAt: st.ExpiresAt}
	for r, err := range c.Results(ctx, id) {
		if err != nil {
			return m, err
		}
		if number, err := sms.ParseMSISDN(r.Input, cmp.Or(spec.Country, st.Country)); r.MSISDN == "" && err == nil {
			r.MSISDN = number.String() // before planning, only the uploaded number is stored
		}
		m.To, m.Status, m.Reason, m.Account, m.MessageID, m.MessageUUID = r.MSISDN, r.Status, r.Reason, r.Account, r.MessageID, r.MessageUUID
		m.Code, m.Segments, m.Cost, m.Currency, m.UpdatedAt, m.DeliveredAt = r.Code, r.Segments, r.Cost, r.Currency, r.UpdatedAt, r.DeliveredAt
	}
	if m.Settled() {
		m.BlockedBy = []Block{}
	}
	return m, nil
}

// WaitMessage blocks until a single message has ended, and returns its status. It returns the same errors as Wait
// and Message.
func (c *Client) WaitMessage(ctx context.Context, id string) (MessageStatus, error) {
	if _, err := c.Wait(ctx, id); err != nil {
		return MessageStatus{}, err
	}
	return c.Message(ctx, id)
}
