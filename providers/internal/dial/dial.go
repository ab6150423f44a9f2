// Package dial is where tests keep the program from talking to the world: what it
// dials for a gateway is asked for here first. Nothing but providers and
// providers/providertest imports it, and Go itself keeps it from all that is not
// below providers.
package dial

import "sync/atomic"

var guard atomic.Pointer[func(network, addr string) error]

// Guard makes every later Refusal ask ask, until it is set again; nil takes the
// guard away. It is safe for concurrent use, and so must ask be.
func Guard(ask func(network, addr string) error) {
	if ask == nil {
		guard.Store(nil)
		return
	}
	guard.Store(&ask)
}

// Refusal returns the guard's reason why addr must not be dialled, and nil if it may
// be or there is no guard, as in every program that is not a test. It is to be
// asked before a name is resolved.
func Refusal(network, addr string) error {
	if ask := guard.Load(); ask != nil {
		return (*ask)(network, addr)
	}
	return nil
}
