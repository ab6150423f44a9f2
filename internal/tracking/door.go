package tracking

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/attempts"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/reconcile"
	"github.com/tuma-sms/tuma/providers"
)

// DoorAccount is an account whose delivery reports are collected.
type DoorAccount struct {
	Name string
	Info providers.Info
	// For is how long a report waits for its message.
	For time.Duration
	// Count counts reports by result. It may be nil. If several accounts have the same login, the Count of the
	// first account is used for all of these accounts.
	Count func(r Result, n int)
}

// Door takes the delivery reports of several accounts. One run of the scripts handles many
// reports. A Door is safe for concurrent use, even by several processes.
type Door struct {
	ledger *ledger.Ledger
	index  *Index
	log    zerolog.Logger
	// The map "logins" has one entry for each login. The map "accounts" has one entry for each account.
	logins   map[string]*collector
	accounts map[string]*collector
	counts   counts
}

// NewDoor returns the Door of the given accounts. The Door calls the function "applied" after final
// reports were applied. This function may be nil (Config.Applied). NewDoor sends nothing to Redis.
func NewDoor(l *ledger.Ledger, log zerolog.Logger, list []DoorAccount, applied func(context.Context, []Applied)) *Door {
	d := &Door{ledger: l, index: NewIndex(l.Runner()), log: log, logins: map[string]*collector{}, accounts: map[string]*collector{}}
	for _, a := range list {
		login := a.Info.Fingerprint
		if d.logins[login] == nil {
			calls := &reconcile.Tracker{Attempts: attempts.New(l.Runner()), Ledger: l, Log: log, Info: a.Info}
			d.logins[login] = &collector{tracker: New(Config{Ledger: l, Log: log, Login: login, For: a.For, Calls: calls, Count: d.counter(a), Applied: applied})}
		}
		d.accounts[a.Name] = d.logins[login]
	}
	return d
}

// counter returns a function that counts the reports of an account.
func (d *Door) counter(a DoorAccount) func(Result, int) {
	return func(r Result, n int) {
		d.counts.add(r, n)
		if a.Count != nil {
			a.Count(r, n)
		}
	}
}

// Deliver applies or parks the delivery reports of one callback. It returns nil only after Redis has
// stored the final reports with the ledger's durability. Deliver ignores reports of an account whose
// reports are not collected. The parameter "call" is the name of the call in the URL of the callback
// (CallName), or "".
func (d *Door) Deliver(ctx context.Context, account, call string, list []providers.DLR) error {
	c := d.accounts[account]
	if c == nil || len(list) == 0 {
		return nil
	}
	reports := make([]Report, len(list))
	for i, r := range list {
		reports[i] = Report{DLR: r, Call: call}
	}
	return c.deliver(ctx, reports)
}

const (
	// lookEvery is the time between two checks of parked reports.
	lookEvery = time.Second
	// expireEvery is the time between two removals of old segments, and between two log lines.
	expireEvery = time.Minute
	// enterLeftEvery is the time between two searches for the noted message IDs of dead workers (EnterLeft).
	enterLeftEvery = 10 * time.Second
)

// Run checks parked reports until ctx ends. It also enters the noted message IDs of dead workers in the
// index, and removes the expired segments of the index. Once a minute it logs the outcomes of the reports.
func (d *Door) Run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	var expired, entered time.Time
	for {
		select {
		case <-ctx.Done():
			d.counts.log(d.log)
			return
		case <-tick.C:
		}
		for _, c := range d.logins {
			d.lookAgain(ctx, c.tracker)
		}
		if time.Since(entered) > enterLeftEvery {
			entered = time.Now()
			d.enterLeft(ctx)
		}
		if time.Since(expired) > expireEvery {
			expired = time.Now()
			d.counts.log(d.log)
			d.logFailure(ctx, d.index.Expire(ctx))
		}
	}
}

// lookAgain checks the parked reports of a login that are due.
func (d *Door) lookAgain(ctx context.Context, t *Tracker) {
	for ctx.Err() == nil {
		n, err := t.LookAgain(ctx)
		if err != nil && ctx.Err() == nil {
			d.log.WithLevel(outage.Level(err, zerolog.WarnLevel)).Err(err).Msg("could not look at parked delivery reports; will retry")
		}
		if err != nil || n < dueAtOnce {
			return
		}
	}
}

// enterLeft adds the noted message IDs of dead workers to the index, for all logins.
func (d *Door) enterLeft(ctx context.Context) {
	for _, c := range d.logins {
		_, err := c.tracker.EnterLeft(ctx)
		d.logFailure(ctx, err)
	}
}

// logFailure logs the error of an update of the index, unless the error is nil or ctx has ended.
func (d *Door) logFailure(ctx context.Context, err error) {
	if err != nil && ctx.Err() == nil {
		d.log.WithLevel(outage.Level(err, zerolog.WarnLevel)).Err(err).Msg("could not bring the index of message ids up to date; will retry")
	}
}

// collector applies the reports of concurrent callbacks together.
type collector struct {
	tracker *Tracker

	mu    sync.Mutex
	queue []*delivery
	busy  int // runs in progress
	// ahead is how far Redis' clock was ahead of this machine's clock at the time in the field "read".
	ahead time.Duration
	read  time.Time
}

// delivery has the reports of one callback. The result is sent to the channel "done".
type delivery struct {
	reports []Report // without their time
	done    chan error
}

const (
	// reportsAtOnce is the approximate number of reports that one run applies.
	reportsAtOnce = 256
	// maxRuns is the maximum number of simultaneous runs of one login. While Redis works on one
	// run, reports for the next run are collected.
	maxRuns = 2
	// runTimeout bounds one run.
	runTimeout = 10 * time.Second
)

// deliver applies reports together with those of other callers. If ctx ends first, deliver returns
// the context's error. The reports may be applied even then.
func (c *collector) deliver(ctx context.Context, reports []Report) error {
	x := &delivery{reports, make(chan error, 1)}
	c.mu.Lock()
	c.queue = append(c.queue, x)
	if c.busy < maxRuns {
		c.busy++
		go c.run()
	}
	c.mu.Unlock()
	select {
	case err := <-x.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// The method "run" applies the queued reports until the queue is empty.
func (c *collector) run() {
	for {
		group, reports := c.next()
		if len(group) == 0 {
			return
		}
		results, err := c.apply(reports)
		at := 0
		for _, x := range group {
			failed := err
			if errors.Is(err, ErrParkedFull) && !slices.Contains(results[at:at+len(x.reports)], "") {
				failed = nil // all reports of this callback are stored, so the gateway need not repeat this callback
			}
			at += len(x.reports)
			x.done <- failed
		}
	}
}

// The method "next" takes the next deliveries from the queue. If the queue is empty, the run ends.
func (c *collector) next() (group []*delivery, reports []Report) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.queue) > 0 && len(reports) < reportsAtOnce {
		group, reports = append(group, c.queue[0]), append(reports, c.queue[0].reports...)
		c.queue = c.queue[1:]
	}
	if len(group) == 0 {
		c.busy--
	}
	return group, reports
}

func (c *collector) apply(reports []Report) ([]Result, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runTimeout)
	defer cancel()
	now, err := c.now(ctx)
	if err != nil {
		return nil, err
	}
	for i := range reports {
		reports[i].At = now
	}
	return c.tracker.Apply(ctx, reports)
}

// clockEvery is how often a collector reads Redis' clock. Between two readings it uses the clock
// of its machine.
const clockEvery = 10 * time.Second

// now returns the time by Redis' clock.
func (c *collector) now(ctx context.Context) (time.Time, error) {
	c.mu.Lock()
	ahead, read := c.ahead, c.read
	c.mu.Unlock()
	if !read.IsZero() && time.Since(read) < clockEvery {
		return time.Now().Add(ahead), nil
	}
	now, err := c.tracker.ledger.Now(ctx)
	if err != nil {
		return now, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead, c.read = time.Until(now), time.Now()
	return now, nil
}

// counts has the number of reports by result since the last log line.
type counts struct {
	mu sync.Mutex
	n  map[Result]int
}

func (c *counts) add(r Result, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[Result]int{}
	}
	c.n[r] += n
}

// The method "log" logs the counts if a report was counted. Then it sets them to zero.
func (c *counts) log(log zerolog.Logger) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.n) == 0 {
		return
	}
	e := log.Info()
	for _, r := range []Result{Delivered, Undelivered, Pending, Duplicate, Parked, Unmatched} {
		e = e.Int(string(r), c.n[r])
	}
	e.Msg("delivery reports")
	c.n = nil
}
