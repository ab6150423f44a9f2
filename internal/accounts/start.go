package accounts

import (
	"context"
	"fmt"
	"strconv"

	"github.com/tuma-sms/tuma/internal/script"
)

// Start returns the number of a worker's start. The worker with the higher number started later,
// whatever the clocks of the workers show. The number is also the time of the start, in
// milliseconds by Redis' clock.
func (s *Store) Start(ctx context.Context) (int64, error) {
	out, err := s.scripts.Run(ctx, startScript, []string{settingsKey})
	if err != nil {
		return 0, fmt.Errorf("get the start number of the worker: %w", err)
	}
	n, err := strconv.ParseInt(out[0], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("get the start number of the worker: %w", script.ErrAnswer)
	}
	return n, nil
}
