package worker_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/worker"
)

// A call in flight keeps the login with which it began, and the next call has the new login. No message is lost or
// sent twice.
func TestReload_LoginOfTheNextCall(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	first, second := newStubGateway(providers.Info{MaxRecipients: 1}), newStubGateway(providers.Info{MaxRecipients: 1})
	begun, release := make(chan struct{}), make(chan struct{})
	var held atomic.Bool
	first.send = func(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
		if held.CompareAndSwap(false, true) {
			close(begun)
			<-release
		}
		return first.accept(ctx, b)
	}
	account := stubAccount(first)
	account.Concurrency = 1
	w := r.start(account)
	r.enqueue("c", kenyanNumbers(20))
	<-begun
	account.Provider = second
	restart, err := w.worker.Reload(t.Context(), worker.Config{Accounts: []worker.Account{account}, Country: "KE"})
	if err != nil || len(restart) != 0 {
		t.Fatalf("Reload returned %q, %v; want neither", restart, err)
	}
	close(release)
	if s := r.wait("c", 30*time.Second); s.Accepted != 20 {
		t.Errorf("%d accepted, want 20: %+v", s.Accepted, s)
	}
	if a, b := first.calls.Load(), second.calls.Load(); a != 1 || b != 19 {
		t.Errorf("the old login had %d calls and the new one %d, want 1 and 19", a, b)
	}
}

func TestReload_NamesWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	gateway := newStubGateway(providers.Info{})
	account := stubAccount(gateway)
	w := r.start(account)
	changed, other := account, account
	changed.Timeout, changed.Concurrency, changed.Rate = 7*time.Second, 3, 50
	elsewhere := newStubGateway(providers.Info{})
	elsewhere.info.Fingerprint = "another-login-01"
	changed.Provider = elsewhere
	other.Name = "other"
	restart, err := w.worker.Reload(t.Context(), worker.Config{Accounts: []worker.Account{changed, other}, Country: "UG", MessageRetention: 2 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"account other: is new", "timeout", "concurrency", "the login", "messages: retention"} {
		if !slices.ContainsFunc(restart, func(s string) bool { return strings.Contains(s, want) }) {
			t.Errorf("got %q, want it to name %q", restart, want)
		}
	}
	accounts, err := r.producer.Accounts(t.Context())
	if err != nil || len(accounts) != 1 || accounts[0].Rate != 50 || accounts[0].Country != "UG" {
		t.Errorf("in force are %+v, %v; want the new rate and country", accounts, err)
	}
	r.enqueue("c", kenyanNumbers(2))
	if s := r.wait("c", 20*time.Second); s.Accepted != 2 || elsewhere.calls.Load() != 0 {
		t.Errorf("%d accepted, %d calls with the other login; want 2 and none", s.Accepted, elsewhere.calls.Load())
	}
}

func TestReload_MistakesChangeNothing(t *testing.T) {
	t.Parallel()
	r := newTestTuma(t, simulator.Options{})
	account := stubAccount(newStubGateway(providers.Info{}))
	w := r.start(account)
	before, err := r.producer.Accounts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	wrong := account
	wrong.Unit, wrong.Rate = "parsecs", 99
	if _, err := w.worker.Reload(t.Context(), worker.Config{Accounts: []worker.Account{wrong, {Name: "no provider"}}}); err == nil || !strings.Contains(err.Error(), "parsecs") || !strings.Contains(err.Error(), "no provider") {
		t.Errorf("got %v, want both mistakes", err)
	}
	if after, err := r.producer.Accounts(t.Context()); err != nil || len(after) != 1 || after[0].Rate != before[0].Rate {
		t.Errorf("in force are %+v, %v; want no change", after, err)
	}
}
