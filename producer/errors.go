package producer

import (
	"errors"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
)

// These are the errors that the methods of Client return. Test for them with errors.Is.
var (
	// ErrConflict means that a campaign with other content uses the ID, and that the ID is not free
	// again (see Enqueue). Choose another ID, or enqueue the original content.
	ErrConflict = errConflict
	// ErrNotFound means that no campaign has the given ID, or that the campaign's retention
	// period is over.
	ErrNotFound = errNotFound
	// ErrNotDurable means that the change was written, but Redis did not confirm in time that
	// the change survives a crash (see WithDurability). Repeating the call is safe.
	ErrNotDurable = errNotDurable
	// ErrUnknownAccount means that no worker has published the account, and that the account is not in
	// WithAccounts.
	ErrUnknownAccount = errors.New("unknown account")
	// ErrInvalid means that the arguments cannot be accepted. The error lists every
	// mistake as a *FieldError.
	ErrInvalid = errors.New("invalid campaign")
	// ErrNoCredit means that the campaign requires credit (Campaign.RequireCredit), but the balance of
	// an account does not cover the campaign, or is not known. Nothing was enqueued. The error is
	// also an ErrInvalid.
	ErrNoCredit = errors.New("not enough credit")
	// ErrDone means that the campaign is done or has expired, so it cannot be paused, resumed
	// or cancelled.
	ErrDone = errDone
	// ErrBegun means that the campaign has begun, so its start cannot be moved.
	ErrBegun = errBegun
	// ErrNotEnded means that the campaign cannot be purged, because it has not ended or a retry is in
	// progress.
	ErrNotEnded = errors.New("the campaign has not ended")
	// ErrStopped has two meanings. Either the campaign was cancelled, so it cannot be paused, resumed
	// or retried, or it has expired, so it cannot be retried.
	ErrStopped = errStopped
	// ErrNothingToRetry means that no recipient has a status that RetryOptions selects.
	ErrNothingToRetry = errNothingToRetry
	// ErrPlanning means that the campaign is still being planned, so it cannot be retried yet. ErrBusy
	// means that another retry of the campaign is in progress.
	ErrPlanning = errPlanning
	ErrBusy     = errBusy
	// ErrPurged means that a single message cannot be retried, because its text was deleted after the
	// message ended (Message.KeepBody). Send a new message.
	ErrPurged = errPurged
	// ErrFull means that Redis uses more than 80 % of its maxmemory. Nothing was enqueued.
	ErrFull = errors.New("redis is nearly full")
)

// These are the errors of the ledger that callers of this package test for.
var (
	errConflict       = ledger.ErrConflict
	errNotFound       = ledger.ErrNotFound
	errNotDurable     = script.ErrNotDurable
	errDone           = ledger.ErrDone
	errStopped        = ledger.ErrStopped
	errBegun          = ledger.ErrBegun
	errNothingToRetry = ledger.ErrNothingToRetry
	errPurged         = ledger.ErrPurged
	errPlanning       = ledger.ErrPlanning
	errBusy           = ledger.ErrBusy
)

// FieldError is one mistake in a campaign or in another argument. It is an ErrInvalid.
type FieldError struct {
	// Field is the name of the argument as in JSON, such as "body" or "start_at".
	Field string
	// Problem describes the mistake, and how to correct it.
	Problem string
	err     error
}

// Error returns the field and the problem.
func (e *FieldError) Error() string { return e.Field + ": " + e.Problem }

// Is reports whether target is ErrInvalid or the more precise error of the mistake, such as
// ErrUnknownAccount.
func (e *FieldError) Is(target error) bool {
	return target == ErrInvalid || e.err != nil && target == e.err
}

// MissingError means that recipients have no value for a merge field that has no default. It lists all
// such fields, for all recipients of the sequence. It is an ErrInvalid.
type MissingError struct {
	// Recipient is the position in the upload of the first recipient without a value, counted from 1.
	Recipient int
	// Field is the first merge field for which this recipient has no value, in the form that
	// sms.FieldKey returns.
	Field string
	// Fields are the merge fields without a value, in the order of the body.
	Fields []MissingField
}

// MissingField is a merge field for which recipients have no value.
type MissingField struct {
	// Field is the merge field in the form that sms.FieldKey returns.
	Field string
	// Count is the number of recipients without a value.
	Count int
	// First has the places of the first three of these recipients, or fewer. A place is
	// Recipient.Line or, if that is 0, the position in the upload, counted from 1.
	First []int
}

// NumberError means that OptOut, OptIn or OptOutsOf got text that is not a phone number.
// It is an ErrInvalid.
type NumberError struct {
	// Index is the position in the sequence, counted from 0.
	Index int
	err   error
}

// Error returns the masked number and the reason why the number is invalid.
func (e *NumberError) Error() string { return e.err.Error() }

// Unwrap returns the parser's error, an *sms.NumberError.
func (e *NumberError) Unwrap() error { return e.err }

// Is reports whether target is ErrInvalid.
func (e *NumberError) Is(target error) bool { return target == ErrInvalid }
