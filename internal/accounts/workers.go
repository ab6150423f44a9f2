package accounts

import (
	"context"
	"fmt"
)

// LiveWorkers returns how many workers have published within WorkerLife, by Redis' clock.
func (s *Store) LiveWorkers(ctx context.Context) (int, error) {
	now, err := s.scripts.Now(ctx)
	if err != nil {
		return 0, err
	}
	fields, err := s.rdb.HGetAll(ctx, settingsKey).Result()
	if err != nil {
		return 0, fmt.Errorf("count workers: %w", err)
	}
	return len(liveSettings(fields, now)), nil
}
