// Package dial lets tests prevent connections to real gateways: package providers calls Refusal
// before it dials. Only providers and providers/providertest import it; Go's rule for internal
// packages keeps out everything outside providers.
package dial

import "sync/atomic"

var guard atomic.Pointer[func(network, addr string) error]

// Guard sets ask as the guard, a function that every later Refusal calls. Guard(nil) removes the
// guard. Guard is safe for concurrent use, and ask must be, too.
func Guard(ask func(network, addr string) error) {
	if ask == nil {
		guard.Store(nil)
		return
	}
	guard.Store(&ask)
}

// Refusal returns the guard's error if addr must not be dialled. It returns nil if addr may be
// dialled or no guard is set. Only tests set a guard. Call Refusal before a host name is resolved.
func Refusal(network, addr string) error {
	if ask := guard.Load(); ask != nil {
		return (*ask)(network, addr)
	}
	return nil
}
