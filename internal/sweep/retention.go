package sweep

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/ledger"
)

const (
	// retireFor is how long a sweep may spend on deleting campaigns past retention.
	retireFor = time.Second
	// retireEvery is the time between two searches for campaigns past retention.
	retireEvery = time.Minute
)

// The method "retire" deletes campaigns and single messages whose retention is over. It spends at most retireFor on
// each kind. The result "more" is true if some of these campaigns or messages may be left.
func (s *Sweeper) retire(ctx context.Context, now time.Time) (more bool, err error) {
	before := now.Add(-s.Retention())
	more, err = s.retireKind(ctx, false, before)
	if err != nil {
		return false, err
	}
	moreMessages, err := s.retireKind(ctx, true, now.Add(-s.MessageRetention))
	if err != nil {
		return false, err
	}
	return more || moreMessages, s.retireAccounts(ctx, before)
}

// retireKind deletes campaigns of one kind that ended before the given time. If the parameter "messages" is
// true, this kind is single messages. Otherwise it is all other campaigns. retireKind takes at most retireFor.
func (s *Sweeper) retireKind(ctx context.Context, messages bool, before time.Time) (more bool, err error) {
	until := time.Now().Add(retireFor)
	for more = true; more && time.Now().Before(until); {
		if more, err = s.retireSome(ctx, messages, before); err != nil {
			return false, err
		}
	}
	return more, nil
}

// retireAccounts deletes accounts that no worker has served since the time "before". It keeps
// accounts that an operator holds, and accounts whose rate an operator has set.
func (s *Sweeper) retireAccounts(ctx context.Context, before time.Time) error {
	accounts, err := s.Accounts.All(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if a.LastSeen.IsZero() || a.LastSeen.After(before) || a.RateSet || a.Hold.Held() && a.Hold.Until.IsZero() {
			continue
		}
		if err := s.Accounts.Forget(ctx, a.Name); err != nil {
			return err
		}
		s.Log.Info().Str("account", a.Name).Msg("account deleted, because no worker has served it within the retention")
	}
	return nil
}

// retireSome examines the thousand oldest campaigns, or single messages, of the index and deletes
// those that ended before the given time. The result "some" is true if at least one was deleted.
func (s *Sweeper) retireSome(ctx context.Context, messages bool, before time.Time) (some bool, err error) {
	ids, err := s.Ledger.Index().Before(ctx, messages, before)
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		gone, err := s.Usage.Purge(ctx, id, before)
		if errors.Is(err, ledger.ErrNewer) || ledger.AsUnreadable(err) != nil {
			continue
		}
		if err != nil {
			return false, err
		}
		if gone {
			some = true
			level := zerolog.InfoLevel
			if messages {
				level = zerolog.DebugLevel
			}
			s.Log.WithLevel(level).Str("campaign", id).Msg("campaign deleted: past retention")
		}
	}
	return some, nil
}
