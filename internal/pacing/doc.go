// Package pacing decides when a slot of a worker may make its next call. A slot waits for three
// conditions. The rate that all workers share must allow the call (Lane). The worker must not have
// too many calls in flight (Slots). If the account has not accepted a message recently, only one
// call at a time may be made (SlowStart). Shares divides an account among the campaigns that use
// the account.
package pacing
