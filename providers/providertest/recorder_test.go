package providertest

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/kobo/kobosim"
)

// recorder is a tester that records failures, for checks that are expected to fail.
type recorder struct {
	ctx context.Context

	mu       sync.Mutex
	failures []string
	cleanups []func()
}

func (r *recorder) Helper()                  {}
func (r *recorder) Context() context.Context { return r.ctx }

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

// The function "record" runs one check on the suite's kind and returns its failure messages.
func record(ctx context.Context, s *suite, c check) []string {
	ctx, cancel := context.WithCancel(ctx)
	r := &recorder{ctx: ctx}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.run(&exam{tester: r, suite: s, check: c.name})
	}()
	<-ended
	cancel()
	for _, f := range slices.Backward(r.cleanups) {
		f()
	}
	return r.failures
}

// The function "failing" runs the whole suite on a kind and returns the failure messages of each
// failed check.
func failing(t *testing.T, kind providers.Kind) map[string][]string {
	t.Helper()
	s := &suite{kind: kind, simulate: kobosim.New}
	var mu sync.Mutex
	failures := map[string][]string{}
	var wg sync.WaitGroup
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	for _, c := range checks {
		wg.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			if said := record(t.Context(), s, c); len(said) > 0 {
				mu.Lock()
				defer mu.Unlock()
				failures[c.name] = said
			}
		})
	}
	wg.Wait()
	if said := record(t.Context(), s, secrecyCheck); len(said) > 0 {
		failures[secrecyCheck.name] = said
	}
	return failures
}

// wantFailing fails the test unless the failed checks of the kind are exactly the checks in the parameter
// "want".
func wantFailing(t *testing.T, kind providers.Kind, want ...string) {
	t.Helper()
	got := failing(t, kind)
	for _, name := range slices.Sorted(maps.Keys(got)) {
		if !slices.Contains(want, name) {
			t.Errorf("check %q failed, want it to pass: %.400q (%d messages)", name, got[name][0], len(got[name]))
		}
	}
	for _, name := range want {
		if !slices.Contains(Checks(), name) {
			t.Errorf("check %q does not exist; want names of Checks only", name)
		}
		if len(got[name]) == 0 {
			t.Errorf("check %q passed, want it to fail", name)
		}
	}
}
