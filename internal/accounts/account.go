package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// Account is a card with the current state of the account.
type Account struct {
	campaign.Card
	// Workers is how many workers serve the account now. Slots is how many calls those workers can
	// make at once in total.
	Workers, Slots int
	LastSeen       time.Time
	// Campaigns is how many campaigns send through the account. The last sweep has counted them.
	Campaigns    int
	Hold         Hold
	Balance      string
	BalanceAt    time.Time
	LastAccepted time.Time
	// RateSet is true if Rate and Burst were set by hand. Configured is the rate in the
	// configuration.
	RateSet    bool
	Configured float64
	// ConfiguredBurst is the burst in the configuration. It is 0 if the configuration does not set a
	// burst.
	ConfiguredBurst int
	// Bad is the number of consecutive calls with an outcome other than CallOK.
	Bad int
	// InForceBy is the name of the worker whose card is in force. It may be empty. InForceSince
	// is the time at which the card last changed. Differences lists the settings of live workers
	// that differ from the settings in force. Only the method "All" adds the differences in the
	// settings that all accounts share.
	InForceBy    string
	InForceSince time.Time
	Differences  []Difference
}

// Hold is the reason why no call is claimed for an account. The zero value means that the
// account is not held.
type Hold struct {
	Reason string // one word, e.g. credit
	Code   string // the gateway's code, or empty
	By     string // "worker", or the name of the person or program
	Since  time.Time
	// Until is the time at which the hold may end with a probe. The zero time means that the hold
	// lasts until the account is released by hand.
	Until time.Time
	// BulkOnly is true if the hold does not stop transactional campaigns.
	BulkOnly bool
}

// Held reports whether h holds the account. The zero Hold does not.
func (h Hold) Held() bool { return h.Reason != "" }

// Stops reports whether h stops campaigns of the given class.
func (h Hold) Stops(class campaign.Class) bool {
	return h.Held() && !(h.BulkOnly && class == campaign.Transactional)
}

// WorkerLife is how long a worker counts as serving an account after the worker's last Publish.
const WorkerLife = 15 * time.Second

// workerRecordLife is how long a worker's record is kept after the worker's last Publish.
const workerRecordLife = time.Hour

// workerField is the prefix of the names of the fields that hold the record of a worker.
const workerField = "w:"

// forgetWorkers removes the records of workers that have published nothing for workerRecordLife.
// Otherwise workers that crash again and again would make the hashes grow.
func (s *Store) forgetWorkers(ctx context.Context, offers []Offer) error {
	now, err := s.scripts.Now(ctx)
	if err != nil {
		return err
	}
	keys := []string{settingsKey}
	for _, o := range offers {
		keys = append(keys, Key(o.Card.Name))
	}
	for _, key := range keys {
		f, err := s.rdb.HGetAll(ctx, key).Result()
		if err != nil {
			return fmt.Errorf("forget workers: %w", err)
		}
		for k, v := range f {
			at, _, _ := strings.Cut(v, " ")
			if !strings.HasPrefix(k, workerField) || now.Sub(script.Milli(at)) < workerRecordLife {
				continue
			}
			if err := s.rdb.HDel(ctx, key, k, "r:"+strings.TrimPrefix(k, workerField), "l:"+strings.TrimPrefix(k, workerField)).Err(); err != nil {
				return fmt.Errorf("forget workers: %w", err)
			}
		}
	}
	return nil
}

// EndProbe ends a probe that made no call. The next caller can then probe the account at once,
// without waiting until the unused probe expires.
func (s *Store) EndProbe(ctx context.Context, account string) error {
	if err := s.rdb.HDel(ctx, Key(account), "probe_until").Err(); err != nil {
		return fmt.Errorf("end probe of account %s: %w", account, err)
	}
	return nil
}

// Withdraw records that the worker does not serve the account any more. Redis keeps the card until the retention is
// over.
func (s *Store) Withdraw(ctx context.Context, worker, account string) error {
	if err := s.rdb.HDel(ctx, Key(account), workerField+worker, "r:"+worker, "l:"+worker).Err(); err != nil {
		return fmt.Errorf("withdraw account %s: %w", account, err)
	}
	return nil
}

// WithdrawSettings records that the worker has stopped. The settings that it has put in force stay
// in force until another worker starts.
func (s *Store) WithdrawSettings(ctx context.Context, worker string) error {
	if err := s.rdb.HDel(ctx, settingsKey, workerField+worker).Err(); err != nil {
		return fmt.Errorf("withdraw settings: %w", err)
	}
	return nil
}

// Forget removes an account that no worker serves any more. If a worker publishes a card for the
// account later, the account exists again.
func (s *Store) Forget(ctx context.Context, name string) error {
	if err := s.rdb.SRem(ctx, indexKey, name).Err(); err != nil {
		return fmt.Errorf("forget account %s: %w", name, err)
	}
	if err := s.rdb.Unlink(ctx, Key(name)).Err(); err != nil {
		return fmt.Errorf("forget account %s: %w", name, err)
	}
	return nil
}

// Names returns the names of all published accounts, sorted.
func (s *Store) Names(ctx context.Context) ([]string, error) {
	names, err := s.rdb.SMembers(ctx, indexKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// All returns all published accounts, sorted by name. The Differences of each account include the
// differences in the settings that all accounts share.
func (s *Store) All(ctx context.Context) ([]Account, error) {
	names, err := s.Names(ctx)
	if err != nil {
		return nil, err
	}
	shared, err := s.rdb.HGetAll(ctx, settingsKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	out := make([]Account, 0, len(names))
	for _, n := range names {
		a, read, err := s.account(ctx, n)
		if errors.Is(err, ErrNoAccount) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for _, w := range liveSettings(shared, read.at) {
			if read.served[w.worker] {
				a.Differences = append(a.Differences, ofWorker(w.worker, w.start, w.settings.Against(read.inForce))...)
			}
		}
		slices.SortStableFunc(a.Differences, func(x, y Difference) int { return strings.Compare(x.Worker, y.Worker) })
		out = append(out, a)
	}
	return out, nil
}

// ErrNoAccount means that no worker has published an account of that name.
var ErrNoAccount = errors.New("no such account")

// Account reads one account. It returns ErrNoAccount if the account was never published.
func (s *Store) Account(ctx context.Context, name string) (Account, error) {
	a, _, err := s.account(ctx, name)
	return a, err
}

// accountReading holds what was read together with an account.
type accountReading struct {
	indexed bool            // the index of accounts contains the name of this account
	inForce InForce         // the settings in force, without cards
	served  map[string]bool // the live workers that serve the account
	at      time.Time       // the time at which the account was read, by Redis' clock
}

func (s *Store) account(ctx context.Context, name string) (Account, accountReading, error) {
	// A worker writes a card before it enters the card in the index. But in a cluster the commands of one
	// read run in any order, so a read can find the entry and miss the card. A second read finds the card.
	a, read, err := s.readAccount(ctx, name)
	if read.indexed && errors.Is(err, ErrNoAccount) {
		return s.readAccount(ctx, name)
	}
	return a, read, err
}

// readAccount reads an account once.
func (s *Store) readAccount(ctx context.Context, name string) (a Account, read accountReading, err error) {
	var member *redis.BoolCmd
	var fields *redis.MapStringStringCmd
	var shared *redis.SliceCmd
	var clock *redis.TimeCmd
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		member, fields = p.SIsMember(ctx, indexKey, name), p.HGetAll(ctx, Key(name))
		shared, clock = p.HMGet(ctx, settingsKey, "settings", "since"), p.Time(ctx)
		return nil
	})
	if err != nil {
		return a, read, fmt.Errorf("read account %s: %w", name, err)
	}
	f, now := fields.Val(), clock.Val()
	read.indexed, read.at, read.served = member.Val(), now, map[string]bool{}
	if !read.indexed || f["card"] == "" {
		return a, read, fmt.Errorf("read account %s: %w", name, ErrNoAccount)
	}
	if err := json.Unmarshal([]byte(f["card"]), &a.Card); err != nil {
		return a, read, fmt.Errorf("read account %s: card: %w", name, err)
	}
	if v := shared.Val(); v[0] != nil {
		if err := json.Unmarshal([]byte(script.Text(v[0])), &read.inForce.Settings); err != nil {
			return a, read, fmt.Errorf("read account %s: settings: %w", name, err)
		}
		read.inForce.Since = script.Milli(script.Text(v[1]))
		a.Obey(read.inForce.Settings)
	}
	a.Differences, a.InForceBy, a.InForceSince = limitDifferences(f, a.Card, now), f["by"], script.Milli(f["since"])
	return a, read, a.setState(f, &read)
}

// Obey sets the fields whose values apply to the whole cluster. Windows is not nil afterwards:
// an empty map means that marketing may be sent at any hour.
func (a *Account) Obey(in Settings) {
	a.Country, a.Windows = in.Country, in.Windows
	if a.Windows == nil {
		a.Windows = map[string]string{}
	}
}

// setState sets the state of the account from f, the fields of its hash. It also adds the live
// workers that serve the account to the field "served" of the parameter "read".
func (a *Account) setState(f map[string]string, read *accountReading) error {
	a.Configured, a.ConfiguredBurst = a.Rate, int(a.Burst)
	if set := f["rate"]; set != "" {
		if _, err := fmt.Sscan(set, &a.Rate, &a.Burst); err != nil {
			return fmt.Errorf("read account %s: rate %.40q: %w", a.Name, set, campaign.ErrRecord)
		}
		a.RateSet = true
	}
	a.LastSeen, a.Campaigns = script.Milli(f["seen"]), script.Int(f["campaigns"])
	for k, v := range f {
		worker, ok := strings.CutPrefix(k, workerField)
		if words := strings.Fields(v); ok && len(words) > 1 && read.at.Sub(script.Milli(words[0])) < WorkerLife {
			a.Workers++
			a.Slots += script.Int(words[1])
			read.served[worker] = true
		}
	}
	a.Hold = Hold{Reason: f["hold"], Code: f["hold_code"], By: f["hold_by"], Since: script.Milli(f["hold_at"]), Until: script.Milli(f["hold_until"]),
		BulkOnly: f["hold_bulk"] == "1"}
	if !a.Hold.Held() {
		a.Hold = Hold{}
	}
	a.Balance, a.BalanceAt = f["balance"], script.Milli(f["balance_at"])
	a.LastAccepted, a.Bad = script.Milli(f["ok_at"]), script.Int(f["bad"])
	return nil
}

// SetBalance stores the balance that the gateway reported, with the current time.
func (s *Store) SetBalance(ctx context.Context, name, balance string) error {
	now, err := s.scripts.Now(ctx)
	if err != nil {
		return err
	}
	if err := s.rdb.HSet(ctx, Key(name), "balance", balance, "balance_at", now.UnixMilli()).Err(); err != nil {
		return fmt.Errorf("store balance of account %s: %w", name, err)
	}
	return nil
}

// SetRate sets an account's rate by hand, in the format of ratelimit.Setting. An empty setting
// restores the rate of the configuration. Limiters use the new rate from their next reservation on.
func (s *Store) SetRate(ctx context.Context, name, setting string) error {
	if _, err := s.Account(ctx, name); err != nil {
		return err
	}
	var err error
	if setting == "" {
		err = s.rdb.HDel(ctx, Key(name), "rate").Err()
	} else {
		err = s.rdb.HSet(ctx, Key(name), "rate", setting).Err()
	}
	if err != nil {
		return fmt.Errorf("set rate of account %s: %w", name, err)
	}
	return nil
}

// SetCampaigns stores how many campaigns share an account. It does nothing for an account that was
// never published.
func (s *Store) SetCampaigns(ctx context.Context, name string, n int) error {
	return s.campaigns(ctx, name, func() error { return s.rdb.HSet(ctx, Key(name), "campaigns", n).Err() })
}

// AddCampaign counts one more campaign for an account, until SetCampaigns stores the exact number.
func (s *Store) AddCampaign(ctx context.Context, name string) error {
	return s.campaigns(ctx, name, func() error { return s.rdb.HIncrBy(ctx, Key(name), "campaigns", 1).Err() })
}

func (s *Store) campaigns(ctx context.Context, name string, note func() error) error {
	known, err := s.rdb.HExists(ctx, Key(name), "card").Result()
	if err == nil && known {
		err = note()
	}
	if err != nil {
		return fmt.Errorf("count campaigns of account %s: %w", name, err)
	}
	return nil
}
