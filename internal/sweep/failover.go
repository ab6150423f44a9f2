package sweep

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/planning"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/wake"
)

// maxFailoverBatches is the maximum number of batches of a campaign that one sweep examines at each
// held account. The next sweep continues with the batches after these.
const maxFailoverBatches = 128

// failoverState holds the states of the accounts during one sweep. The field "next" is kept from
// sweep to sweep. For each stream of a held account, it has the number of the planned batch at
// which the next sweep continues.
type failoverState struct {
	accounts map[string]accounts.Account
	next     map[failoverPlace]int
}

type failoverPlace struct {
	id     string
	stream int
}

func (m *failoverState) newSweep() { m.accounts = map[string]accounts.Account{} }

// The method "account" returns the state of the account with the given name. It reads each state once a sweep. For an
// account that no worker has published, it returns the zero Account and no error.
func (m *failoverState) account(ctx context.Context, store *accounts.Store, name string) (accounts.Account, error) {
	if a, ok := m.accounts[name]; ok {
		return a, nil
	}
	a, err := store.Account(ctx, name)
	if err != nil && !errors.Is(err, accounts.ErrNoAccount) {
		return a, err
	}
	m.accounts[name] = a
	return a, nil
}

// HeldLong reports whether campaigns of the class move their work away from the account. They do if
// the account has been held for these campaigns for at least the duration "after", and the hold is
// not by an operator. An operator who holds an account also decides when its work resumes. If
// "after" is not positive, work never fails over.
func HeldLong(a accounts.Account, class campaign.Class, after time.Duration, now time.Time) bool {
	return after > 0 && a.Hold.Stops(class) && !a.Hold.Until.IsZero() && now.Sub(a.Hold.Since) >= after
}

// SkipInPlanning reports whether planning skips the account, because its work would fail over. If
// the probe of an account is due, planning does not skip the account, because the probe needs a
// waiting call.
func SkipInPlanning(a accounts.Account, class campaign.Class, after time.Duration, now time.Time) bool {
	return HeldLong(a, class, after, now) && now.Before(a.Hold.Until)
}

// failoverRun moves one campaign's work away from one held account.
type failoverRun struct {
	sweeper *Sweeper
	id      string
	camp    *wake.Campaign
	from    int // the index of the stream from which work is taken
	// The set "targets" has the indexes of the accounts that can take the work. The map "room" has, for each
	// stream, how many more batches the stream can take.
	targets map[int]bool
	room    map[int]int
	// openBatchLimit is the open-batch limit of the held account. The field "moved" is the number
	// of recipients moved so far.
	openBatchLimit int
	moved          int
}

// failOver moves the waiting work of accounts that have been held for long to the next accounts of the campaign's
// routes. It moves only as much work as these next accounts can send soon. The remaining work stays, because the held
// account may recover before a next account can send it.
func (s *Sweeper) failOver(ctx context.Context, sum ledger.Summary, c *wake.Campaign, openBatchLimits map[int]int, now time.Time) error {
	if len(c.Snapshot.Routes) == 0 || len(c.Snapshot.Accounts) < 2 || sum.StoppedBy != "" || sum.RetryRecord != "" || s.FailoverAfter() < 0 {
		return nil
	}
	var held []int
	targets := map[int]bool{}
	for n, f := range c.Snapshot.Accounts {
		a, err := s.failovers.account(ctx, s.Accounts, f.Name)
		if err != nil {
			return err
		}
		switch {
		case HeldLong(a, c.Spec.Class, s.FailoverAfter(), now):
			if sum.ByAccount == nil || sum.ByAccount[n].Pending > 0 {
				held = append(held, n)
			}
		case !a.Hold.Stops(c.Spec.Class) && a.Workers > 0 && len(a.Incompatibilities(c.Spec.From, c.Spec.ShortBody(), c.Spec.Flash)) == 0:
			targets[n] = true
		}
	}
	if len(held) == 0 || len(targets) == 0 {
		return nil
	}
	waiting, err := s.Ledger.Waiting(ctx, sum.ID, c.Snapshot.Streams())
	if err != nil {
		return err
	}
	room := map[int]int{}
	for stream := range c.Snapshot.Streams() {
		if !targets[stream%len(c.Snapshot.Accounts)] {
			continue
		}
		// A stream may take as many batches as its open-batch limit, which is enough work until the next sweep. A
		// stream whose planned batches are all handed out may take twice as many batches.
		if room[stream] = openBatchLimits[stream]; waiting.Next[stream] >= waiting.Planned[stream] {
			room[stream] *= 2
		}
	}
	for _, b := range waiting.Open {
		if n, err := campaign.BatchStream(b); err == nil {
			room[n]--
		}
	}
	for n := range c.Snapshot.Streams() {
		if !slices.Contains(held, n%len(c.Snapshot.Accounts)) {
			continue
		}
		m := &failoverRun{sweeper: s, id: sum.ID, camp: c, from: n, targets: targets, room: room, openBatchLimit: openBatchLimits[n]}
		if err := m.moveAll(ctx, waiting, now); err != nil {
			return err
		}
		if m.moved > 0 {
			s.Meter.Repaired(RepairFailover)
			s.Log.Info().Str("campaign", m.id).Str("account", c.Snapshot.Stream(n).Account.Name).Int("recipients", m.moved).Msg("work failed over, because the account has been held for long")
		}
	}
	return nil
}

// moveAll moves open batches first, and then planned batches that are not open yet.
func (m *failoverRun) moveAll(ctx context.Context, waiting *ledger.Waiting, now time.Time) error {
	looked := 0
	for _, b := range waiting.Open {
		if n, err := campaign.BatchStream(b); err != nil || n != m.from {
			continue
		}
		if looked++; looked > maxFailoverBatches || !m.roomLeft() {
			return nil
		}
		if err := m.moveBatch(ctx, b, now); err != nil {
			return err
		}
	}
	place := failoverPlace{m.id, m.from}
	next := max(waiting.Next[m.from], m.sweeper.failovers.next[place])
	for ; next < waiting.Planned[m.from]; next++ {
		if looked++; looked > maxFailoverBatches || !m.roomLeft() {
			m.sweeper.failovers.resumeAt(place, next)
			return nil
		}
		if err := m.moveBatch(ctx, campaign.BatchName(m.from, next), now); err != nil {
			return err
		}
	}
	delete(m.sweeper.failovers.next, place)
	return nil
}

// maxPlaces is the maximum number of streams for which the sweeper remembers a place: the number of
// the batch at which the next sweep continues. When this maximum is exceeded, the sweeper forgets
// all places, and the next sweep starts at the first batch of each forgotten stream.
const maxPlaces = 1000

func (m *failoverState) resumeAt(p failoverPlace, next int) {
	if m.next == nil || len(m.next) >= maxPlaces {
		m.next = map[failoverPlace]int{}
	}
	m.next[p] = next
}

func (m *failoverRun) roomLeft() bool {
	for a := range m.targets {
		if m.room[m.camp.Snapshot.SameHoursFor(m.from, a)] > 0 {
			return true
		}
	}
	return false
}

// moveBatch moves recipients of a batch to other accounts of their routes. It moves each
// recipient that may fail over.
func (m *failoverRun) moveBatch(ctx context.Context, batch string, now time.Time) error {
	part, err := m.sweeper.Ledger.Movable(ctx, m.id, batch, now)
	if errors.Is(err, ledger.ErrNotFound) || ledger.AsUnreadable(err) != nil || err == nil && len(part.To) == 0 {
		return nil //nolint:nilerr // the worker of the batch quarantines what is unreadable
	}
	if err != nil {
		return err
	}
	if part.Upload != m.camp.Upload {
		m.sweeper.Campaigns.Forget(m.id) // another campaign has taken the ID
		return nil
	}
	out, err := m.sweeper.Ledger.Move(ctx, m.id, script.NewToken(), part, m.camp.Snapshot, m.openBatchLimit, func(p campaign.Planned, body string) int {
		return m.target(p, body, part.Been)
	})
	if ledger.AsUnreadable(err) != nil {
		return nil //nolint:nilerr // the worker of the batch quarantines what is unreadable
	}
	if err != nil {
		return err
	}
	m.moved += out.Count
	var wakes []ledger.Wake
	for _, x := range out.Wakes {
		// Drop the wake-ups of the next batches of the held account, because these batches are
		// moved next.
		if n, err := campaign.BatchStream(x.Batch); err == nil && n != m.from {
			m.room[n]--
			wakes = append(wakes, x)
		}
	}
	return m.sweeper.Waker.All(ctx, m.id, m.camp, wakes)
}

// The method "target" returns the index of the account to which a recipient moves. It is the first account of the
// route that can take work, accepts the body, and has not had the recipient before. If this account has no room, or
// if no account fits, target returns -1, and the recipient stays where it is.
func (m *failoverRun) target(p campaign.Planned, body string, been []int) int {
	for _, name := range planning.RouteOf(m.camp.Snapshot, p.MSISDN.String()) {
		n := planning.AccountNumber(m.camp.Snapshot, name)
		if n < 0 || !m.targets[n] || slices.ContainsFunc(been, func(stream int) bool { return stream%len(m.camp.Snapshot.Accounts) == n }) ||
			!m.camp.Snapshot.Accounts[n].AcceptsBody(body) {
			continue
		}
		if m.room[m.camp.Snapshot.SameHoursFor(m.from, n)] <= 0 {
			return -1
		}
		return n
	}
	return -1
}
