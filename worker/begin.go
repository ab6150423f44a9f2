package worker

import (
	"context"
	"errors"
	"time"

	"github.com/hibiken/asynq"

	"github.com/tuma-sms/tuma/internal/redisguard"
)

// The method "begin" checks Redis, publishes the accounts and starts the servers that take tasks.
// If Config.WaitForRedis is true and a step fails for a temporary reason, the method repeats the
// step. It returns as soon as ctx ends. If it returns an error, no server runs.
func (w *Worker) begin(ctx context.Context) ([]*asynq.Server, error) {
	for {
		published, err := w.prepare(ctx)
		switch {
		case ctx.Err() != nil:
			if published {
				w.withdraw()
			}
			return nil, ctx.Err()
		case err != nil && (!w.cfg.WaitForRedis || !redisguard.MayPass(err)):
			return nil, err
		}
		w.readiness.Note(err)
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(redisCheckEvery):
		}
	}
	servers := w.servers()
	for i, s := range servers {
		if err := s.Start(asynq.HandlerFunc(w.handle)); err != nil {
			shutdown(servers[:i])
			return nil, err
		}
	}
	return servers, nil
}

// redisCheckEvery is how often a worker that waits for Redis tries to reach Redis again.
const redisCheckEvery = 500 * time.Millisecond

// The method "prepare" checks Redis, logs the warnings of the check, and publishes the accounts.
// The result "published" is true if Redis may hold the accounts, even if prepare also returns an
// error.
func (w *Worker) prepare(ctx context.Context) (published bool, err error) {
	warnings, err := w.checkRedis(ctx)
	if err != nil {
		return false, err
	}
	if err := w.guard.Watch(ctx); err != nil {
		return false, err
	}
	if err := w.publish(ctx); err != nil {
		return true, err
	}
	for _, x := range warnings {
		w.log.Warn().Msg(x)
	}
	return true, nil
}

// checkRedis checks Redis and its durability. It returns as soon as ctx ends, even if Redis does
// not answer.
func (w *Worker) checkRedis(ctx context.Context) (warnings []string, err error) {
	done := make(chan struct{})
	var found []string
	var fault error
	go func() {
		defer close(done)
		if found, fault = CheckRedis(ctx, w.cfg.Redis, w.cfg.UnsafeRedis); fault != nil {
			return
		}
		var more []string
		more, fault = CheckDurability(ctx, w.cfg.Redis, w.cfg.Durability)
		found = append(found, more...)
	}()
	select {
	case <-done:
		return found, fault
	case <-ctx.Done():
		return nil, errors.New("redis has not answered")
	}
}
