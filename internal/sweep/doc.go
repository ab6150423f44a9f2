// Package sweep repairs what a worker left unfinished. A sweep examines every open campaign. It
// queues lost wake-ups, opens more batches, and moves the work of held accounts to the next
// account of the route. It also deletes campaigns past retention.
package sweep
