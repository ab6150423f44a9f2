package worker

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/drain"
)

// peers implements redisguard.Peers. It records in Redis that this worker has handled a restart of
// Redis. It also reads which other workers of the same accounts have not handled that restart yet.
type peers struct{ *Worker }

// ConfirmRun implements redisguard.Peers.
func (p peers) ConfirmRun(ctx context.Context, run string, longestCall time.Duration) error {
	return p.cards.ConfirmRun(ctx, p.cfg.Name, run, longestCall, slices.Collect(maps.Keys(p.accounts)))
}

// Unconfirmed implements redisguard.Peers.
func (p peers) Unconfirmed(ctx context.Context, run string) ([]string, time.Duration, error) {
	return p.cards.Unconfirmed(ctx, p.cfg.Name, run, slices.Collect(maps.Keys(p.accounts)))
}

// confirmEvery is how often a worker checks whether Redis restarted. A worker without work must
// also check, because after a restart the other workers wait for the settles of this worker.
const confirmEvery = 250 * time.Millisecond

// confirmRedis repeats the recent settles of this worker if Redis restarted. It sends a command to
// Redis only if the Redis client has opened a connection since confirmRedis last succeeded.
func (w *Worker) confirmRedis(ctx context.Context) error {
	_, err := w.guard.Confirm(ctx)
	if errors.Is(err, drain.ErrDraining) {
		return nil // finishRedis repeats the settles after the worker has drained
	}
	return err
}

// finishRedis repeats the recent settles of a worker that has drained, if Redis restarted while the
// worker drained.
func (w *Worker) finishRedis() {
	select {
	case <-w.stop.Killed():
		return
	default:
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := w.guard.Finish(ctx); err != nil {
		w.log.WithLevel(w.levelOf(err, zerolog.WarnLevel)).Err(err).Msg("redis may have restarted, and this worker could not repeat its recent settles before it ended")
	}
}

// closeReports completes the index of message IDs when the worker has drained: it adds the IDs that
// the worker has not written yet. If closeReports fails, `tuma serve` adds these IDs later.
func (w *Worker) closeReports() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for _, a := range w.accounts {
		if a.sending.Reports == nil {
			continue
		}
		if err := a.sending.Reports.Close(ctx); err != nil {
			w.log.WithLevel(w.levelOf(err, zerolog.WarnLevel)).Err(err).Str("account", a.Name).Msg("could not index message ids before the worker ended; tuma serve indexes them")
		}
	}
}

// statusEventsEvery is how long the events about recipients are collected before they are written.
const statusEventsEvery = 100 * time.Millisecond

// closeStatuses runs after the worker has drained. It writes the events about recipients that are
// still in memory.
func (w *Worker) closeStatuses() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := w.statuses.Flush(ctx); err != nil {
		w.log.WithLevel(w.levelOf(err, zerolog.WarnLevel)).Err(err).Msg("some status events were not written")
	}
}
