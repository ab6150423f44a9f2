// Package providertest is the test suite that every provider must pass. Run connects a provider to
// the gateway's simulator and to servers that fail. It checks that the provider reports correct
// outcomes. Main prevents a test binary from connecting to other machines.
//
// The suite has no code for a particular gateway. The suite takes the gateway's limits from Info,
// and the gateway's behaviour from its simulator. All other rules come from the contract in package
// providers and from the table of HTTP statuses at httpclient.StatusVerdict. For the statuses 404, 405
// and 415, this table says Unknown. A provider may instead report Retryable for them, if these
// statuses cannot come from its gateway.
package providertest

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
)

// Run runs every check on a provider of the given kind, against the simulator of its gateway. Each
// check is a parallel subtest. Run returns when all checks have ended.
func Run(t *testing.T, kind providers.Kind, simulate simulator.NewVendor) {
	t.Helper()
	s := &suite{kind: kind, simulate: simulate}
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

// Ran returns the names of the checks that Run has completed in this process for the named kind, in
// the order of Checks. It includes checks that failed, but not checks that Fatalf ended early. Ran
// is safe for concurrent use.
func Ran(kind string) []string {
	ran.Lock()
	defer ran.Unlock()
	names := Checks()
	return slices.DeleteFunc(names, func(name string) bool { return !ran.checks[[2]string{kind, name}] })
}

var ran = struct {
	sync.Mutex
	checks map[[2]string]bool // each key is the name of a provider's kind and the name of a check
}{checks: map[[2]string]bool{}}

// check is one test that every provider must pass.
type check struct {
	name string
	run  func(x *exam)
}

// secrecyCheck runs last, because it checks the texts that all other checks have collected.
var secrecyCheck = check{"no output holds a secret, a text or a complete number", noLeaks}

var checks = slices.Concat(acceptanceChecks, silenceChecks, statusChecks, replyChecks, readChecks, callbackChecks, deliveryChecks, conductChecks)

// tester has the methods of *testing.T that checks use. It has no method Skip, so that no check can
// be skipped.
type tester interface {
	Helper()
	Context() context.Context
	Cleanup(f func())
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// suite is the state of one run of all checks, for one kind of provider.
type suite struct {
	kind     providers.Kind
	simulate simulator.NewVendor

	mu    sync.Mutex
	texts map[string]string // maps each text of an error, a result or a printed value to the name of the check that got the text
}

func (s *suite) run(t tester, c check) {
	c.run(&exam{tester: t, suite: s, check: c.name})
	ran.Lock()
	defer ran.Unlock()
	ran.checks[[2]string{s.kind.Name, c.name}] = true
}
