package producertest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tuma-sms/tuma/providers/providertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(providertest.Guarded(m)) }

// failureRecorder is a testing.TB that records failures. Its Cleanup calls the Cleanup of the real test.
type failureRecorder struct {
	testing.TB
	failures []string
	ended    bool
}

// Helper does nothing.
func (f *failureRecorder) Helper() {}

// Errorf records a failure.
func (f *failureRecorder) Errorf(format string, args ...any) {
	f.failures = append(f.failures, fmt.Sprintf(format, args...))
}

// Fatalf records a failure and ends the calling goroutine.
func (f *failureRecorder) Fatalf(format string, args ...any) {
	f.Errorf(format, args...)
	f.ended = true
	runtime.Goexit()
}

// expectFailure runs a test that must report exactly one failure. It checks that the failure's text
// contains each text in the parameter "wants". The parameter "fatal" is true if the failure must end the
// test.
func expectFailure(t *testing.T, fatal bool, test func(testing.TB), wants ...string) {
	t.Helper()
	f := &failureRecorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		test(f)
	}()
	<-done
	if len(f.failures) != 1 || f.ended != fatal {
		t.Fatalf("%d failures, ended: %v; want 1 failure, ended: %v. The failures are %q", len(f.failures), f.ended, fatal, f.failures)
	}
	t.Log(f.failures[0])
	for _, want := range wants {
		if !strings.Contains(f.failures[0], want) {
			t.Errorf("the failure does not contain %q:\n%s", want, f.failures[0])
		}
	}
}
