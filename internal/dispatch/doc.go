// Package dispatch sends the calls of a batch. Read it in the order of one batch:
//
//	send.go     Send takes a wake-up, and works on its batch until no part of it can be sent now
//	look.go     look loads the batch and checks that the slot may work on it
//	admit.go    admit decides whether one generation of the batch may be submitted now
//	reserve.go  reserve waits for the account's rate and for a place among the calls in flight
//	claim.go    claim claims the generation in Redis, so that no other worker submits it
//	call.go     call makes the request to the gateway, once
//	judge.go    judge decides what the answer means, and tells the account and the campaign
//	settle.go   settle writes the outcome to Redis, and may claim the next generation in the same step
//	next.go     next chooses the next generation, call or batch
//
// The steps share the code in the remaining files. Each step has its own type of result. If the
// generation is not submitted, the result has an outcome, which defines how the slot continues.
package dispatch
