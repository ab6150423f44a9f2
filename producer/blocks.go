package producer

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// explainBlocks sets the fields BlockedBy, ETA and Rate of s. The result "rate" is the rate of all accounts in
// messages a second. It is 0 if an account has no worker, has no limit, or counts in a unit other than messages.
func (c *Client) explainBlocks(ctx context.Context, sum ledger.Summary, s *Status) (rate float64, err error) {
	if s.State == Paused {
		s.BlockedBy = append(s.BlockedBy, Block{Reason: "paused", By: sum.PausedBy, Since: timeOrNil(sum.PausedAt)})
	}
	names, err := c.mayUse(ctx, sum)
	if err != nil {
		return 0, err
	}
	if len(names) == 0 {
		s.BlockedBy = append(s.BlockedBy, Block{Reason: "no_route"})
	}
	limited := len(names) > 0
	var waiting []string
	for _, name := range names {
		if s.State == Sending && hasNonePending(s, name) {
			continue // a held account without work of this campaign delays nothing
		}
		waiting = append(waiting, name)
		a, err := c.accounts.Account(ctx, name)
		if errors.Is(err, accounts.ErrNoAccount) || err == nil && a.Workers == 0 {
			s.BlockedBy = append(s.BlockedBy, Block{Account: name, Reason: "no_worker", Since: timeOrNil(a.LastSeen)})
			limited = false
			continue
		}
		if err != nil {
			return 0, err
		}
		if a.Hold.Stops(sum.Spec.Class) {
			s.BlockedBy = append(s.BlockedBy, Block{Account: name, Reason: a.Hold.Reason, Code: a.Hold.Code, By: a.Hold.By,
				Since: timeOrNil(a.Hold.Since), Until: timeOrNil(a.Hold.Until)})
			if err := c.incompatible(ctx, sum, &s.BlockedBy[len(s.BlockedBy)-1]); err != nil {
				return 0, err
			}
		}
		limited = limited && a.Rate > 0 && a.Unit == "messages"
		s.Rate += a.Rate
	}
	if err := c.pausedQueues(ctx, sum, s, waiting); err != nil {
		return 0, err
	}
	free := len(s.BlockedBy) == 0
	opens := c.closedHours(sum, s)
	if err := c.deferredByGateway(ctx, s); err != nil {
		return 0, err
	}
	if limited {
		rate = s.Rate
	}
	if free && limited && (len(s.BlockedBy) == 0 || !opens.IsZero()) {
		s.ETA = c.eta(sum, rate, opens)
	}
	return rate, nil
}

// mayUse returns the names of the campaign's accounts. Before planning, these are the accounts that
// planning may choose.
func (c *Client) mayUse(ctx context.Context, sum ledger.Summary) ([]string, error) {
	if len(sum.Accounts) > 0 {
		return sum.Accounts, nil
	}
	if sum.Spec.Via != "" {
		return []string{sum.Spec.Via}, nil
	}
	routes, err := c.routesInForce(ctx)
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

// closedHours checks whether all remaining recipients wait for sending hours. In that case it
// adds a Block for each stream, and returns the latest of the times at which these sending
// hours begin. Otherwise it returns the zero time.
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

// incompatible sets b.Incompatible to the accounts that cannot take over the work of the held
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
			a, err := c.accounts.Account(ctx, name)
			if errors.Is(err, accounts.ErrNoAccount) {
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

// hasNonePending reports whether no planned recipient of the campaign waits for the given account.
func hasNonePending(s *Status, account string) bool {
	for _, x := range s.ByAccount {
		if x.Account == account {
			return x.Pending == 0
		}
	}
	return false
}

// farAhead is more than the longest time for which a worker defers a batch by its own decision. So if a
// batch is deferred for more than farAhead, the gateway has requested the delay.
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

// eta estimates when the campaign will be done. The parameter "rate" is the rate of the accounts in
// messages a second. The parameter "opens" is the result of closedHours.
func (c *Client) eta(sum ledger.Summary, rate float64, opens time.Time) *time.Time {
	from := c.now().UTC()
	if sum.StartAt.After(from) {
		from = sum.StartAt.UTC()
	}
	if opens.After(from) {
		from = opens.UTC()
	}
	var e campaign.Estimator
	at := e.Add(campaign.ProgressReading{At: from, Left: sum.Pending, Rate: rate})
	return timeOrNil(at.Truncate(time.Second))
}
