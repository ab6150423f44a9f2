package dispatch

import "time"

// outcome defines how a slot continues with its batch after a step. The zero value is
// tryOthers.
type outcome struct {
	then then
	due  time.Time // used with thenPostpone: the time at which the generation may be tried again
}

// The type "then" lists what a slot may do next. A slot is the goroutine that works on a
// batch.
type then uint8

const (
	thenTryOthers then = iota // the generation was settled, split, or claimed by another worker: try the next one
	thenReload                // load the batch again: it may have new open generations
	thenPostpone              // the generation cannot be submitted before a given time: try the next one
	thenLeave                 // leave the batch: the sweeper wakes the batch when a slot may continue with it
	thenRequeue               // leave the batch, and let it join the end of the queue: another campaign needs the slot
)

var (
	tryOthers = outcome{then: thenTryOthers}
	reload    = outcome{then: thenReload}
	leave     = outcome{then: thenLeave}
	requeue   = outcome{then: thenRequeue}
)

// postponed is the outcome of a generation that cannot be submitted before the time in the parameter "due".
func postponed(due time.Time) outcome { return outcome{then: thenPostpone, due: due} }
