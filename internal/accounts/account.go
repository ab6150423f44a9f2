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
	// Campaigns is how many campaigns send through the account, as counted by the last sweep.
	Campaigns    int
	Hold         Hold
	Balance      string
	BalanceAt    time.Time
	LastAccepted time.Time
	// RateSet reports whether Rate and Burst were set by hand. Configured is the rate of the
	// configuration.
	RateSet    bool
	Configured float64
	// ConfiguredBurst is the burst of the configuration; 0: the configuration sets no burst.
	ConfiguredBurst int
	// Bad is the number of consecutive calls with an outcome other than CallOK.
	Bad int
}

// Hold describes why no call is claimed for an account. The zero value means that the account is
// open.
type Hold struct {
	Reason string // one word, e.g. credit
	Code   string // the gateway's code, or empty
	By     string // "worker", or the name of the person or program
	Since  time.Time
	// Until is the time at which the hold may end with a probe. The zero time means that the hold
	// lasts until the account is released by hand.
	Until time.Time
}

// Held reports whether h holds the account, i.e. is not the zero value.
func (h Hold) Held() bool { return h.Reason != "" }

// WorkerLife is how long after its last Publish a worker still counts as serving an account.
const WorkerLife = 15 * time.Second

// Publish writes an account's card, and records that the worker serves the account now.
func (s *Store) Publish(ctx context.Context, worker string, c campaign.Card) error {
	record, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("publish account %s: %w", c.Name, err)
	}
	now, err := s.scripts.Now(ctx)
	if err != nil {
		return err
	}
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, Key(c.Name), "card", record, "seen", now.UnixMilli(), "w:"+worker, fmt.Sprintf("%d %d", now.UnixMilli(), c.Concurrency))
		p.SAdd(ctx, indexKey, c.Name)
		return nil
	})
	if err != nil {
		return fmt.Errorf("publish account %s: %w", c.Name, err)
	}
	return s.forgetWorkers(ctx, c.Name, now)
}

// workerRecordLife is how long a worker's record is kept after the worker's last Publish.
const workerRecordLife = time.Hour

// forgetWorkers removes the records of workers that have published nothing for workerRecordLife.
// Without it, workers that crash again and again would make the account's hash grow.
func (s *Store) forgetWorkers(ctx context.Context, account string, now time.Time) error {
	f, err := s.rdb.HGetAll(ctx, Key(account)).Result()
	if err != nil {
		return fmt.Errorf("publish account %s: %w", account, err)
	}
	for k, v := range f {
		at, _, _ := strings.Cut(v, " ")
		if !strings.HasPrefix(k, "w:") || now.Sub(script.Milli(at)) < workerRecordLife {
			continue
		}
		if err := s.rdb.HDel(ctx, Key(account), k).Err(); err != nil {
			return fmt.Errorf("publish account %s: %w", account, err)
		}
	}
	return nil
}

// EndProbe ends a probe that made no call. The next caller can then probe the account without
// waiting for the end of the probe's time.
func (s *Store) EndProbe(ctx context.Context, account string) error {
	if err := s.rdb.HDel(ctx, Key(account), "probe_until").Err(); err != nil {
		return fmt.Errorf("end probe of account %s: %w", account, err)
	}
	return nil
}

// Withdraw records that the worker no longer serves the account.
func (s *Store) Withdraw(ctx context.Context, worker, account string) error {
	if err := s.rdb.HDel(ctx, Key(account), "w:"+worker).Err(); err != nil {
		return fmt.Errorf("withdraw account %s: %w", account, err)
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

// All returns all published accounts, sorted by name.
func (s *Store) All(ctx context.Context) ([]Account, error) {
	names, err := s.rdb.SMembers(ctx, indexKey).Result()
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", err)
	}
	slices.Sort(names)
	out := make([]Account, 0, len(names))
	for _, n := range names {
		a, err := s.Account(ctx, n)
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

// ErrNoAccount means that no worker has published an account of that name.
var ErrNoAccount = errors.New("no such account")

// Account reads one account. It returns ErrNoAccount if the account was never published.
func (s *Store) Account(ctx context.Context, name string) (Account, error) {
	f, err := s.rdb.HGetAll(ctx, Key(name)).Result()
	if err != nil {
		return Account{}, fmt.Errorf("read account %s: %w", name, err)
	}
	if f["card"] == "" {
		return Account{}, fmt.Errorf("read account %s: %w", name, ErrNoAccount)
	}
	var a Account
	if err := json.Unmarshal([]byte(f["card"]), &a.Card); err != nil {
		return a, fmt.Errorf("read account %s: card: %w", name, err)
	}
	a.Configured, a.ConfiguredBurst = a.Rate, int(a.Burst)
	if set := f["rate"]; set != "" {
		if _, err := fmt.Sscan(set, &a.Rate, &a.Burst); err != nil {
			return a, fmt.Errorf("read account %s: rate %.40q: %w", name, set, campaign.ErrRecord)
		}
		a.RateSet = true
	}
	now, err := s.scripts.Now(ctx)
	if err != nil {
		return a, err
	}
	a.LastSeen, a.Campaigns = script.Milli(f["seen"]), script.Int(f["campaigns"])
	for k, v := range f {
		if !strings.HasPrefix(k, "w:") {
			continue
		}
		at, slots, _ := strings.Cut(v, " ")
		seen := script.Milli(at)
		if now.Sub(seen) < WorkerLife {
			a.Workers++
			a.Slots += script.Int(slots)
		}
	}
	a.Hold = Hold{Reason: f["hold"], Code: f["hold_code"], By: f["hold_by"], Since: script.Milli(f["hold_at"]), Until: script.Milli(f["hold_until"])}
	if !a.Hold.Held() {
		a.Hold = Hold{}
	}
	a.Balance, a.BalanceAt = f["balance"], script.Milli(f["balance_at"])
	a.LastAccepted, a.Bad = script.Milli(f["ok_at"]), script.Int(f["bad"])
	return a, nil
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

// PublishRoutes stores the routes of the workers' configuration, which producers read. An empty
// list means that there are no routes.
func (s *Store) PublishRoutes(ctx context.Context, routes []campaign.Route) error {
	record, err := json.Marshal(routes)
	if err != nil {
		return fmt.Errorf("publish routes: %w", err)
	}
	if err := s.rdb.Set(ctx, routesKey, record, 0).Err(); err != nil {
		return fmt.Errorf("publish routes: %w", err)
	}
	return nil
}

// Routes reads what PublishRoutes stored. It returns nil if nothing was stored.
func (s *Store) Routes(ctx context.Context) ([]campaign.Route, error) {
	b, err := s.rdb.Get(ctx, routesKey).Bytes()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	var out []campaign.Route
	if err := json.Unmarshal(b, &out); err != nil {
		return nil, fmt.Errorf("read routes: %w", err)
	}
	return out, nil
}
