// Package sweep repairs what a worker left unfinished. A sweep examines every open campaign: it
// queues lost wake-ups, opens more batches, moves the work of held accounts to the next account of
// the route, and deletes campaigns past retention.
package sweep
