package webhook

import (
	"context"
	"sync"
	"time"
)

// Run delivers events to all endpoints until ctx ends. Then it waits up to 15 s for the requests in flight, and ends
// the leases of this process, so that other processes continue immediately.
func (s *Service) Run(ctx context.Context) {
	r := &runner{Service: s, next: map[string]time.Time{}, running: map[string]bool{}, held: map[string]bool{}}
	tick := time.NewTicker(s.poll)
	defer tick.Stop()
	for {
		r.startPasses(ctx)
		select {
		case <-ctx.Done():
			r.group.Wait()
			r.releaseAll(context.WithoutCancel(ctx))
			s.sender.close()
			return
		case <-tick.C:
		}
	}
}

// runner runs the passes of many endpoints. At any time at most one pass runs for each endpoint.
type runner struct {
	*Service
	group sync.WaitGroup

	mu      sync.Mutex
	next    map[string]time.Time // when the next pass of each endpoint is due
	running map[string]bool
	held    map[string]bool // the endpoints whose lease this process may have
	failed  string          // the last logged error; the same error is not logged twice in a row
}

// startPasses starts a pass for each endpoint whose next pass is due.
func (r *runner) startPasses(ctx context.Context) {
	list, err := r.Endpoints(ctx)
	r.report(ctx, "", err)
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range list {
		if r.running[e.Name] || now.Before(r.next[e.Name]) {
			continue
		}
		r.running[e.Name], r.held[e.Name] = true, true
		r.group.Go(func() {
			after, err := r.pass(ctx, e.Name)
			r.report(ctx, e.Name, err)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.running[e.Name] = false
			r.next[e.Name] = time.Now().Add(after)
		})
	}
}

// report logs an error, unless the last report was the same error.
func (r *runner) report(ctx context.Context, name string, err error) {
	if err == nil || ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if text := err.Error(); text != r.failed {
		r.failed = text
		r.log.Warn().Err(err).Str("webhook", name).Msg("webhooks cannot be delivered at the moment")
	}
}

// releaseAll ends the leases of this process. A lease that cannot be released expires.
func (r *runner) releaseAll(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	for name := range r.held {
		if err := r.release(ctx, name, r.token); err != nil {
			r.log.Debug().Err(err).Msg("could not release webhooks")
			return
		}
	}
}
