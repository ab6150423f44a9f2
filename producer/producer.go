package producer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/events"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/internal/prefix"
	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/usage"
)

// Client enqueues campaigns, controls them and reads their status and results. It is safe
// for concurrent use by any number of goroutines.
type Client struct {
	rdb    redis.UniversalClient
	ledger *ledger.Ledger
	// The fields "accounts" and "optouts" use the same Redis as the field "ledger".
	accounts *accounts.Store
	optouts  *optout.Lists
	usage    *usage.Store
	queue    *queue.Queue
	now      func() time.Time
	poll     time.Duration
	// statusRows reads the recipients of events. The field "waits" wakes the callers of Wait.
	statusRows *ledger.StatusRows
	waits      waits
	recent     recent
	memory     atomic.Pointer[memoryReading]
	// The field "known" has the accounts of WithAccounts. The field "routes" has the routes of WithRoutes.
	known  []Account
	routes []Route
	prefix string // of WithPrefix
	// traceparent is the function of WithTraceparent, or nil.
	traceparent func(context.Context) string
}

// memoryReading is Redis' memory use at a moment, in bytes. A limit of 0 means that Redis has no limit.
type memoryReading struct {
	at          time.Time
	used, limit int64
}

// Option changes how a Client works.
type Option func(*Client)

// WithClock makes the client call the function "now" instead of time.Now. If now is nil, WithClock
// changes nothing.
func WithClock(now func() time.Time) Option {
	return func(c *Client) {
		if now != nil {
			c.now = now
		}
	}
}

// WithPollInterval sets how often Wait, Watch and WaitForInFlight read Redis. The default is
// 250 ms, which is also used if d is not positive.
func WithPollInterval(d time.Duration) Option {
	return func(c *Client) {
		if d > 0 {
			c.poll = d
		}
	}
}

// Durability is where a change must be stored before a call of this package returns. The zero
// value means only the memory of the Redis master.
type Durability struct {
	// Fsync requires the change to be in the append-only file on the disk of the master.
	Fsync bool
	// Replicas is the number of replicas that must have the change, at most 16.
	Replicas int
}

// WithDurability makes Enqueue, Pause, Resume, Cancel, Retry, OptOut, OptIn, Hold and Release wait until
// their change is durable. If a change is not durable within a second, or within two seconds with Fsync, the
// call returns ErrNotDurable. The default is the zero Durability.
func WithDurability(d Durability) Option {
	return func(c *Client) { c.ledger = ledger.NewDurable(c.rdb, script.Durability(d)) }
}

// WithAccounts gives the client accounts that no worker has published yet, so that Enqueue, Check and
// Preview accept campaigns for these accounts. Name is required. Info, Sender, Country and Windows are
// used as in a published account. Without Info, the campaign is not checked against the limits of the
// gateway. A campaign for an account of WithAccounts waits until a worker serves this account. If workers
// have published the account, the published account takes precedence. If New gets the option several
// times, the accounts of all options apply.
func WithAccounts(all ...Account) Option {
	return func(c *Client) { c.known = append(c.known, all...) }
}

// WithRoutes gives the client the routes for campaigns that name no account. They apply until workers have
// published their settings. If New gets the option several times, the routes of all options apply.
func WithRoutes(routes ...Route) Option {
	return func(c *Client) { c.routes = append(c.routes, routes...) }
}

// WithPrefix puts every key and channel in Redis under a prefix, such as "staging:", so that several
// environments share one Redis. Give workers the same prefix (worker.Config.Prefix). A prefix has at
// most 64 ASCII letters, digits and . - _ : / and must not begin with tuma: or asynq:. By default the
// keys have no prefix.
//
// New adds a hook to the Redis client that it gets, and Close does not remove this hook. The hook
// puts the prefix before every key, and refuses commands whose keys do not belong to Tuma. So only
// workers and producers with the same prefix may share this client.
func WithPrefix(prefix string) Option {
	return func(c *Client) { c.prefix = prefix }
}

// WithTraceparent makes Enqueue and Send link the workers' spans for a campaign to the caller's trace. The function
// "read" gets the context of Enqueue or Send. It returns the W3C traceparent of the span in that context, such as
// "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", or "" if the context has no span. With OpenTelemetry:
//
//	func(ctx context.Context) string {
//		carrier := propagation.MapCarrier{}
//		propagation.TraceContext{}.Inject(ctx, carrier)
//		return carrier["traceparent"]
//	}
//
// An invalid traceparent is ignored. A worker records the trace if the trace is sampled and the worker has tracing
// on. The traceparent is stored with the campaign, and is not part of the content that Enqueue compares. By default
// nothing is linked, and this package needs no tracing library. The function "read" must be safe for concurrent
// use.
func WithTraceparent(read func(ctx context.Context) string) Option {
	return func(c *Client) { c.traceparent = read }
}

// New returns a client that uses rdb. The caller owns rdb and must close it. New sends no command to
// Redis. It returns an ErrInvalid if rdb is nil, is a *redis.Ring, or is a cluster client that reads
// from replicas (ReadOnly, RouteByLatency or RouteRandomly). It also returns an ErrInvalid for
// a mistake in an account of WithAccounts or in the prefix of WithPrefix.
func New(rdb redis.UniversalClient, options ...Option) (*Client, error) {
	if err := checkClient(rdb); err != nil {
		return nil, err
	}
	c := &Client{rdb: rdb, ledger: ledger.New(rdb), queue: queue.New(rdb), now: time.Now, poll: 250 * time.Millisecond}
	for _, o := range options {
		o(c)
	}
	if err := checkKnown(c.known); err != nil {
		return nil, fmt.Errorf("new producer: %w", err)
	}
	if err := prefix.Add(rdb, c.prefix); err != nil {
		return nil, fmt.Errorf("new producer: %w: %w", ErrInvalid, err)
	}
	c.waits.stream, c.waits.poll = events.New(c.ledger.Runner(), 0), c.poll
	c.statusRows = ledger.NewStatusRows(c.ledger)
	c.accounts, c.optouts, c.usage = accounts.New(c.ledger.Runner()), optout.New(c.ledger.Runner()), usage.New(c.ledger)
	return c, nil
}

// Close releases what New has opened. At present New opens nothing, so Close does nothing and
// returns nil. Close leaves the Redis client open.
func (c *Client) Close() error { return nil }

// InFlight counts the calls that workers have claimed and that have not ended. Pause and Cancel do not stop
// such calls.
type InFlight struct {
	// Calls is the number of claimed calls, which may still reach the gateway.
	Calls int `json:"calls"`
	// Recipients is the number of recipients of the claimed calls and of calls whose outcome
	// is in doubt.
	Recipients int `json:"recipients"`
}

// Pause pauses the campaign. Once Pause returns, workers claim no call of the campaign. The
// result counts the calls that were claimed earlier and have not ended. Pausing a paused
// campaign changes nothing. For an ended campaign, Pause returns ErrDone, and for a cancelled
// campaign ErrStopped.
func (c *Client) Pause(ctx context.Context, id string) (InFlight, error) {
	n, err := c.ledger.Pause(ctx, id, "producer")
	return InFlight(n), err
}

// Resume lets a paused campaign continue. It repeats no call. Resume also lets workers try to read
// quarantined records again (Status.Quarantined). If the campaign was paused because of
// Campaign.MaxRejected, Resume restarts the count of rejected messages. For an ended campaign,
// Resume returns ErrDone, and for a cancelled campaign ErrStopped.
func (c *Client) Resume(ctx context.Context, id string) (InFlight, error) {
	n, err := c.ledger.Resume(ctx, id, "producer")
	return InFlight(n), err
}

// Cancel ends the campaign permanently. Recipients without a call in flight are skipped with
// the reason "cancelled". Cancelling a cancelled campaign changes nothing. For an ended
// campaign, Cancel returns ErrDone.
func (c *Client) Cancel(ctx context.Context, id string) (InFlight, error) {
	n, err := c.ledger.Cancel(ctx, id, "producer")
	return InFlight(n), err
}

// Reschedule moves the start of a campaign that has not begun (Status.State is Scheduled, or Paused before
// the start). A start that has passed means now. An expiry that Campaign.ExpiresIn has set moves with the
// start. Reschedule returns ErrBegun if the campaign has begun, ErrDone if it has ended, ErrStopped if it
// was cancelled, and an ErrInvalid if the new start is after Campaign.ExpiresAt. A later Enqueue with the
// same ID is still compared with the original content.
func (c *Client) Reschedule(ctx context.Context, id string, startAt time.Time) error {
	wake, err := c.ledger.Reschedule(ctx, id, startAt)
	if errors.Is(err, ledger.ErrExpiresFirst) {
		return fmt.Errorf("%w: %w", ErrInvalid, &FieldError{Field: "start_at", Problem: "must be before the campaign expires"})
	}
	if err != nil || startAt.After(c.now()) {
		return err // the sweeper queues the plan task at startAt
	}
	spec, err := c.ledger.Spec(ctx, id)
	if err != nil {
		return err
	}
	sum, err := c.ledger.Summary(ctx, id)
	if err != nil {
		return err
	}
	// If this fails, the sweeper queues the task within seconds.
	return c.queue.Wake(ctx, queue.FirstQueue(spec.Via, spec.Class == campaign.Transactional, sum.Total), queue.Pointer{Campaign: id, Wake: wake})
}

// RetryOptions select the recipients that Retry sends to again.
type RetryOptions struct {
	// Unknown selects recipients whose outcome is unknown. Such a recipient may get the message twice.
	Unknown bool
	// Rejected selects recipients that the gateway rejected.
	Rejected bool
}

// Retry sends a campaign again to the recipients that o selects and returns their number.
// Selected recipients that have opted out keep their status; RetryResult.OptedOut of LastRetry
// counts them. Retry returns ErrNothingToRetry if no recipient is selected. After any other error
// the retry may have begun: read the status before you call Retry again.
func (c *Client) Retry(ctx context.Context, id string, o RetryOptions) (int, error) {
	// The retry adds the campaign to the index of campaigns first, so the campaign must exist.
	if _, err := c.ledger.Spec(ctx, id); err != nil {
		return 0, err
	}
	return c.ledger.Retry(ctx, id, script.NewToken(), o.Unknown, o.Rejected)
}

// RetryResult has the counts of a retry.
type RetryResult struct {
	// Count is the number of recipients that get the message again.
	Count int
	// OptedOut is the number of selected recipients that were left out because they have
	// opted out.
	OptedOut int
}

// LastRetry returns the result of the campaign's last finished retry.
func (c *Client) LastRetry(ctx context.Context, id string) (RetryResult, error) {
	r, err := c.ledger.LastRetry(ctx, id)
	return RetryResult(r), err
}
