// Package providertest is the suite that every provider passes, always on: Run
// opens a provider of any kind against its sandbox server and against servers that
// break, and checks that what it says of a call is what may be said of it. Main
// keeps a test binary from talking to anything but this machine.
//
// The suite knows no gateway. What it asks of one it learns from Info and from the
// gateway's desk in internal/sandbox; the rest is the contract in providers and the
// table "Whose fault, what next" of the design. A status that the table calls
// unknown may be called retryable only where nothing can have handled the request:
// none of the vendors documents another one.
package providertest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/tuma-sms/tuma/internal/sandbox"
	"github.com/tuma-sms/tuma/providers"
)

// Run runs every check on a provider of the kind, each as a parallel subtest, and
// returns when all of them have ended. The kind must have a server in
// internal/sandbox under its name.
func Run(t *testing.T, kind providers.Kind) {
	t.Helper()
	if !slices.Contains(sandbox.Names(), kind.Name) {
		t.Fatalf("internal/sandbox has no server for %q (it has %q): a gateway comes with one", kind.Name, sandbox.Names())
	}
	s := &suite{kind: kind}
	t.Run("checks", func(t *testing.T) {
		for _, c := range checks {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				s.run(t, c)
			})
		}
	})
	t.Run(secrecyCheck.name, func(t *testing.T) { s.run(t, secrecyCheck) })
}

// Checks returns the names of all checks, in the order in which they run.
func Checks() []string {
	var names []string
	for _, c := range checks {
		names = append(names, c.name)
	}
	return append(names, secrecyCheck.name)
}

// Ran returns the checks that Run has put the kind of that name through to their end
// in this process, in the order of Checks, whether they passed or not. One that could
// not go on is not among them. It is safe for concurrent use.
func Ran(kind string) []string {
	ran.Lock()
	defer ran.Unlock()
	names := Checks()
	return slices.DeleteFunc(names, func(name string) bool { return !ran.checks[[2]string{kind, name}] })
}

var ran = struct {
	sync.Mutex
	checks map[[2]string]bool // kind and check
}{checks: map[[2]string]bool{}}

// check is one thing that is asked of every provider.
type check struct {
	name string
	run  func(x *exam)
}

// discretion comes last: it looks at what was said in all the other checks.
var secrecyCheck = check{"nothing that was said holds a secret, a text or a whole number", noLeaks}

var checks = slices.Concat(acceptanceChecks, silenceChecks, statusChecks, replyChecks, readChecks, conductChecks)

// tester is what a check needs of a test. It has no way to skip.
type tester interface {
	Helper()
	Context() context.Context
	Cleanup(f func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// suite is one kind on its way through the checks.
type suite struct {
	kind providers.Kind

	mu    sync.Mutex
	texts map[string]string // what errors, results and prints said, and in which check
}

func (s *suite) run(t tester, c check) {
	c.run(&exam{tester: t, suite: s, check: c.name})
	ran.Lock()
	defer ran.Unlock()
	ran.checks[[2]string{s.kind.Name, c.name}] = true
}
