// Package pacing decides when a slot of a worker may make its next call: it waits for the rate that
// all workers share (Lane), for room among the worker's own calls in flight (Slots), and for the
// trial call of an account that has not proven itself (SlowStart). Shares divides an account among
// the campaigns that use it.
package pacing
