// Package providers is the contract between Tuma and an SMS gateway.
//
// A provider speaks one gateway's wire protocol and nothing else: it puts one
// batch to the gateway once, and says what the answer means. It never retries,
// never waits, starts no goroutine and keeps no state of a call. Trying again,
// rates, holds and bookkeeping are the worker's, which wraps every provider in
// the same policy.
package providers

import (
	"context"
	"errors"
	"time"

	"github.com/tuma-sms/tuma/sms"
)

// Provider is a gateway account that can be sent through. Implementations are
// safe for concurrent use by any number of goroutines.
type Provider interface {
	// Info tells the facts of the gateway that do not change while the
	// program runs.
	Info() Info

	// Send puts one batch to the gateway, once. A nil error comes with exactly
	// one Result per recipient, in the order of b.To. Otherwise there are no
	// results, and the error is an *Error whose Outcome and Scope speak for
	// every recipient of the batch. The context bounds the whole call; what the
	// gateway may have taken when it ends is reported as Unknown, never as not
	// sent. Send never sends the request a second time.
	Send(ctx context.Context, b Batch) ([]Result, error)
}

// Balancer is a provider that can say how much credit is left.
type Balancer interface {
	// Balance asks the gateway for the account's credit. Errors are *Error.
	// Asking costs nothing and changes nothing at the gateway.
	Balance(ctx context.Context) (Balance, error)
}

// StatusPoller is a provider that can say what became of a message it has
// accepted.
type StatusPoller interface {
	// MessageStatus asks the gateway for the delivery state of one message id
	// of its own. Errors are *Error.
	MessageStatus(ctx context.Context, messageID string) (MessageStatus, error)
}

// Reporter is a provider that lists what became of messages, or what was used.
type Reporter interface {
	// ReportKinds names the lists there are, the usual one first.
	ReportKinds() []string
	// Report fetches one list, as the gateway has it. From and to bound it where
	// the gateway takes bounds; the zero time is no bound. Errors are *Error.
	Report(ctx context.Context, kind string, from, to time.Time) (Table, error)
}

// Reconciler is a provider whose gateway lists what it has taken, so that a call of
// unknown outcome can be looked for there.
type Reconciler interface {
	// Taken lists the account's messages that the gateway has sent, or has been given to
	// send, in a span of time, to the second; there may be others in the list. Presence
	// proves that a message was taken; absence proves nothing. Errors are *Error.
	Taken(ctx context.Context, from, to time.Time) ([]TakenMessage, error)
}

// TakenMessage is a message that a gateway has taken.
type TakenMessage struct {
	// ID is the gateway's id, as Send returns it.
	ID string
	// To is the recipient; 0 if the gateway's word for it is no number.
	To sms.MSISDN
	// From is the sender ID.
	From string
	// At is when the gateway took or sent it; zero if it does not say.
	At time.Time
}

// Table is a list of a gateway's with its own column names. Every row has as many
// fields as there are columns.
type Table struct {
	Columns []string
	Rows    [][]string
}

// InboxReader is a provider that can be asked for the messages that people have
// sent in.
type InboxReader interface {
	// Inbox returns messages in the gateway's order. After is the ID of the last one
	// that is known already, where messages have IDs; empty asks for all. An empty
	// inbox is no error. Errors are *Error.
	Inbox(ctx context.Context, after string) ([]Inbound, error)
}

// Inbound is a message that somebody has sent in (MO).
type Inbound struct {
	// ID is the gateway's id; empty where it has none, and then From, At and Text
	// together tell one from another.
	ID string
	// From and To are the sender and the number or short code it was sent to, as
	// the gateway writes them.
	From, To string
	// Text is the message.
	Text string
	// LinkID ties an answer to it, for on-demand services.
	LinkID string
	// At is when the gateway received it; zero if it does not say.
	At time.Time
	// Fields are what else the gateway tells, under its own names.
	Fields map[string]string
}

// BackgroundSender is a provider that keeps lists of numbers, to which it can send
// in the background and tell later what it has sent.
type BackgroundSender interface {
	// SendStored sends to a list or a group kept at the gateway, once, and returns
	// the ids to ask BackgroundMessages for. What a background send comes to is the
	// gateway's to say: the ledger knows nothing of it. Errors are *Error; an
	// Unknown one may have been sent.
	SendStored(ctx context.Context, b StoredBatch) (ids []string, err error)
	// BackgroundMessages returns the messages of a background send. The error is
	// ErrNotFinished as long as it goes on, and otherwise an *Error.
	BackgroundMessages(ctx context.Context, id string) ([]BackgroundMessage, error)
}

// ErrNotFinished says that a background send still goes on: ask again later.
var ErrNotFinished = errors.New("the background send is not finished; ask again later")

// StoredBatch is a message to numbers that the gateway keeps.
type StoredBatch struct {
	// List or Group names them; exactly one of the two.
	List, Group string
	// From is the sender ID and Body the text.
	From, Body string
}

// BackgroundMessage is one message of a background send.
type BackgroundMessage struct {
	MessageID string
	To        sms.MSISDN
	Status    MessageStatus
}

// Info holds the facts about a gateway which do not change while the program
// runs. Workers publish it in the account card, so that producers can validate
// without gateway code.
type Info struct {
	// Name is the provider's name in configuration: "kobo".
	Name string `json:"name"`
	// Fingerprint names the login a call goes to: provider, base URL and user,
	// hashed; no secret can be read from it. An idempotency key means nothing
	// under another fingerprint.
	Fingerprint string `json:"fingerprint"`
	// NamedReports says that the gateway's delivery reports name the recipient: one that
	// comes for a message nobody knows can then tell of a call of unknown outcome.
	DLRNamesRecipient bool `json:"named_reports,omitempty"`
	// MaxRecipients is how many numbers one call may carry.
	MaxRecipients int `json:"max_recipients"`
	// KeyTTL is how long the gateway remembers an idempotency key; 0 means it
	// has none, and a call that may have been taken must not be repeated.
	KeyTTL time.Duration `json:"key_ttl,omitempty"`
	// MaxChars is how many characters a body may have, an escaped one of GSM-7 and an
	// emoji counted twice (sms.Length.Fits); 0 means no published limit.
	MaxChars int `json:"max_chars,omitempty"`
	// MaxSegments is how many segments a body may take; 0 means no published limit.
	MaxSegments int `json:"max_segments,omitempty"`
	// SenderAlphaMax and SenderDigitsMax bound an alphanumeric and a numeric
	// sender ID; 0 means no published limit.
	SenderAlphaMax  int `json:"sender_alpha_max,omitempty"`
	SenderDigitsMax int `json:"sender_digits_max,omitempty"`
	// SenderOptional says that the gateway has a default sender of its own.
	SenderOptional bool `json:"sender_optional,omitempty"`
	// Flash says that the gateway can send class-0 messages.
	Flash bool `json:"flash,omitempty"`
	// BlacklistBySender says that a recipient whom the gateway rejects with ReasonBlacklisted
	// is on a list of the call's sender, and not on one of all its users.
	BlacklistBySender bool `json:"blacklist_by_sender,omitempty"`
}

// ReasonBlacklisted is the Reason of a Result whose recipient the gateway keeps on a list
// of people who must not be sent to: Tuma does not send to them again.
const ReasonBlacklisted = "blacklisted"

// Batch is one call to a gateway: one body to at most Info.MaxRecipients numbers.
type Batch struct {
	// Key is the call's idempotency key (message_uuid), a UUID in text form.
	// Gateways without such a key ignore it.
	IdempotencyKey string
	// From is the sender ID; empty means the gateway's default where it has one.
	From string
	// Body is the text, UTF-8.
	Body string
	// Flash asks for a class-0 message where the gateway can do it.
	Flash bool
	// To are the recipients, distinct.
	To []sms.MSISDN
}

// Result is what the gateway said of one recipient.
type Result struct {
	// Outcome is Accepted, Rejected, Retryable (certainly not sent, may go
	// later) or Unknown.
	Outcome Outcome
	// Scope is whom a Rejected or Retryable answer speaks for: the recipient, or the
	// whole Campaign (a refused sender ID) or Account (no credit), although the
	// gateway says it of each recipient. The recipient is not used up then.
	Scope Scope
	// Cause goes with a Scope of Campaign or Account.
	Cause Cause
	// MessageID is the gateway's id of the message, if it gave one.
	MessageID string
	// Reason is one lower-case word of Tuma's for what is not Accepted
	// ("invalid_number", ReasonBlacklisted, "not_in_reply").
	Reason string
	// Code is the gateway's own word or number for it, at most 64 bytes.
	Code string
	// Cost and Currency are what the gateway charged, where it says so.
	Cost, Currency string
	// RetryAfter is how long a Retryable recipient should be left alone; 0 leaves
	// it to the worker.
	RetryAfter time.Duration
	// Balance is the account's credit after the call, where the reply tells it; on
	// one result of a call.
	Balance *Balance
}

// Balance is an account's credit at its gateway.
type Balance struct {
	// Amount is in the gateway's own unit.
	Amount float64
	// Currency is empty where the gateway counts credits.
	Currency string
}

// Report is a gateway's word on a message it accepted earlier.
type MessageStatus struct {
	// Final says that the state will not change any more.
	Final bool
	// Delivered is true when the handset has the message.
	Delivered bool
	// State is the gateway's own word for it.
	State string
}
