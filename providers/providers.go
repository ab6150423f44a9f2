// Package providers defines the contract between Tuma and an SMS gateway.
//
// A Provider implements one gateway's wire protocol: it submits one batch to the gateway once and
// translates the answer. It does not retry, wait, start goroutines or keep state between calls. The
// worker handles retries, rate limits, account holds and records for all providers.
//
// These words are used here. A call is one HTTP request to a gateway. A sender ID is the name or
// number from which a message comes. A segment is one of the parts into which a long SMS is split. A
// DLR (delivery report) has the delivery status of a message that the gateway accepted. An MO (mobile
// originated) message is a message that a subscriber sent to the account. An idempotency key lets a
// gateway recognise a repeated call, so that the gateway sends each message only once.
//
// Kind and Settings connect a provider to the configuration. Package catalog lists all kinds. Package
// httpclient has the HTTP client that all providers use.
package providers

import (
	"context"
	"errors"
	"time"

	"github.com/tuma-sms/tuma/sms"
)

// Provider sends messages through one account at one gateway. An implementation may also have the optional capabilities
// Balancer, StatusPoller, SpanPoller, Reporter, Reconciler, InboxReader, BackgroundSender, DeliveryParser,
// InboundParser and OptOutParser. Callers find these capabilities by a type assertion. Every method is safe for
// concurrent use.
type Provider interface {
	// Info returns the facts about the gateway and the account. These facts do not change while the
	// program runs.
	Info() Info

	// Send submits one batch to the gateway with at most one HTTP request. It never repeats the
	// request.
	//
	// With a nil error it returns exactly one Result for each recipient, in the order of b.To.
	// With an error it returns no results. The error is an *Error, and its Outcome and Scope apply
	// to every recipient of the batch.
	//
	// The context ctx limits the whole call. If ctx ends when the gateway may already have the
	// request, the error's Outcome is Unknown, and never Retryable.
	Send(ctx context.Context, b Batch) ([]Result, error)
}

// Balancer is a Provider that can read the account's remaining credit.
type Balancer interface {
	// Balance reads the account's credit from the gateway. Reading the credit is free of charge and
	// changes nothing at the gateway. Errors are *Error.
	Balance(ctx context.Context) (Balance, error)
}

// StatusPoller is a Provider that can read the delivery status of a message the gateway accepted.
type StatusPoller interface {
	// MessageStatus reads the delivery status of one message. The parameter "messageID" is the gateway's
	// ID from Result.MessageID. Errors are *Error.
	MessageStatus(ctx context.Context, messageID string) (MessageStatus, error)
}

// SpanPoller is a StatusPoller whose gateway lists the delivery statuses of all messages of a span of
// time in one answer.
type SpanPoller interface {
	StatusPoller
	// MessageStatuses reads the delivery statuses of the messages that the gateway took or sent from
	// start to end, with one request. Both times are rounded down to whole seconds. The list may
	// also hold messages outside this time, messages of other programs, and one message several
	// times. Errors are *Error. If an error wraps ErrReplyTooLong, request a shorter span.
	MessageStatuses(ctx context.Context, start, end time.Time) ([]ListedStatus, error)
}

// ListedStatus is the delivery status of one message in the list of a SpanPoller.
type ListedStatus struct {
	// ID is the gateway's message ID, as Send returns it in Result.MessageID.
	ID string
	// To is the recipient, or 0 if the gateway's value is not a phone number.
	To sms.MSISDN
	// Status is the delivery status.
	Status MessageStatus
	// At is the time at which the message was delivered, by the gateway's clock. It is zero if the gateway
	// gives no time.
	At time.Time
}

// ErrReplyTooLong means that the reply of a gateway is longer than the client reads.
var ErrReplyTooLong = errors.New("the reply is too long")

// Reporter is a Provider whose gateway offers reports, such as delivery reports or usage.
type Reporter interface {
	// ReportKinds returns the names of the available reports, the most common one first.
	ReportKinds() []string
	// Report downloads the report of the given kind, with the gateway's columns. If the gateway
	// supports limits, the report covers the time from start to end. A zero time sets no limit.
	// Errors are *Error.
	Report(ctx context.Context, kind string, start, end time.Time) (Table, error)
}

// Reconciler is a Provider whose gateway lists the messages it has taken. The list can show that a
// message of unknown outcome was taken.
type Reconciler interface {
	// Taken returns the account's messages that the gateway took or sent from start to end. Both
	// times are rounded down to whole seconds. The list may also hold messages outside this time.
	// If a message is in the list, it was certainly taken. If a message is missing, it may still
	// have been taken. Errors are *Error.
	Taken(ctx context.Context, start, end time.Time) ([]TakenMessage, error)
}

// TakenMessage is a message that a gateway lists as taken.
type TakenMessage struct {
	// ID is the gateway's message ID, as Send returns it in Result.MessageID.
	ID string
	// To is the recipient, or 0 if the gateway's value is not a phone number.
	To sms.MSISDN
	// From is the sender ID.
	From string
	// At is the time at which the gateway took or sent the message. It is zero if the gateway gives no
	// time.
	At time.Time
}

// Table is a report with the gateway's column names. Every row has len(Columns) fields.
type Table struct {
	Columns []string
	Rows    [][]string
}

// InboxReader is a Provider that can read incoming messages (MO) from the gateway.
type InboxReader interface {
	// Inbox returns incoming messages in the gateway's order. The parameter "lastID" is the ID of
	// the last message that the caller already has. An empty lastID requests all messages.
	// Gateways without message IDs ignore lastID. An empty inbox is not an error. Errors are
	// *Error.
	Inbox(ctx context.Context, lastID string) ([]Inbound, error)
}

// Inbound is an incoming message (MO, mobile originated), which a subscriber sent to the account's number
// or short code.
type Inbound struct {
	// ID is the gateway's message ID. It is empty if the gateway has no message IDs. Then From, At and
	// Text together identify the message.
	ID string
	// From is the subscriber's number. To is the number or short code to which the subscriber sent
	// the message. Both are as the gateway writes them.
	From, To string
	// Text is the message body.
	Text string
	// LinkID is set if the message belongs to an on-demand service. A reply to this message must carry the
	// same LinkID. It is empty for all other messages.
	LinkID string
	// At is the time at which the gateway received the message. It is zero if the gateway gives no
	// readable time.
	At time.Time
	// UnreadTime is the text of the gateway's time if that time cannot be read. Otherwise UnreadTime is empty.
	UnreadTime string
	// Fields holds the gateway's other fields, under the gateway's names.
	Fields map[string]string
}

// BackgroundSender is a Provider whose gateway stores lists of numbers and sends to a whole list in
// the background.
type BackgroundSender interface {
	// SendStored starts one background send to a list or group stored at the gateway. It returns
	// the IDs to pass to BackgroundMessages. Only the gateway keeps the results, because Tuma's
	// ledger has no record of these messages. Errors are *Error. If the Outcome is Unknown, the
	// gateway may have started to send.
	SendStored(ctx context.Context, b StoredBatch) (ids []string, err error)
	// BackgroundMessages returns the messages of one background send. It returns ErrNotFinished while
	// the gateway is still sending. Other errors are *Error.
	BackgroundMessages(ctx context.Context, id string) ([]BackgroundMessage, error)
}

// ErrNotFinished is returned by BackgroundMessages while the gateway is still sending. Call
// BackgroundMessages again later.
var ErrNotFinished = errors.New("the background send is not finished; try again later")

// StoredBatch is one message to the numbers of a list or group stored at the gateway.
type StoredBatch struct {
	// List and Group name the recipients. Exactly one of the two must be set.
	List, Group string
	// From is the sender ID. Body is the text.
	From, Body string
}

// BackgroundMessage is one message of a background send.
type BackgroundMessage struct {
	// MessageID is the gateway's message ID.
	MessageID string
	// To is the recipient.
	To sms.MSISDN
	// Status is the message's delivery status.
	Status MessageStatus
}

// Info holds the facts about a gateway and an account that do not change while the program runs.
// Workers store the Info in Redis with the account, so that producers can validate messages
// without the gateway's code.
type Info struct {
	// Name is the provider's name in the configuration, e.g. "kobo".
	Name string `json:"name"`
	// Fingerprint identifies the login at the gateway. It is a hash of provider, base URL and
	// user, and contains no secret. An idempotency key is valid only with the fingerprint under
	// which it was first used.
	Fingerprint string `json:"fingerprint"`
	// DLRNamesRecipient is true if the gateway's delivery reports (DLR) contain the recipient's number.
	// Then a DLR with an unknown message ID can still settle a call of unknown outcome.
	DLRNamesRecipient bool `json:"named_reports,omitempty"`
	// MaxRecipients is the maximum number of recipients in one call, at least 1.
	MaxRecipients int `json:"max_recipients"`
	// KeyTTL is how long the gateway remembers an idempotency key. 0 means that the gateway has no
	// idempotency keys. Then a call that may have been taken must never be repeated.
	KeyTTL time.Duration `json:"key_ttl,omitempty"`
	// MaxChars is the maximum length of a body in characters. As in sms.Length.Fits, escaped GSM-7
	// characters and emoji count twice. 0 means that no limit is published.
	MaxChars int `json:"max_chars,omitempty"`
	// MaxSegments is the maximum length of a body in segments, the parts into which a long SMS is
	// split. 0 means that no limit is published.
	MaxSegments int `json:"max_segments,omitempty"`
	// SenderAlphaMax and SenderDigitsMax are the maximum lengths, in characters, of an alphanumeric
	// and of a numeric sender ID. 0 means that no limit is published.
	SenderAlphaMax  int `json:"sender_alpha_max,omitempty"`
	SenderDigitsMax int `json:"sender_digits_max,omitempty"`
	// SenderOptional reports whether the gateway has a default sender ID, so that Batch.From may be
	// empty.
	SenderOptional bool `json:"sender_optional,omitempty"`
	// Flash reports whether the gateway can send class-0 (flash) messages.
	Flash bool `json:"flash,omitempty"`
	// FlashGSM7 reports whether a flash message must fit into GSM-7. Such a gateway sends a UCS-2 message as an
	// ordinary message, even if the call requests flash.
	FlashGSM7 bool `json:"flash_gsm7,omitempty"`
	// If BlacklistBySender is true, ReasonBlacklisted applies to only one sender ID. If it is false, no
	// sender ID may send to a blacklisted recipient.
	BlacklistBySender bool `json:"blacklist_by_sender,omitempty"`
	// NamesCallback reports whether a call may name the URL to which the gateway posts its delivery
	// reports (Batch.CallbackURL).
	NamesCallback bool `json:"names_callback,omitempty"`
}

// ReasonBlacklisted is the Reason of a Result if the recipient is on the gateway's list of numbers that it
// does not send to. Tuma does not send to such a recipient again.
const ReasonBlacklisted = "blacklisted"

// Batch is the content of one call to a gateway: one body to at most Info.MaxRecipients recipients.
type Batch struct {
	// IdempotencyKey is the call's idempotency key, a UUID in text form. If several calls have the
	// same key, a gateway that supports such keys takes only the first call. Other gateways ignore
	// the key.
	IdempotencyKey string
	// From is the sender ID. It may be empty if Info.SenderOptional is set. Then the gateway uses its
	// default sender ID.
	From string
	// Body is the text, in UTF-8.
	Body string
	// Flash requests a class-0 message. Gateways without Info.Flash ignore this field.
	Flash bool
	// To has the recipients, each once.
	To []sms.MSISDN
	// CallbackURL is the URL to which the gateway posts the delivery reports of the call. It is empty if
	// the call names no URL. It contains a secret. Gateways without Info.NamesCallback ignore this field.
	CallbackURL Secret
}

// Result is the gateway's answer for one recipient.
type Result struct {
	// Outcome is Accepted, Rejected, Retryable (certainly not sent, may be sent later) or Unknown.
	Outcome Outcome
	// Scope is the range to which a Rejected or Retryable outcome applies, usually the recipient. Some gateways
	// answer for each recipient although the cause is the text, the campaign (e.g. a refused sender ID) or the
	// account (e.g. no credit). Then Scope is Text, Campaign or Account, and the answer does not count as an
	// attempt of the recipient. There is one exception: in a campaign with merge fields, an answer with the scope
	// Text counts as an attempt.
	Scope Scope
	// Cause is the cause of the outcome. It is set only if Scope is Text, Campaign or Account.
	Cause Cause
	// MessageID is the gateway's ID for the message, if the gateway gave one.
	MessageID string
	// SegmentIDs holds the gateway's IDs for the further segments of a long message, separated by commas.
	// It is empty unless the provider has an option that requests them.
	SegmentIDs string
	// Reason is Tuma's reason code for an outcome other than Accepted, in lower case, e.g.
	// "invalid_number", ReasonBlacklisted or "not_in_reply".
	Reason string
	// Code is the gateway's own code for the reason, at most 64 bytes.
	Code string
	// Cost is the price that the gateway charged, as a decimal number. Currency is the currency of that price.
	// Both are empty if the gateway gives no price.
	Cost, Currency string
	// RetryAfter is the minimum wait before a Retryable recipient is tried again. 0 leaves the
	// choice to the worker.
	RetryAfter time.Duration
	// Balance is the account's credit after the call, if the reply contains it. At most one result
	// of a call has a Balance.
	Balance *Balance
}

// Balance is the remaining credit of an account.
type Balance struct {
	// Amount is the credit, in Currency or in the gateway's credit units.
	Amount float64
	// Currency is empty if the gateway counts in credit units.
	Currency string
}
