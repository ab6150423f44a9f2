// Package producer is the library that Go services embed to send SMS through
// Tuma: it writes campaigns into Redis, for workers to plan and send, and tells
// what became of them. It holds no gateway code and no credentials.
//
// Enqueue is idempotent by campaign ID: the same ID with the same content again
// changes nothing and returns the first receipt.
package producer

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/queue"
)

// Errors to test with errors.Is.
var (
	// ErrConflict: a campaign with this ID and other content exists. Take another
	// ID, or enqueue what was enqueued first.
	ErrConflict = ledger.ErrConflict
	// ErrNotFound: there is no campaign with this ID, or its retention is over.
	ErrNotFound = ledger.ErrNotFound
	// ErrNotDurable: the change was made, but it could not be had in time that it would
	// outlive a crash of Redis (WithDurability). Saying the same again is safe.
	ErrNotDurable = ledger.ErrNotDurable
	// ErrUnknownAccount: no worker has ever published the account.
	ErrUnknownAccount = errors.New("unknown account")
	// ErrInvalid: the campaign cannot be sent as it is; the error lists all
	// mistakes, each with its field.
	ErrInvalid = errors.New("invalid campaign")
	// ErrNoCredit: Campaign.RequireCredit, and a balance does not cover what the campaign
	// may cost, or cannot be told. It is an ErrInvalid; nothing was enqueued.
	ErrNoCredit = errors.New("not enough credit")
	// ErrDone: the campaign has ended and takes no such order.
	ErrDone = ledger.ErrDone
	// ErrStopped: the campaign was cancelled or has expired, and takes no such order.
	ErrStopped = ledger.ErrStopped
	// ErrNothingToRetry: no recipient has a status that was asked for.
	ErrNothingToRetry = ledger.ErrNothingToRetry
	// ErrFull: Redis is nearly full; nothing was enqueued.
	ErrFull = errors.New("redis is nearly full")
)

// Client enqueues campaigns and reads what became of them. It is safe for
// concurrent use by any number of goroutines.
type Client struct {
	rdb    redis.UniversalClient
	ledger *ledger.Ledger
	queue  *queue.Queue
	now    func() time.Time
	poll   time.Duration
	memory atomic.Pointer[memoryReading]
}

// Option changes how a Client works.
type Option func(*Client)

// WithClock makes the client take the time from now instead of time.Now. Nil
// changes nothing.
func WithClock(now func() time.Time) Option {
	return func(c *Client) {
		if now != nil {
			c.now = now
		}
	}
}

// WithPollInterval sets how often Wait looks; the default, also for what is not
// above 0, is 250 ms.
func WithPollInterval(d time.Duration) Option {
	return func(c *Client) {
		if d > 0 {
			c.poll = d
		}
	}
}

// Durability says what must hold a change in Redis before a call of this package
// returns: the append-only file on disk (Fsync), or so many replicas (Replicas).
type Durability = ledger.Durability

// WithDurability makes Enqueue, Pause, Resume, Cancel, Retry, OptOut, OptIn, Hold and Release wait
// until what they changed is durable; what is not in time is an ErrNotDurable. The
// default, the zero Durability, waits for Redis' answer alone.
func WithDurability(d Durability) Option {
	return func(c *Client) { c.ledger = ledger.NewDurable(c.rdb, d) }
}

// New returns a client on a Redis client that is shared with the caller and stays
// the caller's to close. It does not talk to Redis yet.
func New(rdb redis.UniversalClient, options ...Option) (*Client, error) {
	if rdb == nil {
		return nil, fmt.Errorf("new producer: %w: no redis client", ErrInvalid)
	}
	c := &Client{rdb: rdb, ledger: ledger.New(rdb), queue: queue.New(rdb), now: time.Now, poll: 250 * time.Millisecond}
	for _, o := range options {
		o(c)
	}
	return c, nil
}

// Close frees what New opened, which is nothing that outlives the client at
// present; the Redis client stays open.
func (c *Client) Close() error { return nil }

// InFlight is what of a campaign is with the gateways at the moment of an order:
// calls claimed before it may still reach them.
type InFlight = ledger.InFlight

// Pause stops the campaign: once it returns, no call that was not claimed before
// is submitted. Pausing a paused campaign changes nothing; one that has ended is
// ErrDone or ErrStopped.
func (c *Client) Pause(ctx context.Context, id string) (InFlight, error) {
	return c.ledger.Pause(ctx, id, "producer")
}

// Resume lets a paused campaign go on, repeating nothing.
func (c *Client) Resume(ctx context.Context, id string) (InFlight, error) {
	return c.ledger.Resume(ctx, id, "producer")
}

// Cancel ends the campaign for good: recipients for whom no call is in flight are
// skipped with the reason "cancelled". Cancelling twice changes nothing.
func (c *Client) Cancel(ctx context.Context, id string) (InFlight, error) {
	return c.ledger.Cancel(ctx, id, "producer")
}

// RetryOptions say which recipients Retry sends to again.
type RetryOptions struct {
	// Unknown: those whose outcome is unknown. They may get the message twice.
	Unknown bool
	// Rejected: those the gateway refused.
	Rejected bool
}

// Retry sends again, on purpose, and returns to how many recipients: who has opted out
// since is left as it is, and LastRetry says how many these are. It is ErrNothingToRetry if
// there is none with such a status.
func (c *Client) Retry(ctx context.Context, id string, o RetryOptions) (int, error) {
	// A retry makes the campaign findable before all else; one that is not there must not be.
	if _, err := c.ledger.Spec(ctx, id); err != nil {
		return 0, err
	}
	return c.ledger.Retry(ctx, id, ledger.NewToken(), o.Unknown, o.Rejected)
}

// Retried is what a retry came to.
type RetryResult = ledger.RetryResult

// LastRetry is what the last retry of a campaign came to that is through.
func (c *Client) LastRetry(ctx context.Context, id string) (RetryResult, error) {
	return c.ledger.LastRetry(ctx, id)
}

var holdReason = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,40}$`)

// Hold holds an account by hand: nothing is claimed for it until Release. reason
// is one word for status, [A-Za-z0-9_.-]{1,40}, else ErrInvalid; empty: "manual".
// ErrUnknownAccount if no worker has published the account.
func (c *Client) Hold(ctx context.Context, account, reason string) error {
	if reason == "" {
		reason = "manual"
	}
	if !holdReason.MatchString(reason) {
		return &FieldError{Field: "reason", Problem: fmt.Sprintf("%.60q must be one word of letters, digits, _ . -", reason)}
	}
	return knownAccount(c.ledger.HoldAccount(ctx, account, reason, "operator"))
}

// Release lifts whatever hold an account has, and reports whether it had one.
func (c *Client) Release(ctx context.Context, account string) (bool, error) {
	had, err := c.ledger.ReleaseAccount(ctx, account)
	return had, knownAccount(err)
}

// Account is an account as workers publish it, with its hold and balance.
type Account = ledger.Account

// Accounts lists the accounts that workers have published, by name.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) { return c.ledger.Accounts(ctx) }

func knownAccount(err error) error {
	if errors.Is(err, ledger.ErrNoAccount) {
		return fmt.Errorf("%w: %w", ErrUnknownAccount, err)
	}
	return err
}

type memoryReading struct {
	at         time.Time
	used, most int64
}
