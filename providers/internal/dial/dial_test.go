package dial

import (
	"errors"
	"testing"
)

// It is the only test here: there is one guard in a process.
func TestWhoeverGuardsIsAsked(t *testing.T) {
	t.Parallel()
	if err := Refusal("tcp", "example.com:443"); err != nil {
		t.Errorf("without a guard: %v", err)
	}
	no := errors.New("no")
	Guard(func(network, addr string) error {
		if network == "tcp" && addr == "example.com:443" {
			return no
		}
		return nil
	})
	if err := Refusal("tcp", "example.com:443"); !errors.Is(err, no) {
		t.Errorf("with one that says no: %v", err)
	}
	if err := Refusal("tcp", "example.com:80"); err != nil {
		t.Errorf("with one that says yes: %v", err)
	}
	Guard(nil)
	if err := Refusal("tcp", "example.com:443"); err != nil {
		t.Errorf("when the guard has gone: %v", err)
	}
}
