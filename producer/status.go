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

// State is the state of a campaign.
type State string

const (
	// Uploading means that an Enqueue is under way and nothing is committed yet.
	Uploading State = "uploading"
	// Scheduled means that Campaign.StartAt is in the future.
	Scheduled State = "scheduled"
	// Planning means that workers still plan the uploaded recipients. The recipients already
	// planned are sent to meanwhile.
	Planning State = "planning"
	// Sending means that all recipients are planned and some are pending.
	Sending State = "sending"
	// Paused means that no new call starts until Resume.
	Paused State = "paused"
	// Cancelled means that the campaign was cancelled. Recipients of calls in flight may still be
	// pending.
	Cancelled State = "cancelled"
	// Done means that no recipient is pending.
	Done State = "done"
)

// Counts counts recipients by status. After the commit of a campaign, Total is always the sum of
// the other seven.
type Counts struct {
	Total       int `json:"total"`
	Pending     int `json:"pending"`
	Accepted    int `json:"accepted"`
	Delivered   int `json:"delivered"`
	Undelivered int `json:"undelivered"`
	Rejected    int `json:"rejected"`
	Unknown     int `json:"unknown"`
	Skipped     int `json:"skipped"`
}

// AccountCounts counts a campaign's recipients at one of its accounts. Recipients that planning
// skipped or has not reached belong to no account.
type AccountCounts struct {
	Account string `json:"account"`
	Counts
}

// Block is a reason why a campaign sends nothing at the moment.
type Block struct {
	// Account is the blocked account. It is empty if the whole campaign is blocked.
	Account string `json:"account,omitempty"`
	// Reason is one word: "paused"; "no_worker" (no live worker serves the account); "no_route"
	// (the campaign names no account, and the workers have no routes); "later" (the gateway
	// has deferred all remaining recipients); "set_aside" (records are quarantined, see
	// Status.Quarantined); "window" (outside the sending hours of all remaining recipients);
	// or the reason of the account's hold.
	Reason string `json:"reason"`
	// Country is the country whose sending hours are over, as an ISO code.
	Country string `json:"country,omitempty"`
	// Code is the gateway's own code behind a hold.
	Code string `json:"code,omitempty"`
	// By is who paused the campaign or set the hold.
	By string `json:"by,omitempty"`
	// Since is when the block began, if it is known.
	Since *time.Time `json:"since,omitempty"`
	// Until is when workers try to send again. It is nil if a person must act first.
	Until *time.Time `json:"until,omitempty"`
	// Incompatible lists the other accounts of the route that cannot take over the work of a
	// held account, each with the reason.
	Incompatible []string `json:"unfit,omitempty"`
}

// Status is the state of a campaign and its counts, as in `tuma status --json`.
type Status struct {
	ID    string `json:"id"`
	State State  `json:"state"`
	// BlockedBy lists why the campaign sends nothing at the moment. It is empty if nothing blocks
	// the campaign.
	BlockedBy []Block `json:"blocked_by"`
	// ETA is when the campaign should be done. It is nil if this time cannot be estimated.
	ETA *time.Time `json:"eta"`
	Counts
	// Reasons counts the skipped recipients by reason.
	Reasons map[string]int `json:"reasons,omitempty"`
	// Batches is the number of batches that were planned.
	Batches int `json:"batches"`
	// Calls is the number of requests submitted to gateways. A repeated request counts once.
	Calls int `json:"calls"`
	// Segments is the number of segments of the accepted messages.
	Segments int `json:"segments"`
	// Resent is the number of recipients that were submitted again although their first message
	// had been accepted.
	Resent int `json:"resent,omitempty"`
	// OnUnknown is OnUnknownResend if an account of the campaign submits recipients with an
	// unknown outcome once more, and otherwise empty. It is known once planning has started.
	OnUnknown string `json:"on_unknown,omitempty"`
	// Quarantined is the number of records and tasks of the campaign that a worker could not read.
	// The rest of the campaign continues. Recipients in these records keep their last status, and
	// Results ends with an error at the first such record. Resume lets workers try to read the
	// records again.
	Quarantined int `json:"set_aside,omitempty"`
	// Unreadable describes up to five quarantined records.
	Unreadable []string `json:"unreadable,omitempty"`
	// InFlight counts the calls that are in flight at the moment.
	InFlight InFlight `json:"in_flight"`
	// Accounts names the accounts that the campaign was planned for.
	Accounts []string `json:"accounts,omitempty"`
	// ByAccount has the counts of each account once planning has started. They count the recipients
	// that wait for the account or have ended there.
	ByAccount []AccountCounts `json:"by_account,omitempty"`
	// Canary is the progress of the canary. It is nil if the campaign has no canary or the canary
	// is over.
	Canary *Canary `json:"canary,omitempty"`
	// TooManyRejected has the counts that led to a pause with the reason "too_many_rejected".
	TooManyRejected *TooManyRejected `json:"too_many_rejected,omitempty"`
	// MaxRejected is the campaign's limit in percent; 0 means none.
	MaxRejected float64 `json:"max_rejected,omitempty"`
	// Rate is the sum of the rates of Accounts, in their units a second; 0 means unlimited.
	Rate      float64    `json:"rate,omitempty"`
	Class     Class      `json:"class,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	StartAt   *time.Time `json:"start_at,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	// FinishedAt is when the last recipient ended. It is nil while recipients are pending.
	FinishedAt *time.Time `json:"finished_at"`
}

// Canary is the progress of a campaign's canary: the first messages, all of which must end before
// any other message goes out.
type Canary struct {
	// Size is the number of messages in the canary. It is less than Campaign.Canary if the campaign
	// has fewer recipients that can be sent to.
	Size int `json:"size"`
	// Ended is the number of canary messages that have ended, including Rejected and Unknown.
	Ended    int `json:"ended"`
	Rejected int `json:"rejected"`
	Unknown  int `json:"unknown"`
}

// TooManyRejected is the count that paused a campaign: Bad of Ended messages, more than
// Campaign.MaxRejected percent, were rejected or unknown.
type TooManyRejected struct {
	Bad   int `json:"rejected_or_unknown"`
	Ended int `json:"ended"`
	// Canary reports whether the counted messages are the campaign's canary. Otherwise the count
	// began with the campaign, with the last Resume after such a pause, or with the last restart
	// after ThresholdSpan messages.
	Canary bool `json:"canary,omitempty"`
}

// Ended reports whether the campaign has ended: it is done, or it is cancelled and no
// recipient is pending.
func (s Status) Ended() bool { return s.State == Done || s.State == Cancelled && s.Pending == 0 }

// badID is the FieldError.Problem of an ID that no campaign can have.
const badID = "must be 1 to 128 of A-Z a-z 0-9 . _ : -"

// Status reads the state of a campaign. It returns ErrNotFound if no campaign has the given ID.
func (c *Client) Status(ctx context.Context, id string) (Status, error) {
	if !ledger.ValidID(id) {
		return Status{}, &FieldError{Field: "id", Problem: badID}
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

// statusOf returns the status without the parts that depend on accounts: BlockedBy, ETA and Rate.
func statusOf(sum ledger.Summary) Status {
	s := Status{ID: sum.ID, State: State(sum.State), Counts: Counts(sum.Counts), Reasons: sum.Reasons,
		Batches: sum.Batches, Calls: sum.Calls, Segments: sum.Segments, Resent: sum.Resent, InFlight: InFlight(sum.InFlight),
		Accounts: sum.Accounts, Class: Class(sum.Spec.Class), CreatedAt: sum.CreatedAt, StartAt: timeOrNil(sum.StartAt),
		ExpiresAt: timeOrNil(sum.ExpiresAt), FinishedAt: timeOrNil(sum.FinishedAt), BlockedBy: []Block{}, Quarantined: sum.Quarantined}
	if sum.Unreadable != nil {
		s.Quarantined = max(1, s.Quarantined) // no worker may have quarantined it yet
	}
	for _, a := range sum.ByAccount {
		s.ByAccount = append(s.ByAccount, AccountCounts{Account: a.Account, Counts: Counts(a.Counts)})
	}
	s.MaxRejected = sum.Spec.FailureThreshold()
	if t := sum.TooManyRejected; t != nil {
		s.TooManyRejected = &TooManyRejected{Bad: t.Bad, Ended: t.Ended, Canary: t.Canary}
	}
	if sum.Canary > 0 && !s.Ended() && sum.StoppedBy == "" {
		s.Canary = &Canary{Size: sum.Canary, Ended: s.Total - s.Pending - s.Skipped, Rejected: s.Rejected, Unknown: s.Unknown}
	}
	if sum.Resend {
		s.OnUnknown = OnUnknownResend
	}
	return s
}

// namedUnreadable is the maximum number of quarantined records that a status describes.
const namedUnreadable = 5

// unreadable fills in Unreadable, and adds a Block if work waits for quarantined records.
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

// mayUse returns the accounts that a campaign was planned for or, before planning, may be planned for.
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

// explainBlocks fills in BlockedBy, ETA and Rate.
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
			continue // a held account without work delays nothing
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
			if err := c.incompatible(ctx, sum, &s.BlockedBy[len(s.BlockedBy)-1]); err != nil {
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

// closedHours adds Blocks if all remaining recipients wait for sending hours. It then returns when
// the last of these sending hours begin, and otherwise the zero time.
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

// incompatible fills in b.Incompatible: the accounts that cannot take over the work of the held
// account b.Account.
func (c *Client) incompatible(ctx context.Context, sum ledger.Summary, b *Block) error {
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

// hasNonePending reports whether no planned recipient waits for an account.
func hasNonePending(s *Status, account string) bool {
	for _, x := range s.ByAccount {
		if x.Account == account {
			return x.Pending == 0
		}
	}
	return false
}

// farAhead is longer than the longest time for which a worker itself defers a batch.
const farAhead = 90 * time.Second

// deferredByGateway adds a Block if the gateway has deferred all remaining recipients for more than
// farAhead.
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

// eta estimates when the campaign will be done. If limited is true it uses rate, the rate of the
// accounts, and otherwise the campaign's speed so far. opens, if not zero, is when sending hours
// begin.
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

// List yields the status of every campaign, the newest first, without BlockedBy, ETA and Rate.
// Campaigns that are removed during the call may be missing.
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

// Wait blocks until the campaign has ended (Status.Ended) and returns its last status. Wait returns
// an error if ctx ends first or Redis cannot be read. A paused campaign has not ended.
func (c *Client) Wait(ctx context.Context, id string) (Status, error) {
	for s, err := range c.Watch(ctx, id) {
		if err != nil || s.Ended() {
			return s, err
		}
	}
	return Status{}, fmt.Errorf("wait for %s: %w", id, context.Cause(ctx))
}

// Watch yields the status at once and then after every poll interval (WithPollInterval). It stops
// when the caller stops, when ctx ends, or after it has yielded an error.
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
			if ctx.Err() != nil { // select may choose the tick although ctx has ended
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
