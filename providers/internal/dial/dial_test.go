package dial

import (
	"errors"
	"testing"
)

// This is the only test of the package, because a process has only one guard.
func TestRefusal_AsksTheGuard(t *testing.T) {
	t.Parallel()
	if err := Refusal("tcp", "example.com:443"); err != nil {
		t.Errorf("without a guard: got %v, want nil", err)
	}
	no := errors.New("no")
	Guard(func(network, addr string) error {
		if network == "tcp" && addr == "example.com:443" {
			return no
		}
		return nil
	})
	if err := Refusal("tcp", "example.com:443"); !errors.Is(err, no) {
		t.Errorf("an address that the guard refuses: got %v, want the guard's error", err)
	}
	if err := Refusal("tcp", "example.com:80"); err != nil {
		t.Errorf("an address that the guard allows: got %v, want nil", err)
	}
	Guard(nil)
	if err := Refusal("tcp", "example.com:443"); err != nil {
		t.Errorf("after the guard was removed: got %v, want nil", err)
	}
}
