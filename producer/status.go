package producer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
)

// State is where a campaign stands.
type State = ledger.State

// The states. Done means that nothing is pending.
const (
	Uploading = ledger.Uploading
	Scheduled = ledger.Scheduled
	Planning  = ledger.Planning
	Sending   = ledger.Sending
	Paused    = ledger.Paused
	Cancelled = ledger.Cancelled
	Done      = ledger.Done
)

// AccountCounts are a campaign's recipients with one of its accounts, by status. Who was
// left out in planning, or is not planned yet, is with none.
type AccountCounts = ledger.AccountCounts

// Block is a reason why a campaign is not moving.
type Block struct {
	Account string `json:"account,omitempty"`
	// Reason is one word: paused, no_worker, no_route (no account is named and the
	// workers have no routes), later (the gateway has put off all numbers that are
	// left), set_aside (records of it cannot be read; Resume tries them again), window (it
	// is outside of the sending hours of all that is left), or that of the account's hold.
	Reason string `json:"reason"`
	// Country is the one whose sending hours are closed.
	Country string `json:"country,omitempty"`
	// Code is the gateway's own word for it, By who did it.
	Code  string     `json:"code,omitempty"`
	By    string     `json:"by,omitempty"`
	Since *time.Time `json:"since,omitempty"`
	// Until is when it is tried again; nil: when somebody acts.
	Until *time.Time `json:"until,omitempty"`
	// Unfit are the further accounts of its routes that cannot carry the campaign, and why:
	// work that waits for this one does not move there.
	Incompatible []string `json:"unfit,omitempty"`
}

// Status is a campaign's state and counts, in the form of `tuma status --json`.
// After the commit, Total is always the sum of the seven statuses.
type Status struct {
	ID        string  `json:"id"`
	State     State   `json:"state"`
	BlockedBy []Block `json:"blocked_by"`
	// ETA is when it should be finished, if that can be told.
	ETA         *time.Time `json:"eta"`
	Total       int        `json:"total"`
	Pending     int        `json:"pending"`
	Accepted    int        `json:"accepted"`
	Delivered   int        `json:"delivered"`
	Undelivered int        `json:"undelivered"`
	Rejected    int        `json:"rejected"`
	Unknown     int        `json:"unknown"`
	Skipped     int        `json:"skipped"`
	// Reasons count the skipped by reason.
	Reasons map[string]int `json:"reasons,omitempty"`
	Batches int            `json:"batches"`
	// Calls counts submitted requests, each once however often it was tried.
	Calls int `json:"calls"`
	// Segments belong to accepted messages.
	Segments int `json:"segments"`
	// Resent counts recipients that were submitted again and both went out.
	Resent int `json:"resent,omitempty"`
	// OnUnknown is OnUnknownResend from the beginning of planning on if, at one of the
	// accounts, whose outcome is unknown is submitted once more; else empty.
	OnUnknown string `json:"on_unknown,omitempty"`
	// SetAside counts records and tasks of the campaign that cannot be read. What does not
	// need them goes on; who is in them stays as counted, and Results ends at them.
	Quarantined int `json:"set_aside,omitempty"`
	// Unreadable names some of them, with what is wrong.
	Unreadable []string `json:"unreadable,omitempty"`
	InFlight   InFlight `json:"in_flight"`
	Accounts   []string `json:"accounts,omitempty"`
	// ByAccount are the counts of each account, from planning on: of the recipients that
	// are with it now, or have ended there.
	ByAccount []AccountCounts `json:"by_account,omitempty"`
	// Canary is how the campaign's canary stands while others wait for it; nil: there is none,
	// or it is over.
	Canary *Canary `json:"canary,omitempty"`
	// TooMany is for what a campaign that is paused by "too_many_rejected" was paused.
	TooManyRejected *TooManyRejected `json:"too_many_rejected,omitempty"`
	// MaxRejected is the limit in percent; 0: none.
	MaxRejected float64 `json:"max_rejected,omitempty"`
	// Rate is the accounts' rate together, in their unit a second; 0: unlimited.
	Rate       float64    `json:"rate,omitempty"`
	Class      Class      `json:"class,omitempty"`
	CreatedAt  time.Time  `json:"created_at"`
	StartAt    *time.Time `json:"start_at,omitempty"`
	ExpiresAt  *time.Time `json:"expires_at,omitempty"`
	FinishedAt *time.Time `json:"finished_at"`
}

// Canary is where the first messages of a campaign stand, of which all have to end before
// others go.
type Canary struct {
	// Size is how many they are; fewer than were asked for if fewer can be sent to.
	Size int `json:"size"`
	// Ended counts those that have ended, Rejected and Unknown among them.
	Ended    int `json:"ended"`
	Rejected int `json:"rejected"`
	Unknown  int `json:"unknown"`
}

// TooMany says that so many of those that had ended were rejected or unknown, more than
// Campaign.MaxRejected.
type TooManyRejected = ledger.TooManyRejected

// Ended says that nothing of the campaign can move any more.
func (s Status) Ended() bool { return s.State == Done || s.State == Cancelled && s.Pending == 0 }

// Status reads where a campaign stands. ErrNotFound if there is none.
func (c *Client) Status(ctx context.Context, id string) (Status, error) {
	if !ledger.ValidID(id) {
		return Status{}, &FieldError{Field: "id", Problem: "it is no campaign id"}
	}
	sum, err := c.ledger.Summary(ctx, id)
	if err != nil {
		return Status{}, err
	}
	s := statusOf(sum)
	if err := c.unreadable(ctx, sum, &s); err != nil {
		return s, err
	}
	if s.State == Done || s.State == Cancelled || s.State == Uploading {
		return s, nil
	}
	return s, c.explainBlocks(ctx, sum, &s)
}

// statusOf is a status without what the accounts have to do with it.
func statusOf(sum ledger.Summary) Status {
	s := Status{ID: sum.ID, State: sum.State, Total: sum.Total, Pending: sum.Pending, Accepted: sum.Accepted, Delivered: sum.Delivered,
		Undelivered: sum.Undelivered, Rejected: sum.Rejected, Unknown: sum.Unknown, Skipped: sum.Skipped, Reasons: sum.Reasons,
		Batches: sum.Batches, Calls: sum.Calls, Segments: sum.Segments, Resent: sum.Resent, InFlight: sum.InFlight,
		Accounts: sum.Accounts, ByAccount: sum.ByAccount, Class: sum.Spec.Class, CreatedAt: sum.CreatedAt, StartAt: timeOrNil(sum.StartAt),
		ExpiresAt: timeOrNil(sum.ExpiresAt), FinishedAt: timeOrNil(sum.FinishedAt), BlockedBy: []Block{}, Quarantined: sum.Quarantined}
	if sum.Unreadable != nil {
		s.Quarantined = max(1, s.Quarantined) // also before a worker has met it
	}
	s.MaxRejected, s.TooManyRejected = sum.Spec.FailureThreshold(), sum.TooManyRejected
	if sum.Canary > 0 && !s.Ended() && sum.StoppedBy == "" {
		s.Canary = &Canary{Size: sum.Canary, Ended: s.Total - s.Pending - s.Skipped, Rejected: s.Rejected, Unknown: s.Unknown}
	}
	if sum.Resend {
		s.OnUnknown = OnUnknownResend
	}
	return s
}

// namedUnreadable is how many records that cannot be read a status names.
const namedUnreadable = 5

// unreadable fills in what of a campaign cannot be read, and that it waits for that.
func (c *Client) unreadable(ctx context.Context, sum ledger.Summary, s *Status) error {
	if s.Quarantined == 0 {
		return nil
	}
	if u := sum.Unreadable; u != nil {
		s.Unreadable = append(s.Unreadable, u.Record+": "+u.Err.Error())
	}
	records, err := c.ledger.QuarantinedRecords(ctx, sum.ID)
	if err != nil {
		return err
	}
	for _, r := range records {
		if len(s.Unreadable) < namedUnreadable && (sum.Unreadable == nil || r.Record != sum.Unreadable.Record) {
			s.Unreadable = append(s.Unreadable, r.Record+": "+r.Why)
		}
	}
	if !s.Ended() && (sum.QuarantinedWork > 0 || sum.Unreadable != nil) {
		s.BlockedBy = append(s.BlockedBy, Block{Reason: "set_aside"})
	}
	return nil
}

// mayUse names the accounts a campaign goes, or may go, through.
func (c *Client) mayUse(ctx context.Context, sum ledger.Summary) ([]string, error) {
	if len(sum.Accounts) > 0 {
		return sum.Accounts, nil
	}
	if sum.Spec.Via != "" {
		return []string{sum.Spec.Via}, nil
	}
	routes, err := c.ledger.Routes(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, r := range routes {
		names = append(names, r.Via...)
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// whyNot fills in what keeps a campaign from moving, and when it should be done.
func (c *Client) explainBlocks(ctx context.Context, sum ledger.Summary, s *Status) error {
	if s.State == Paused {
		s.BlockedBy = append(s.BlockedBy, Block{Reason: "paused", By: sum.PausedBy, Since: timeOrNil(sum.PausedAt)})
	}
	names, err := c.mayUse(ctx, sum)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		s.BlockedBy = append(s.BlockedBy, Block{Reason: "no_route"})
	}
	limited := len(names) > 0
	for _, name := range names {
		if s.State == Sending && hasNonePending(s, name) {
			continue // what holds it holds nobody up
		}
		a, err := c.ledger.Account(ctx, name)
		if errors.Is(err, ledger.ErrNoAccount) || err == nil && a.Workers == 0 {
			s.BlockedBy = append(s.BlockedBy, Block{Account: name, Reason: "no_worker", Since: timeOrNil(a.LastSeen)})
			limited = false
			continue
		}
		if err != nil {
			return err
		}
		if a.Hold.Held() {
			s.BlockedBy = append(s.BlockedBy, Block{Account: name, Reason: a.Hold.Reason, Code: a.Hold.Code, By: a.Hold.By,
				Since: timeOrNil(a.Hold.Since), Until: timeOrNil(a.Hold.Until)})
			if err := c.unfit(ctx, sum, &s.BlockedBy[len(s.BlockedBy)-1]); err != nil {
				return err
			}
		}
		limited = limited && a.Rate > 0 && a.Unit == "messages"
		s.Rate += a.Rate
	}
	free := len(s.BlockedBy) == 0
	opens := c.closedHours(sum, s)
	if err := c.deferredByGateway(ctx, s); err != nil {
		return err
	}
	if free && (len(s.BlockedBy) == 0 || limited && !opens.IsZero()) {
		s.ETA = c.eta(sum, s.Rate, limited, opens)
	}
	return nil
}

// closed says so when all that is left waits for sending hours, and returns when the
// last of them begin.
func (c *Client) closedHours(sum ledger.Summary, s *Status) (opens time.Time) {
	if s.State != Sending || sum.StoppedBy != "" || s.InFlight.Calls > 0 || len(sum.Streams) == 0 {
		return opens
	}
	now := c.now()
	for _, l := range sum.Streams {
		if !l.ClosedUntil.After(now) {
			return opens
		}
	}
	for _, l := range sum.Streams {
		s.BlockedBy = append(s.BlockedBy, Block{Account: l.Account, Reason: "window", Country: l.Country,
			Since: timeOrNil(l.ClosedSince), Until: timeOrNil(l.ClosedUntil)})
		if l.ClosedUntil.After(opens) {
			opens = l.ClosedUntil
		}
	}
	return opens
}

// unfit fills in which accounts the work of a held one cannot move to.
func (c *Client) unfit(ctx context.Context, sum ledger.Summary, b *Block) error {
	seen := map[string]bool{b.Account: true}
	for _, r := range sum.Routes {
		if !slices.Contains(r.Via, b.Account) {
			continue
		}
		for _, name := range r.Via {
			if seen[name] {
				continue
			}
			seen[name] = true
			a, err := c.ledger.Account(ctx, name)
			if errors.Is(err, ledger.ErrNoAccount) {
				continue
			}
			if err != nil {
				return err
			}
			if x := a.Incompatibilities(sum.Spec.From, sum.Spec.ShortBody(), sum.Spec.Flash); len(x) > 0 {
				b.Incompatible = append(b.Incompatible, name+": "+x[0].Field+": "+x[0].Problem)
			}
		}
	}
	return nil
}

// hasNone says whether nothing of a campaign that is planned waits at an account.
func hasNonePending(s *Status, account string) bool {
	for _, x := range s.ByAccount {
		if x.Account == account {
			return x.Pending == 0
		}
	}
	return false
}

// farAhead is further than a batch that somebody works on is ever put off.
const farAhead = 90 * time.Second

// later says so when all that is left has been put off for long, by the gateway's own
// word on the numbers.
func (c *Client) deferredByGateway(ctx context.Context, s *Status) error {
	if len(s.BlockedBy) > 0 || s.State != Sending || s.InFlight.Calls > 0 || s.Pending == 0 {
		return nil
	}
	next, err := c.ledger.NextDue(ctx, s.ID)
	if err == nil && next.Sub(c.now()) > farAhead {
		s.BlockedBy = append(s.BlockedBy, Block{Reason: "later", Until: timeOrNil(next.UTC())})
	}
	return err
}

// eta takes the configured rate, or how fast it has gone so far. It goes on at opens, if
// that is given.
func (c *Client) eta(sum ledger.Summary, rate float64, limited bool, opens time.Time) *time.Time {
	now := c.now().UTC()
	done := sum.Accepted + sum.Delivered + sum.Undelivered + sum.Rejected + sum.Unknown
	ran := now.Sub(sum.CreatedAt).Seconds()
	if sum.StartAt.After(sum.CreatedAt) {
		ran = now.Sub(sum.StartAt).Seconds()
	}
	if !limited {
		if done == 0 || ran <= 0 {
			return nil
		}
		rate = float64(done) / ran
	}
	if rate <= 0 {
		return nil
	}
	seconds := float64(sum.Pending) / rate
	if seconds > (100 * 365 * 24 * time.Hour).Seconds() {
		return nil
	}
	from := now
	if sum.StartAt.After(now) {
		from = sum.StartAt.UTC()
	}
	if opens.After(from) {
		from = opens.UTC()
	}
	at := from.Add(time.Duration(seconds * float64(time.Second))).Truncate(time.Second)
	return &at
}

// List yields the status of every campaign, newest first; the entries carry
// neither blocked_by nor an ETA. Campaigns removed meanwhile are left out.
func (c *Client) List(ctx context.Context) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		for id, err := range c.ledger.Campaigns(ctx) {
			if err != nil {
				yield(Status{}, err)
				return
			}
			sum, err := c.ledger.Summary(ctx, id)
			if errors.Is(err, ErrNotFound) {
				continue
			}
			if !yield(statusOf(sum), err) {
				return
			}
		}
	}
}

// Wait blocks until a campaign has ended, or the context; it returns the last
// status it saw. A paused campaign has not ended.
func (c *Client) Wait(ctx context.Context, id string) (Status, error) {
	for s, err := range c.Watch(ctx, id) {
		if err != nil || s.Ended() {
			return s, err
		}
	}
	return Status{}, fmt.Errorf("wait for %s: %w", id, context.Cause(ctx))
}

// Watch yields the status every poll interval, the first at once, until the
// caller stops, the context ends or an error was yielded.
func (c *Client) Watch(ctx context.Context, id string) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		tick := time.NewTicker(c.poll)
		defer tick.Stop()
		for {
			s, err := c.Status(ctx, id)
			if !yield(s, err) || err != nil {
				return
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
			if ctx.Err() != nil { // also when both have come
				return
			}
		}
	}
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
