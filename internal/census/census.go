// Package census counts, for all workers together, the waiting messages, the holds and the number of
// workers that are needed. The worker that sweeps takes a census every few seconds and stores it in
// Redis. Every worker and every `tuma serve` reads this census, so that a scrape of metrics need not
// read the campaigns.
package census

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// Census is the state of all accounts and campaigns at one time.
type Census struct {
	At time.Time `json:"at"` // by Redis' clock
	// Workers is the number of live workers. Desired is how many workers can be busy. See the
	// function Desired.
	Workers int `json:"workers"`
	Desired int `json:"desired"`
	// Campaigns is the number of campaigns by state.
	Campaigns map[campaign.State]int `json:"campaigns"`
	// Tasks is the number of wake-ups in asynq's queues by state: pending, retry or archived.
	Tasks    map[string]int `json:"tasks"`
	Accounts []Account      `json:"accounts"`
}

// Account is the part of a Census about one published account.
type Account struct {
	Name     string  `json:"name"`
	Provider string  `json:"provider"`
	Rate     float64 `json:"rate"` // units a second; 0: unlimited
	// Backlog is the number of messages of each class that may be sent now. See Taker.Note. Oldest is
	// how long, in seconds, the oldest campaign with messages in the backlog has waited.
	Backlog map[campaign.Class]int     `json:"backlog,omitempty"`
	Oldest  map[campaign.Class]float64 `json:"oldest,omitempty"`
	// Held is the kind of the account's hold: one of HoldKinds, or "" if the account is open.
	Held string `json:"held,omitempty"`
	// Credit is the credit at the gateway, in the gateway's unit. CreditAge is the age of this value
	// in seconds. Both are nil if the gateway does not report a credit.
	Credit    *float64 `json:"credit,omitempty"`
	CreditAge *float64 `json:"credit_age,omitempty"`
	// Doubtful is the number of calls that the gateway may have taken, and that have no known
	// outcome yet.
	Doubtful int `json:"doubtful,omitempty"`
}

const (
	censusKey = script.KeyPrefix + "census" // JSON of the last Census
	loadKey   = script.KeyPrefix + "load"   // a hash in Redis: the name of each worker, with its Load
	// keepFor is how long Redis keeps a census that no worker renews.
	keepFor = 24 * time.Hour
	// loadLife is how long a load counts after its worker last stored it. A worker stores its load
	// every few seconds. The load of a worker that has ended still counts for this time, because it
	// shows how fast the gateways answer.
	loadLife = 15 * time.Minute
)

// Store stores censuses and loads in Redis. It is safe for concurrent use.
type Store struct{ rdb redis.UniversalClient }

// NewStore returns a Store in the Redis of a Runner.
func NewStore(r *script.Runner) *Store { return &Store{rdb: r.Redis()} }

// Save replaces the stored census.
func (s *Store) Save(ctx context.Context, c Census) error {
	text, err := json.Marshal(c)
	if err == nil {
		err = s.rdb.Set(ctx, censusKey, text, keepFor).Err()
	}
	if err != nil {
		return fmt.Errorf("store census: %w", err)
	}
	return nil
}

// Last returns the stored census and its age by Redis' clock. The result "ok" is false if Redis has
// no census.
func (s *Store) Last(ctx context.Context) (c Census, age time.Duration, ok bool, err error) {
	var text *redis.StringCmd
	var clock *redis.TimeCmd
	_, err = s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		text, clock = p.Get(ctx, censusKey), p.Time(ctx)
		return nil
	})
	if errors.Is(text.Err(), redis.Nil) && clock.Err() == nil {
		return c, 0, false, nil
	}
	if err == nil {
		err = json.Unmarshal([]byte(text.Val()), &c)
	}
	if err != nil {
		return Census{}, 0, false, fmt.Errorf("read census: %w", err)
	}
	return c, clock.Val().Sub(c.At), true, nil
}

// SaveLoad stores the load of each account of a worker.
func (s *Store) SaveLoad(ctx context.Context, worker string, now time.Time, loads map[string]Load) error {
	text, err := json.Marshal(workerLoad{At: now.UnixMilli(), Accounts: loads})
	if err == nil {
		err = s.rdb.HSet(ctx, loadKey, worker, text).Err()
	}
	if err != nil {
		return fmt.Errorf("store load: %w", err)
	}
	return nil
}

// workerLoad is the stored load of a worker.
type workerLoad struct {
	At       int64           `json:"at"` // ms since 1970
	Accounts map[string]Load `json:"a"`
}

// Loads returns the load of each account, over all workers. It removes the loads of workers that have
// not stored a load for loadLife.
func (s *Store) Loads(ctx context.Context, now time.Time) (map[string]Load, error) {
	all, err := s.rdb.HGetAll(ctx, loadKey).Result()
	if err != nil {
		return nil, fmt.Errorf("read loads: %w", err)
	}
	out := map[string]Load{}
	var old []string
	for worker, text := range all {
		var w workerLoad
		if json.Unmarshal([]byte(text), &w) != nil || now.Sub(time.UnixMilli(w.At)) > loadLife {
			old = append(old, worker)
			continue
		}
		for name, l := range w.Accounts {
			out[name] = out[name].plus(l)
		}
	}
	if len(old) > 0 {
		if err := s.rdb.HDel(ctx, loadKey, old...).Err(); err != nil {
			return nil, fmt.Errorf("remove outdated worker loads: %w", err)
		}
	}
	return out, nil
}
