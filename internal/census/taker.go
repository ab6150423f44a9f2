package census

import (
	"context"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// Taker takes censuses. The sweeper calls Begin, then Note for each open campaign, then End. Set the
// exported fields before the first use. A Taker is not safe for concurrent use.
type Taker struct {
	Store    *Store
	Accounts *accounts.Store
	Ledger   *ledger.Ledger
	// Tasks counts the wake-ups in the queues of the named accounts.
	Tasks func(ctx context.Context, accounts []string) (map[string]int, error)

	now       time.Time
	taken     time.Time // when the last census was taken
	counted   time.Time // when doubtful calls were last counted
	campaigns map[campaign.State]int
	waiting   map[place]*waiting
	doubtful  map[string]map[string]int // doubtful calls by campaign and account
	open      map[string]bool           // campaigns of this census
	ended     ledger.EndedCount
}

type place struct {
	account string
	class   campaign.Class
}

// The type "waiting" is the backlog of one account and class. The field "since" is the
// earliest time at which a campaign with such a backlog became due.
type waiting struct {
	messages int
	since    time.Time
}

const (
	// The constant "every" is the minimum time between two censuses.
	every = 2 * time.Second
	// doubtfulEvery is how often doubtful calls are counted. A count reads the batches of all campaigns that have calls in
	// flight.
	doubtfulEvery = 10 * time.Second
	// endedStep is how many ended campaigns one census reads.
	endedStep = 500
)

// Begin begins a census if a census is due. It reports whether it has begun one.
func (t *Taker) Begin(now time.Time) bool {
	if !t.taken.IsZero() && now.Sub(t.taken) < every && now.After(t.taken) {
		return false
	}
	t.now, t.taken = now, now
	t.campaigns, t.waiting, t.open = map[campaign.State]int{}, map[place]*waiting{}, map[string]bool{}
	if t.doubtful == nil {
		t.doubtful = map[string]map[string]int{}
	}
	return true
}

// Note counts one open campaign. Its backlog at an account is the number of recipients that wait for the
// account, unless the campaign is paused, begins later, or is outside its sending hours at this account.
// Before planning, only a campaign that names its account has a backlog.
func (t *Taker) Note(ctx context.Context, sum ledger.Summary) error {
	t.open[sum.ID] = true
	if sum.State == campaign.Done || sum.State == campaign.Cancelled {
		return nil // the method End counts the campaigns that have ended
	}
	t.campaigns[sum.State]++
	err := t.noteDoubtful(ctx, sum)
	if sum.State != campaign.Planning && sum.State != campaign.Sending {
		return err
	}
	class := sum.Spec.Class
	if class == "" {
		class = campaign.Marketing
	}
	since := sum.CreatedAt
	if sum.StartAt.After(since) {
		since = sum.StartAt
	}
	counts := sum.ByAccount
	if len(counts) == 0 && sum.Spec.Via != "" {
		counts = []campaign.AccountCounts{{Account: sum.Spec.Via, Counts: campaign.Counts{Pending: sum.Pending}}}
	}
	for _, c := range counts {
		open, opened := t.hours(sum, c.Account)
		if c.Pending <= 0 || !open {
			continue
		}
		p := place{c.Account, class}
		w := t.waiting[p]
		if w == nil {
			w = &waiting{since: t.now}
			t.waiting[p] = w
		}
		w.messages += c.Pending
		due := since
		if opened.After(due) {
			due = opened
		}
		if due.Before(w.since) {
			w.since = due
		}
	}
	return err
}

// The method "hours" reports whether a campaign is within its sending hours at an account. It knows the hours only from
// claims that were refused because of them. The result "opened" is when the hours last began. It is zero if no claim
// was refused because of sending hours.
func (t *Taker) hours(sum ledger.Summary, account string) (open bool, opened time.Time) {
	streams, closed := 0, 0
	for _, s := range sum.Streams {
		if s.Account != account {
			continue
		}
		streams++
		if s.ClosedUntil.After(t.now) {
			closed++
		} else if s.ClosedUntil.After(opened) {
			opened = s.ClosedUntil
		}
	}
	return streams == 0 || closed < streams, opened
}

// noteDoubtful counts the doubtful calls of a campaign, once every doubtfulEvery. It reads nothing for a campaign
// without calls in flight. Most campaigns have no calls in flight.
func (t *Taker) noteDoubtful(ctx context.Context, sum ledger.Summary) error {
	if sum.InFlight.Recipients == 0 {
		delete(t.doubtful, sum.ID)
		return nil
	}
	if !t.counted.IsZero() && t.now.Sub(t.counted) < doubtfulEvery && t.now.After(t.counted) {
		return nil
	}
	n, err := ledger.DoubtfulCalls(ctx, t.Ledger, sum.ID)
	if err == nil {
		t.doubtful[sum.ID] = n
	}
	return err
}

// End completes the census and stores it.
func (t *Taker) End(ctx context.Context) error {
	if t.counted.IsZero() || t.now.Sub(t.counted) >= doubtfulEvery || t.now.Before(t.counted) {
		t.counted = t.now
	}
	c := Census{At: t.now, Campaigns: t.campaigns}
	doubtful := map[string]int{}
	for id, calls := range t.doubtful {
		if !t.open[id] {
			delete(t.doubtful, id)
			continue
		}
		for account, n := range calls {
			doubtful[account] += n
		}
	}
	var err error
	if t.ended, err = t.Ledger.Index().CountEnded(ctx, t.ended, endedStep); err != nil {
		return err
	}
	c.Campaigns[campaign.Done], c.Campaigns[campaign.Cancelled] = t.ended.Done, t.ended.Cancelled
	if c.Workers, err = t.Accounts.LiveWorkers(ctx); err != nil {
		return err
	}
	published, err := t.Accounts.All(ctx)
	if err != nil {
		return err
	}
	loads, err := t.Store.Loads(ctx, t.now)
	if err != nil {
		return err
	}
	var demands []Demand
	var names []string
	for _, a := range published {
		names = append(names, a.Name)
		x := t.account(a)
		x.Doubtful = doubtful[a.Name]
		c.Accounts = append(c.Accounts, x)
		demands = append(demands, demandOf(a, x, loads[a.Name]))
	}
	c.Desired = Desired(demands)
	if c.Tasks, err = t.Tasks(ctx, names); err != nil {
		return err
	}
	return t.Store.Save(ctx, c)
}

// account returns the part of the census about one account.
func (t *Taker) account(a accounts.Account) Account {
	x := Account{Name: a.Name, Provider: a.Provider, Rate: a.Rate, Held: kindOf(a.Hold), Backlog: map[campaign.Class]int{}, Oldest: map[campaign.Class]float64{}}
	for _, class := range []campaign.Class{campaign.Marketing, campaign.Transactional} {
		if w := t.waiting[place{a.Name, class}]; w != nil {
			x.Backlog[class], x.Oldest[class] = w.messages, max(0, t.now.Sub(w.since).Seconds())
		}
	}
	if m, ok := accounts.Money(a.Balance); ok {
		age := max(0, t.now.Sub(a.BalanceAt).Seconds())
		x.Credit, x.CreditAge = &m.Amount, &age
	}
	return x
}

// demandOf returns the demand of an account for workers. The backlog of a class counts only if the account's hold
// does not stop that class.
func demandOf(a accounts.Account, x Account, l Load) Demand {
	d := Demand{Rate: a.Rate, Concurrency: a.Concurrency, PerCall: 1, UnitsPerCall: 1, P95: l.P95}
	for class, n := range x.Backlog {
		if !a.Hold.Stops(class) {
			d.Backlog += n
		}
	}
	if l.Calls > 0 {
		d.PerCall, d.UnitsPerCall = float64(l.Recipients)/float64(l.Calls), float64(l.Units)/float64(l.Calls)
		return d
	}
	d.PerCall = max(1, min(float64(a.Info.MaxRecipients), float64(d.Backlog)))
	if a.Unit != campaign.UnitRequests {
		d.UnitsPerCall = d.PerCall
	}
	return d
}
