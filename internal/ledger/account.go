package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/providers"
)

// What an account's rate counts.
const (
	UnitMessages = "messages" // recipients
	UnitSegments = "segments"
	UnitRequests = "requests"
)

// Card is what workers publish of an account for everyone else: producers
// validate against it, the CLI shows it.
type Card struct {
	Name        string         `json:"name"`
	Provider    string         `json:"provider"`
	Info        providers.Info `json:"info"`
	Rate        float64        `json:"rate"` // a second; 0: unlimited
	Burst       float64        `json:"burst,omitempty"`
	Unit        string         `json:"unit"` // UnitMessages, UnitSegments or UnitRequests
	Sender      string         `json:"sender,omitempty"`
	Concurrency int            `json:"concurrency"` // a worker
	Price       string         `json:"price,omitempty"`
	OnUnknown   string         `json:"on_unknown,omitempty"`
	Country     string         `json:"country,omitempty"`
	// Windows are the sending hours of marketing by country: "08:00-18:00".
	Windows map[string]string `json:"windows,omitempty"`
}

// Account is a card with what is known of the account right now.
type Account struct {
	Card
	// Workers serve it at the moment, Slots are their calls at once, together.
	Workers, Slots int
	LastSeen       time.Time
	// Campaigns want to send through it, by the last sweep.
	Campaigns    int
	Hold         Hold
	Balance      string
	BalanceAt    time.Time
	LastAccepted time.Time
	// RateSet: Rate and Burst were set by hand, and the configuration's rate is Configured.
	RateSet    bool
	Configured float64
	// ConfiguredBurst is the configuration's; 0: it names none.
	ConfiguredBurst int
	// Bad counts the bad answers in a row.
	Bad int
}

// Hold says why nothing is claimed for an account. The zero value: it is open.
type Hold struct {
	Reason string // one word
	Code   string // the gateway's own
	By     string // worker, or who
	Since  time.Time
	// Until is when it is tried again; zero: when it is released by hand.
	Until time.Time
}

// Held says whether there is a hold.
func (h Hold) Held() bool { return h.Reason != "" }

// WorkerLife is how long a worker that says nothing counts as serving.
const WorkerLife = 15 * time.Second

// Publish writes an account's card and that this worker serves it now.
func (l *Ledger) Publish(ctx context.Context, worker string, c Card) error {
	record, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("publish account %s: %w", c.Name, err)
	}
	now, err := l.Now(ctx)
	if err != nil {
		return err
	}
	_, err = l.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, accountKey(c.Name), "card", record, "seen", now.UnixMilli(), "w:"+worker, fmt.Sprintf("%d %d", now.UnixMilli(), c.Concurrency))
		p.SAdd(ctx, accountIndex, c.Name)
		return nil
	})
	if err != nil {
		return fmt.Errorf("publish account %s: %w", c.Name, err)
	}
	return l.forgetWorkers(ctx, c.Name, now)
}

// forgotten is how long the word of a worker that is gone is kept.
const workerRecordLife = time.Hour

// forgetWorkers removes workers that have long said nothing, so that a crash loop
// does not grow the account's hash.
func (l *Ledger) forgetWorkers(ctx context.Context, account string, now time.Time) error {
	f, err := l.rdb.HGetAll(ctx, accountKey(account)).Result()
	if err != nil {
		return fmt.Errorf("publish account %s: %w", account, err)
	}
	for k, v := range f {
		at, _, _ := strings.Cut(v, " ")
		if !strings.HasPrefix(k, "w:") || now.Sub(parseMilli(at)) < workerRecordLife {
			continue
		}
		if err := l.rdb.HDel(ctx, accountKey(account), k).Err(); err != nil {
			return fmt.Errorf("publish account %s: %w", account, err)
		}
	}
	return nil
}

// EndProbe gives back a probe that came to no call, so that the next caller need
// not wait for its time to be over.
func (l *Ledger) EndProbe(ctx context.Context, account string) error {
	if err := l.rdb.HDel(ctx, accountKey(account), "probe_until").Err(); err != nil {
		return fmt.Errorf("end probe of account %s: %w", account, err)
	}
	return nil
}

// Withdraw takes back that this worker serves an account.
func (l *Ledger) Withdraw(ctx context.Context, worker, account string) error {
	if err := l.rdb.HDel(ctx, accountKey(account), "w:"+worker).Err(); err != nil {
		return fmt.Errorf("withdraw account %s: %w", account, err)
	}
	return nil
}

// ForgetAccount removes an account that no worker serves any more; one that is
// served again comes back with its next card.
func (l *Ledger) ForgetAccount(ctx context.Context, name string) error {
	if err := l.rdb.SRem(ctx, accountIndex, name).Err(); err != nil {
		return fmt.Errorf("forget account %s: %w", name, err)
	}
	if err := l.rdb.Unlink(ctx, accountKey(name)).Err(); err != nil {
		return fmt.Errorf("forget account %s: %w", name, err)
	}
	return nil
}

// Accounts lists all accounts that workers have published, by name.
func (l *Ledger) Accounts(ctx context.Context) ([]Account, error) {
	names, err := l.rdb.SMembers(ctx, accountIndex).Result()
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	slices.Sort(names)
	out := make([]Account, 0, len(names))
	for _, n := range names {
		a, err := l.Account(ctx, n)
		if errors.Is(err, ErrNoAccount) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out = append(out, a)
	}
	return out, nil
}

// ErrNoAccount: no worker has ever published an account of that name.
var ErrNoAccount = errors.New("no such account")

// Account reads one account.
func (l *Ledger) Account(ctx context.Context, name string) (Account, error) {
	f, err := l.rdb.HGetAll(ctx, accountKey(name)).Result()
	if err != nil {
		return Account{}, fmt.Errorf("account %s: %w", name, err)
	}
	if f["card"] == "" {
		return Account{}, fmt.Errorf("account %s: %w", name, ErrNoAccount)
	}
	var a Account
	if err := json.Unmarshal([]byte(f["card"]), &a.Card); err != nil {
		return a, fmt.Errorf("account %s: card: %w", name, err)
	}
	a.Configured, a.ConfiguredBurst = a.Rate, int(a.Burst)
	if set := f["rate"]; set != "" {
		if _, err := fmt.Sscan(set, &a.Rate, &a.Burst); err != nil {
			return a, fmt.Errorf("account %s: rate %.40q: %w", name, set, errRecord)
		}
		a.RateSet = true
	}
	now, err := l.Now(ctx)
	if err != nil {
		return a, err
	}
	a.LastSeen, a.Campaigns = parseMilli(f["seen"]), fieldInt(f["campaigns"])
	for k, v := range f {
		if !strings.HasPrefix(k, "w:") {
			continue
		}
		at, slots, _ := strings.Cut(v, " ")
		seen := parseMilli(at)
		if now.Sub(seen) < WorkerLife {
			a.Workers++
			a.Slots += fieldInt(slots)
		}
	}
	a.Hold = Hold{Reason: f["hold"], Code: f["hold_code"], By: f["hold_by"], Since: parseMilli(f["hold_at"]), Until: parseMilli(f["hold_until"])}
	if !a.Hold.Held() {
		a.Hold = Hold{}
	}
	a.Balance, a.BalanceAt = f["balance"], parseMilli(f["balance_at"])
	a.LastAccepted, a.Bad = parseMilli(f["ok_at"]), fieldInt(f["bad"])
	return a, nil
}

// SetBalance notes what the gateway said of the account's credit.
func (l *Ledger) SetBalance(ctx context.Context, name, balance string) error {
	now, err := l.Now(ctx)
	if err != nil {
		return err
	}
	if err := l.rdb.HSet(ctx, accountKey(name), "balance", balance, "balance_at", now.UnixMilli()).Err(); err != nil {
		return fmt.Errorf("balance of %s: %w", name, err)
	}
	return nil
}

// AccountKey is the hash of an account, in whose field "rate" its limiter finds a rate
// that was set by hand. It shares a slot with RateKey.
func AccountKey(name string) string { return accountKey(name) }

// SetRate sets an account's rate by hand, as ratelimit.Setting writes it; empty: the
// configuration's again. Limiters follow from their next turn on.
func (l *Ledger) SetRate(ctx context.Context, name, setting string) error {
	if _, err := l.Account(ctx, name); err != nil {
		return err
	}
	var err error
	if setting == "" {
		err = l.rdb.HDel(ctx, accountKey(name), "rate").Err()
	} else {
		err = l.rdb.HSet(ctx, accountKey(name), "rate", setting).Err()
	}
	if err != nil {
		return fmt.Errorf("rate of account %s: %w", name, err)
	}
	return nil
}

// SetCampaigns notes how many campaigns share an account; one that nobody has
// published it leaves alone.
func (l *Ledger) SetCampaigns(ctx context.Context, name string, n int) error {
	return l.campaigns(ctx, name, func() error { return l.rdb.HSet(ctx, accountKey(name), "campaigns", n).Err() })
}

// AddCampaign notes that one more campaign shares an account, until SetCampaigns.
func (l *Ledger) AddCampaign(ctx context.Context, name string) error {
	return l.campaigns(ctx, name, func() error { return l.rdb.HIncrBy(ctx, accountKey(name), "campaigns", 1).Err() })
}

func (l *Ledger) campaigns(ctx context.Context, name string, note func() error) error {
	known, err := l.rdb.HExists(ctx, accountKey(name), "card").Result()
	if err == nil && known {
		err = note()
	}
	if err != nil {
		return fmt.Errorf("campaigns of %s: %w", name, err)
	}
	return nil
}

// Look is what a worker is told before it uses an account.
type AccountCheck struct {
	// Open: go on. Probe: the hold's time is over, and this caller alone may try.
	Open, Probe bool
	Reason      string
	Until       time.Time
	// BalanceBefore is the credit that was known when the account was held.
	BalanceBefore string
	// Refused is how many segments the last call had that was refused for want of
	// credit, at that balance, and RefusedAt when that was; 0: none.
	Refused   int
	RefusedAt time.Time
	// LastAccepted is when a call was last accepted.
	LastAccepted time.Time
}

// LookAt asks whether an account may be used now. probeFor is how long a probe
// may take before another caller gets the next.
func (l *Ledger) CheckAccount(ctx context.Context, name string, probeFor time.Duration) (AccountCheck, error) {
	out, err := l.evalStrings(ctx, accountCheckScript, []string{accountKey(name)}, probeFor.Milliseconds())
	if err != nil {
		return AccountCheck{}, fmt.Errorf("look at account %s: %w", name, err)
	}
	if out[0] == "open" && len(out) > 1 {
		return AccountCheck{Open: true, LastAccepted: parseMilli(out[1])}, nil
	}
	if len(out) < 6 {
		return AccountCheck{}, fmt.Errorf("look at account %s: %w", name, errAnswer)
	}
	return AccountCheck{Probe: out[0] == "probe", Reason: out[1], Until: parseMilli(out[2]), BalanceBefore: out[3],
		Refused: fieldInt(out[4]), RefusedAt: parseMilli(out[5])}, nil
}

// Went is how a call or probe went, for the account.
type CallOutcome string

// The ways a call can go.
const (
	CallOK   CallOutcome = "ok"   // the gateway took something
	CallBad  CallOutcome = "bad"  // counts for the breaker
	CallHold CallOutcome = "hold" // holds at once
)

// Back-off of an automatic hold: doubled each time it is set again.
const (
	holdFirst   = 2 * time.Second
	holdLongest = 5 * time.Minute
	// creditLongest is for want of credit where the balance can be asked, which spares
	// the call: a top-up is to be seen soon.
	creditLongest = 30 * time.Second
)

// CallReport is how one call or probe went.
type CallReport struct {
	Outcome CallOutcome
	// Claimed is when the call was claimed; zero: a probe, just now.
	Claimed time.Time
	// Reason is one word of ours, Code the gateway's own.
	Reason, Code string
	// Balance is the credit known at a hold for credit, or empty.
	Balance string
	// Size is how many segments a call had that was refused for want of credit; 0: the
	// balance alone was asked, or it is about something else.
	Size int
	// Jitter is a random number from 0 to 1, for the back-off.
	Jitter float64
	// Calls is how many went well, where several are reported at once; Claimed is when the
	// last of them was. 0 is 1.
	Calls int
}

// Report tells an account how a call went. It returns the hold, if there is one.
func (l *Ledger) ReportCall(ctx context.Context, name string, r CallReport) (Hold, error) {
	longest := holdLongest
	if r.Reason == string(providers.CauseCredit) && r.Balance != "" {
		longest = creditLongest
	}
	out, err := l.evalStrings(ctx, accountReportScript, []string{accountKey(name)}, string(r.Outcome), unixMilli(r.Claimed), r.Reason, r.Code,
		holdFirst.Milliseconds(), longest.Milliseconds(), strconv.FormatFloat(r.Jitter, 'f', 6, 64), r.Balance, r.Size, max(1, r.Calls))
	if err != nil {
		return Hold{}, fmt.Errorf("report to account %s: %w", name, err)
	}
	if out[0] == "held" && len(out) > 2 {
		return Hold{Reason: out[1], Until: parseMilli(out[2])}, nil
	}
	return Hold{}, nil
}

// HoldAccount holds an account by hand until ReleaseAccount.
func (l *Ledger) HoldAccount(ctx context.Context, name, reason, by string) error {
	if _, err := l.Account(ctx, name); err != nil {
		return err
	}
	if _, err := l.evalStrings(ctx, accountHoldScript, []string{accountKey(name)}, reason, by); err != nil {
		return fmt.Errorf("hold account %s: %w", name, err)
	}
	return nil
}

// ReleaseAccount lifts any hold. It reports whether there was one.
func (l *Ledger) ReleaseAccount(ctx context.Context, name string) (bool, error) {
	if _, err := l.Account(ctx, name); err != nil {
		return false, err
	}
	out, err := l.evalStrings(ctx, accountReleaseScript, []string{accountKey(name)})
	if err != nil {
		return false, fmt.Errorf("release account %s: %w", name, err)
	}
	return out[0] == "released", nil
}

// PublishRoutes tells producers which routes workers would take; empty: none.
func (l *Ledger) PublishRoutes(ctx context.Context, routes []Route) error {
	record, err := json.Marshal(routes)
	if err != nil {
		return fmt.Errorf("publish routes: %w", err)
	}
	if err := l.rdb.Set(ctx, routesKey, record, 0).Err(); err != nil {
		return fmt.Errorf("publish routes: %w", err)
	}
	return nil
}

// Routes reads what PublishRoutes wrote.
func (l *Ledger) Routes(ctx context.Context) ([]Route, error) {
	b, err := l.rdb.Get(ctx, routesKey).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	var out []Route
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, fmt.Errorf("routes: %w", err)
	}
	return out, nil
}
