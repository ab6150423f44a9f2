package accounts

import (
	"context"
	"fmt"

	"github.com/tuma-sms/tuma/internal/script"
)

// Synced is the result of Sync.
type Synced struct {
	// Published has the names of the accounts that Sync published. Kept has the names of the accounts
	// that Sync did not change, because a live worker serves them.
	Published, Kept []string
	// Settings is true if the settings were published. Sync does not publish settings while a worker
	// is live.
	Settings bool
}

// Sync publishes accounts and settings without a worker, so that campaigns can be enqueued before a
// worker runs. Sync does not change an account that a live worker serves, because the values of the
// worker that started last are in force. The next worker that starts replaces what Sync has
// published.
func (s *Store) Sync(ctx context.Context, offers []Offer, own Settings) (out Synced, err error) {
	fields, err := s.rdb.HGetAll(ctx, settingsKey).Result()
	if err != nil {
		return out, fmt.Errorf("read settings: %w", err)
	}
	now, err := s.scripts.Now(ctx)
	if err != nil {
		return out, err
	}
	var names []any
	for _, o := range offers {
		name := o.Card.Name
		f, err := s.rdb.HGetAll(ctx, Key(name)).Result()
		if err != nil {
			return out, fmt.Errorf("read account %s: %w", name, err)
		}
		var state Account
		read := accountReading{at: now, served: map[string]bool{}}
		if err := state.setState(f, &read); err != nil {
			return out, err
		}
		if state.Workers > 0 {
			out.Kept = append(out.Kept, name)
			continue
		}
		// A worker that has started meanwhile has a higher start number. So this call does not replace its card.
		if _, _, err := s.publishCard(ctx, "", int64(script.Int(f["start"])), o); err != nil {
			return out, fmt.Errorf("publish account %s: %w", name, err)
		}
		out.Published, names = append(out.Published, name), append(names, name)
	}
	if len(names) > 0 {
		if err := s.rdb.SAdd(ctx, indexKey, names...).Err(); err != nil {
			return out, fmt.Errorf("publish accounts: %w", err)
		}
	}
	if len(liveSettings(fields, now)) > 0 {
		return out, nil
	}
	out.Settings = true
	_, err = s.PublishAll(ctx, "", int64(script.Int(fields["start"])), nil, own)
	return out, err
}
