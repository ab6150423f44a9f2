// Package dispatch sends the calls of a batch. Read it in the order of one batch:
//
//	send.go     Send takes a wake-up, and works on its batch until no part of it can be sent now
//	look.go     look loads the batch and checks that it may be worked on
//	admit.go    admit decides whether one generation of it may be submitted now
//	reserve.go  reserve waits for the account's rate and for room among the calls in flight
//	claim.go    claim claims the generation in Redis, so that no other worker submits it
//	call.go     call makes the request to the gateway, once
//	judge.go    judge decides what the answer means, and tells the account and the campaign
//	settle.go   settle writes the outcome to Redis, and may claim the next generation with it
//	next.go     next chooses the next generation, call or batch
//
// The steps share the code in the remaining files. Each step returns its own result. The type
// outcome is how the slot continues if the generation is not submitted.
package dispatch
