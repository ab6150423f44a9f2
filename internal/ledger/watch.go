package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

// stoppedWatch is the longest time until the sweeper checks work whose worker does not know that the
// campaign was stopped.
const stoppedWatch = 5 * time.Second

// Watch sets the next time at which the sweeper checks a batch or the plan. The parameter "stopped" is
// true if the caller knows that the campaign was stopped. If it is false and the campaign was stopped
// meanwhile, that time is at most stoppedWatch ahead, so that the campaign can end. For closed work
// Watch does nothing.
func (l *Ledger) Watch(ctx context.Context, id, batch string, at time.Time, stopped bool) error {
	_, err := l.scripts.Run(ctx, watchScript, []string{ledgerKey(id), openKey(id)}, script.Args(watchArgs{Batch: batch, At: at, AtMost: stoppedWatch, Stopped: stopped})...)
	if err != nil {
		return fmt.Errorf("watch %s of %s: %w", batch, id, err)
	}
	return nil
}

// watchArgs are the arguments of watch.lua.
type watchArgs struct {
	Batch   string
	At      time.Time
	AtMost  time.Duration
	Stopped bool
}
