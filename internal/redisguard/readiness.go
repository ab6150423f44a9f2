package redisguard

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"
)

// Readiness tests whether Redis accepts the writes of a worker. It logs one line when Redis stops
// accepting these writes, and another line when Redis accepts them again. Set the exported fields
// before the first call. The methods are safe for concurrent use.
type Readiness struct {
	Redis redis.UniversalClient
	Log   zerolog.Logger

	mu       sync.Mutex
	inFlight *attempt  // the running attempt, or nil
	failure  error     // the error of the last attempt
	since    time.Time // when the current failure was first seen; zero if Redis does not fail now
	backAt   time.Time // when the last failure ended; zero if there was no failure
	runID    string    // run_id of the Redis that last accepted a write; empty if not known
}

// attempt is one run of TryWrites.
type attempt struct {
	begun time.Time
	done  chan struct{} // closed when err is valid
	err   error
}

const (
	// attemptTimeout is the time limit of one attempt.
	attemptTimeout = 10 * time.Second
	// slowAttempt is how long an attempt may take. After that, Readiness reports that Redis does
	// not answer.
	slowAttempt = 2 * time.Second
	// runIDEvery is the wait after a failed attempt to read the run_id.
	runIDEvery = 100 * time.Millisecond
)

// Check returns nil if Redis accepts the writes of TryWrites now. Concurrent calls share one
// attempt. If ctx ends first, Check returns an error that says for how long Redis has not answered.
func (r *Readiness) Check(ctx context.Context) error {
	a := r.attempt()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
	}
	took := time.Since(a.begun)
	err := fmt.Errorf("redis has not answered for %s: %w", took.Round(time.Millisecond), ctx.Err())
	if took >= slowAttempt {
		r.note(err, "", a.begun)
	}
	return err
}

// Watch calls Check every second until ctx ends, so that the log lines do not depend on other
// callers of Check.
func (r *Readiness) Watch(ctx context.Context) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		limited, cancel := context.WithTimeout(ctx, slowAttempt)
		_ = r.Check(limited) // Check has logged the error
		cancel()
	}
}

// Note records the outcome of a command: nil if Redis accepted a write. It logs a line if this
// outcome differs from the last outcome.
func (r *Readiness) Note(err error) { r.note(err, "", time.Now()) }

// The method "note" does what Note does, for a command that began at the time "begun". id is the
// run_id of the Redis to which the command was sent, or "" if the run_id is not known.
func (r *Readiness) note(err error, id string, begun time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, before := r.since, r.runID
	ended := err == nil && !was.IsZero()
	if id != "" || ended {
		r.runID = id // after a failure, the earlier run_id may belong to another Redis
	}
	r.failure = err
	switch {
	case ended:
		r.since = time.Time{}
		e := r.Log.Warn().Int64("took_ms", time.Since(was).Milliseconds())
		if before != "" && id != "" {
			e = e.Bool("restarted", id != before)
		}
		e.Msg("redis accepts writes again")
		r.backAt = time.Now()
	case err != nil && was.IsZero():
		r.since = begun
		what := "redis does not answer: waiting for it"
		if errors.Is(err, ErrRefusesWrites) || errors.Is(err, ErrUnfit) {
			what = "redis cannot be used: nothing is sent until redis accepts writes"
		}
		r.Log.Warn().Err(err).Msg(what)
	}
}

// newRunID returns the run_id of Redis after an attempt that ended with err. It returns "" if the
// attempt failed, or if the run_id is known and cannot have changed. newRunID has its own time limit,
// because the time limit of the attempt may be over. If newRunID cannot read the run_id, it tries
// again: for up to a second after an outage, the connection pool of go-redis may answer with an error
// of that outage.
func (r *Readiness) newRunID(err error) string {
	r.mu.Lock()
	known := r.runID != "" && r.since.IsZero()
	r.mu.Unlock()
	if err != nil || known {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), slowAttempt)
	defer cancel()
	for {
		id, err := runID(ctx, r.Redis)
		if err == nil {
			return id
		}
		select {
		case <-ctx.Done():
			return "" // the log line has no field "restarted"
		case <-time.After(runIDEvery):
		}
	}
}

// afterFailure is how long after the end of a failure other commands may still fail because of it.
const afterFailure = 30 * time.Second

// Recent returns true if Redis fails now, or failed less than half a minute ago. Redis fails if it
// refuses writes or does not answer. Recent sends no command.
func (r *Readiness) Recent() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.since.IsZero() || !r.backAt.IsZero() && time.Since(r.backAt) < afterFailure
}

// Failure returns the error of the last attempt, or nil.
func (r *Readiness) Failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failure
}

// Explains reports whether Redis fails now: Redis refuses writes or does not answer. If the result is
// true, an error in the background needs no separate log line. If the last attempt succeeded,
// Explains makes another attempt, which takes at most two seconds.
func (r *Readiness) Explains() bool {
	if r.Failure() != nil {
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), slowAttempt)
	defer cancel()
	return r.Check(ctx) != nil
}

// The method "attempt" returns the running attempt. If no attempt runs, it starts one.
func (r *Readiness) attempt() *attempt {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.inFlight != nil {
		return r.inFlight
	}
	a := &attempt{begun: time.Now(), done: make(chan struct{})}
	r.inFlight = a
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), attemptTimeout)
		defer cancel()
		a.err = TryWrites(ctx, r.Redis)
		r.note(a.err, r.newRunID(a.err), a.begun)
		r.mu.Lock()
		r.inFlight = nil
		r.mu.Unlock()
		close(a.done)
	}()
	return a
}
