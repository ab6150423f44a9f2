package accounts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// Settings are the settings that all workers of a cluster share, in addition to the accounts.
// The settings of the worker that started last are in force for all workers and producers.
type Settings struct {
	// Country is the ISO code of the country to which numbers in national form belong. It is empty
	// if no country is set.
	Country string `json:"country,omitempty"`
	// Windows are the sending hours of marketing campaigns by country, e.g. "08:00-18:00".
	Windows       map[string]string `json:"windows,omitempty"`
	Routes        []campaign.Route  `json:"routes,omitempty"`
	Retention     time.Duration     `json:"retention,omitempty"`
	FailoverAfter time.Duration     `json:"failover_after,omitempty"`
}

// Limits are the settings of an account that have one value for all workers. This value comes
// from the worker that started last among those that serve the account.
type Limits struct {
	Rate  float64 `json:"rate"` // units a second; 0: unlimited
	Burst float64 `json:"burst,omitempty"`
	Unit  string  `json:"unit"`
}

// Offer is an account as a worker publishes it.
type Offer struct {
	Card campaign.Card
	// Limit is the rate and burst of the card in the format of ratelimit.Setting. If it is empty,
	// each limiter keeps its own rate and burst.
	Limit string
}

// InForce are the settings and cards in force.
type InForce struct {
	Settings Settings
	// By is the name of the worker that set the settings, or empty. Since is the time at which the
	// settings last changed.
	By       string
	Since    time.Time
	Revision string // the revision changes whenever settings or cards in force have changed
	Cards    map[string]CardInForce
}

// CardInForce is the card in force of an account.
type CardInForce struct {
	Card  campaign.Card
	By    string    // name of the worker that published the card, or empty
	Since time.Time // when it last changed
}

// PublishAll publishes the accounts and the settings of a worker, and records that the worker
// serves these accounts now. The parameter "start" is the number that the method Start returned. The
// number 0 counts as earlier than the start of any worker. If the parameter "worker" is empty, no
// worker is recorded. PublishAll returns the settings and cards that are in force afterwards.
//
// The settings become visible first. Then all new accounts become visible at the same moment. So
// the routes in the settings may name accounts that are not visible yet.
func (s *Store) PublishAll(ctx context.Context, worker string, start int64, offers []Offer, own Settings) (InForce, error) {
	record, err := json.Marshal(own)
	if err != nil {
		return InForce{}, fmt.Errorf("publish settings: %w", err)
	}
	args := settingsArgs{Worker: worker, Start: strconv.FormatInt(start, 10), Settings: record, Cards: "0"}
	// Write the settings first, so that a producer that finds a card also finds the default country.
	answer, err := s.publishSettings(ctx, args)
	if err != nil {
		return InForce{}, err
	}
	out, changed, err := s.publishCards(ctx, worker, start, offers)
	if err != nil {
		return out, err
	}
	if changed { // publish once more: the revision must grow after the cards have changed, because other workers read the cards when the revision grows
		args.Cards = "1"
		if answer, err = s.publishSettings(ctx, args); err != nil {
			return out, err
		}
	}
	if err := json.Unmarshal([]byte(answer[0]), &out.Settings); err != nil {
		return out, fmt.Errorf("read settings: %w", err)
	}
	out.By, out.Since, out.Revision = answer[1], script.Milli(answer[2]), answer[3]
	return out, nil
}

// publishSettings runs settings.lua and returns its answer, which has four elements.
func (s *Store) publishSettings(ctx context.Context, args settingsArgs) ([]string, error) {
	answer, err := s.scripts.Run(ctx, settingsScript, []string{settingsKey}, script.Args(args)...)
	if err != nil {
		return nil, fmt.Errorf("publish settings: %w", err)
	}
	if len(answer) < 4 {
		return nil, fmt.Errorf("publish settings: %w", script.ErrAnswer)
	}
	return answer, nil
}

// settingsArgs are the arguments of settings.lua.
type settingsArgs struct {
	Worker, Start string
	Settings      []byte
	Cards         string
}

// Revision returns the revision of the settings and cards in force, or an empty string if no
// settings are in force.
func (s *Store) Revision(ctx context.Context) (string, error) {
	rev, err := s.rdb.HGet(ctx, settingsKey, "rev").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", fmt.Errorf("read settings: %w", err)
	}
	return rev, nil
}

// Settings returns the settings in force, and the time since which they are in force. ok is false if
// no settings were published yet.
func (s *Store) Settings(ctx context.Context) (in InForce, ok bool, err error) {
	f, err := s.rdb.HMGet(ctx, settingsKey, "settings", "by", "since", "rev").Result()
	if err != nil {
		return in, false, fmt.Errorf("read settings: %w", err)
	}
	if f[0] == nil {
		return in, false, nil
	}
	if err := json.Unmarshal([]byte(script.Text(f[0])), &in.Settings); err != nil {
		return in, false, fmt.Errorf("read settings: %w", err)
	}
	in.By, in.Since, in.Revision = script.Text(f[1]), script.Milli(script.Text(f[2])), script.Text(f[3])
	return in, true, nil
}

// PublishRoutes replaces the routes of the settings in force.
func (s *Store) PublishRoutes(ctx context.Context, routes []campaign.Route) error {
	in, _, err := s.Settings(ctx)
	if err != nil {
		return err
	}
	in.Settings.Routes = routes
	_, err = s.PublishAll(ctx, "", 0, nil, in.Settings)
	return err
}

// Routes returns the routes in force. It returns nil if no routes are in force.
func (s *Store) Routes(ctx context.Context) ([]campaign.Route, error) {
	in, _, err := s.Settings(ctx)
	return in.Settings.Routes, err
}

// workerSettings are the settings of a live worker.
type workerSettings struct {
	worker   string
	start    time.Time
	settings Settings
}

// liveSettings returns the settings of each live worker from the fields of the settings hash. It
// omits a record that it cannot read because a newer release wrote it.
func liveSettings(fields map[string]string, now time.Time) (out []workerSettings) {
	for k, v := range fields {
		worker, ok := strings.CutPrefix(k, workerField)
		words := strings.SplitN(v, " ", 3)
		if !ok || len(words) < 3 || now.Sub(script.Milli(words[0])) >= WorkerLife {
			continue
		}
		w := workerSettings{worker: worker, start: script.Milli(words[1])}
		if json.Unmarshal([]byte(words[2]), &w.settings) == nil {
			out = append(out, w)
		}
	}
	return out
}
