// Package usage counts in Redis what was sent in each month: messages, segments and cost, by account,
// sender ID and key of the HTTP API. The ledger has the totals of each campaign. count.lua compares
// these with the totals that it counted before, and adds the difference to the month. So even if a
// process crashes, no message is counted twice and no message is lost.
package usage

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
)

// All keys have one hash tag. So one script can change both the usage of a month and the counted totals of
// a campaign.
const keyPrefix = script.KeyPrefix + "{usage}:"

func monthKey(month string) string { return keyPrefix + month }
func stateKey(id string) string    { return keyPrefix + "c:" + id }

const (
	// monthForm is the form of a month, such as "2025-11".
	monthForm = "2006-01"
	// KeptMonths is how many months are kept in addition to the current month.
	KeptMonths = 24
	// stateLife is how long the state of a removed campaign is kept. A count may have begun before the
	// campaign was removed. stateLife is longer than such a count can take.
	stateLife = time.Hour
	// Others is used when a month has its maximum number of rows. Usage that needs a further row is then added to
	// a row whose sender ID is Others.
	Others = "(others)"
	// maxMarks is the maximum number of campaigns that a Store remembers.
	maxMarks = 100_000
	// senderLife is how long a Store remembers the default sender ID of an account.
	senderLife = 10 * time.Second
)

// Store counts and reads usage. It is safe for concurrent use, even by several processes.
type Store struct {
	ledger   *ledger.Ledger
	scripts  *script.Runner
	accounts *accounts.Store

	mu      sync.Mutex
	counted map[string]mark // by campaign
	senders map[string]defaultSender
}

// The type "mark" holds the counts of a campaign when a Store last counted it.
type mark struct {
	upload             string
	messages, segments int
}

type defaultSender struct {
	sender string
	read   time.Time
}

// New returns the Store in the Redis of a ledger.
func New(l *ledger.Ledger) *Store {
	return &Store{ledger: l, scripts: l.Runner(), accounts: accounts.New(l.Runner()), counted: map[string]mark{}, senders: map[string]defaultSender{}}
}

// Purge counts a campaign for the last time and removes it from the ledger, as ledger.Purge does. The result
// is true if Purge removed something.
func (s *Store) Purge(ctx context.Context, id string, before time.Time) (bool, error) {
	sum, err := s.ledger.Summary(ctx, id)
	switch {
	case errors.Is(err, ledger.ErrNotFound):
		// the campaign is removed already, but the indexes may still have its ID
	case err != nil:
		return false, err
	case sum.FinishedAt.IsZero() || sum.FinishedAt.After(before):
		return s.ledger.Purge(ctx, id, before)
	default:
		now, err := s.ledger.Now(ctx)
		if err != nil {
			return false, err
		}
		if err := s.Count(ctx, sum, now); err != nil {
			return false, err
		}
	}
	gone, err := s.ledger.Purge(ctx, id, before)
	if err != nil || !gone {
		return gone, err
	}
	return true, s.outlive(ctx, id)
}

// Row is the usage of one month by one account, sender ID and key.
type Row struct {
	Month  string // such as "2025-11"
	Sender string
	// KeyID and Key are the ID and name of the key of the HTTP API. Both are empty for other programs.
	KeyID, Key string
	campaign.Usage
}

// Months returns the months from first to last, in UTC, such as "2025-11". It returns at most
// KeptMonths+2 months.
func Months(first, last time.Time) (out []string) {
	at := time.Date(first.UTC().Year(), first.UTC().Month(), 1, 0, 0, 0, 0, time.UTC)
	for ; !at.After(last) && len(out) <= KeptMonths+1; at = at.AddDate(0, 1, 0) {
		out = append(out, at.Format(monthForm))
	}
	return out
}

// Read returns the usage of some months, sorted by month, account, sender ID, key and currency.
func (s *Store) Read(ctx context.Context, months ...string) ([]Row, error) {
	answers := make([]*redis.MapStringStringCmd, len(months))
	if len(months) == 0 {
		return nil, nil
	}
	_, err := s.scripts.Redis().Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, m := range months {
			answers[i] = p.HGetAll(ctx, monthKey(m))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	var out []Row
	for i, a := range answers {
		for name, numbers := range a.Val() {
			r := Row{Month: months[i]}
			part, n := strings.Split(name, "\t"), strings.Fields(numbers)
			if len(part) != 5 || len(n) != 3 {
				return nil, fmt.Errorf("read usage of %s: a row cannot be read", months[i])
			}
			r.Account, r.Sender, r.KeyID, r.Key, r.Currency = part[0], part[1], part[2], part[3], part[4]
			r.Messages, r.Segments, r.Cost = script.Int(n[0]), script.Int(n[1]), int64(script.Int(n[2]))
			out = append(out, r)
		}
	}
	slices.SortFunc(out, func(a, b Row) int {
		return cmp.Or(strings.Compare(a.Month, b.Month), strings.Compare(a.Account, b.Account), strings.Compare(a.Sender, b.Sender),
			strings.Compare(a.Key, b.Key), strings.Compare(a.KeyID, b.KeyID), strings.Compare(a.Currency, b.Currency))
	})
	return out, nil
}
