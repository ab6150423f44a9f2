// Package dial lets tests prevent connections to real gateways, because package httpclient calls
// Refusal before it dials. Only providers/httpclient and providers/providertest import this
// package. Packages outside providers cannot import it, because of Go's rule for internal
// packages.
package dial

import "sync/atomic"

var guard atomic.Pointer[func(network, addr string) error]

// Guard sets the function "check" as the guard. Every later call of Refusal calls this function.
// Guard(nil) removes the guard. Guard is safe for concurrent use, and check must also be safe
// for concurrent use.
func Guard(check func(network, addr string) error) {
	if check == nil {
		guard.Store(nil)
		return
	}
	guard.Store(&check)
}

// Refusal returns the guard's error if addr must not be dialled. It returns nil if addr may be
// dialled or no guard is set. Only tests set a guard. Call Refusal before resolving a host name.
func Refusal(network, addr string) error {
	if check := guard.Load(); check != nil {
		return (*check)(network, addr)
	}
	return nil
}
