//go:build unix

package main

import (
	"math/rand/v2"
	"slices"
	"time"
)

// faultKind is a kind of fault, as the report prints it.
type faultKind string

// The kinds of faults, grouped by what they hit.
const (
	workerKilled     faultKind = "worker: kill -9"
	workerStopped    faultKind = "worker: SIGSTOP past its lease, SIGCONT"
	workerDrained    faultKind = "worker: SIGTERM in a slow call"
	workerClock      faultKind = "worker: clock a minute off for a while"
	workerClockEver  faultKind = "worker: clock a minute off for the entire run"
	serveKilled      faultKind = "serve: kill -9"
	serveStopped     faultKind = "serve: SIGSTOP for a while, SIGCONT"
	serveDrained     faultKind = "serve: SIGTERM, and at once another process"
	redisKilled      faultKind = "redis: kill -9, restart from its AOF"
	redisStopped     faultKind = "redis: SIGSTOP for 5 s"
	redisStoppedLong faultKind = "redis: SIGSTOP for 40 s"
	redisFull        faultKind = "redis: full"
	linkCut          faultKind = "redis connection: cut within an answer"
	linksCut         faultKind = "redis connections: all cut"
	linksSilent      faultKind = "redis connections: answers held back"
	queueWiped       faultKind = "queue: all asynq keys wiped"
	taskTwice        faultKind = "queue: a running task delivered twice"
	planTwice        faultKind = "queue: a plan queued three times"
	enqueueTwice     faultKind = "producer: a campaign enqueued twice at once"
	gatewayFault     faultKind = "gateway"
)

// gatewayFaults are the faults of calls that the sandbox injects, by the names of simulator.Fault.
var gatewayFaults = []string{"close", "accept_close", "accept_502", "500", "429", "later", "cut", "html", "missing", "hang"}

// faultEvent is one fault of the schedule. Fields that its kind does not need are zero.
type faultEvent struct {
	at          time.Duration // when the fault begins, counted from the start of the run
	kind        faultKind
	duration    time.Duration // how long the fault lasts
	clockOffset time.Duration // how far the clock is ahead of the right time; negative: behind
	worker      int           // index of the worker that the fault hits; for `tuma serve`, modulo the number of processes
	fault       string        // one of gatewayFaults
	p           float64       // probability that the gateway's fault hits a call
	bytes       int64         // how many bytes of an answer the worker gets before the connection is cut
	alone       bool          // no other fault is scheduled near this fault
}

// The method "name" returns the name under which the report counts the event.
func (e faultEvent) name() string {
	if e.kind == gatewayFault {
		return string(e.kind) + ": " + e.fault
	}
	return string(e.kind)
}

// The type "plan" has the values on which the schedule of a run depends.
type plan struct {
	seed     uint64
	duration time.Duration
	workers  int
	serves   int // number of processes `tuma serve`
	// If the field "quick" is true, the schedule omits the long faults, and makes all other faults short.
	quick bool
	// clocks means that there is a build of tuma whose clock can be wrong.
	clocks bool
	// foreign means that the run uses the Redis of the flag -redis and does not start a Redis. Chaos does not
	// kill, stop or fill that Redis.
	foreign bool
}

// A run consists of rounds. A round lasts roundLasts, and its faults start within the first
// faultsLast. In the rest of the round, chaos only kills one worker, so that no other fault delays
// the recovery from that kill. The kill is calmKill after the start of the round.
const (
	roundLasts = 60 * time.Second
	faultsLast = 38 * time.Second
	calmKill   = 44 * time.Second
)

// The function "schedule" returns the events of a run, in the order of their times. The same plan gives the same
// schedule. Events come from shuffled blocks. A block has every kind of fault. All events of a block come before the
// events of the next block, so that every kind occurs.
func schedule(p plan) []faultEvent {
	rng := rand.New(rand.NewPCG(p.seed, 0x6368_616f_73))
	if p.quick {
		return quickSchedule(p, rng)
	}
	var events []faultEvent
	block, blocks := []faultEvent{}, 0
	for at := time.Second; ; at += randomDuration(rng, 700*time.Millisecond, 2700*time.Millisecond) {
		if round := at.Truncate(roundLasts); at-round > faultsLast {
			if round+calmKill < p.duration {
				events = append(events, faultEvent{at: round + calmKill, kind: workerKilled, worker: rng.IntN(p.workers), alone: true})
			}
			at = round + roundLasts
		}
		if at >= p.duration {
			return events
		}
		if len(block) == 0 {
			block = newEvents(p, blocks)
			blocks++
			rng.Shuffle(len(block), func(i, j int) { block[i], block[j] = block[j], block[i] })
		}
		e := block[0]
		block = block[1:]
		e.at, e.worker = at, rng.IntN(p.workers)
		e.fill(rng)
		if e.kind == workerClock {
			e.worker = rng.IntN(p.workers - 1) // the last worker's clock is wrong for the entire run
		}
		if end := at.Truncate(roundLasts) + faultsLast; e.kind == gatewayFault && e.at+e.duration > end {
			e.duration = end - e.at
		}
		events = append(events, e)
	}
}

// quickSchedule spreads one block of short faults evenly over the run. The stop of worker 0 comes first, because it
// must last longer than a lease, and so needs the most time. Other faults hit the other workers. The wipe of the
// queue comes last, because the queue could stay empty for a while after it.
func quickSchedule(p plan, rng *rand.Rand) []faultEvent {
	block := newEvents(p, 0)
	rng.Shuffle(len(block), func(i, j int) { block[i], block[j] = block[j], block[i] })
	stop := slices.IndexFunc(block, func(e faultEvent) bool { return e.kind == workerStopped })
	block[0], block[stop] = block[stop], block[0]
	wipe := slices.IndexFunc(block, func(e faultEvent) bool { return e.kind == queueWiped })
	block[len(block)-1], block[wipe] = block[wipe], block[len(block)-1]
	gap := p.duration / time.Duration(len(block)+1)
	for i := range block {
		e := &block[i]
		e.at = gap/2 + time.Duration(i)*gap + randomDuration(rng, 0, gap/2)
		e.worker = 1 + rng.IntN(p.workers-1)
		e.fill(rng)
		switch e.kind {
		case workerStopped:
			e.worker, e.duration = 0, callTimeout+leaseMargin+300*time.Millisecond
		case gatewayFault:
			e.duration, e.p = p.duration/4, 0.04
		case redisFull, serveStopped:
			e.duration = time.Second
		}
	}
	return block
}

// newEvents returns the nth block of events. The block has the required number of events of each kind of fault.
// newEvents sets only the kind, and the name of a gateway's fault. The method "fill" sets the other fields.
func newEvents(p plan, n int) []faultEvent {
	type share struct {
		kind               faultKind
		often, oftenQuick  int
		touchesRedisItself bool
	}
	oftenClock, perServe := 0, min(p.serves, 1)
	if p.clocks {
		oftenClock = 2
	}
	var block []faultEvent
	for _, s := range []share{
		{workerKilled, 6, 2, false}, {workerStopped, 3, 1, false}, {workerDrained, 3, 1, false}, {workerClock, oftenClock, 0, false},
		{serveKilled, 5 * perServe, 2 * perServe, false}, {serveStopped, 2 * perServe, perServe, false}, {serveDrained, 2 * perServe, perServe, false},
		{redisKilled, 2, 1, true}, {redisStopped, 1, 0, true}, {redisFull, 1, 1, true},
		{linkCut, 5, 3, false}, {linksCut, 1, 1, false}, {linksSilent, 1, 0, false},
		{queueWiped, 2, 1, false}, {taskTwice, 5, 2, false}, {planTwice, 3, 1, false}, {enqueueTwice, 2, 1, false},
	} {
		often := s.often
		if p.quick {
			often = s.oftenQuick
		}
		if s.touchesRedisItself && p.foreign {
			often = 0
		}
		block = append(block, slices.Repeat([]faultEvent{{kind: s.kind}}, often)...)
	}
	if n%3 == 1 && !p.foreign && !p.quick {
		block = append(block, faultEvent{kind: redisStoppedLong})
	}
	for _, name := range gatewayFaults {
		block = append(block, faultEvent{kind: gatewayFault, fault: name})
	}
	return block
}

// The method "fill" sets the duration and the other values that an event of its kind needs, at random.
func (e *faultEvent) fill(rng *rand.Rand) {
	switch e.kind {
	case workerStopped:
		e.duration = randomDuration(rng, callTimeout+leaseMargin+500*time.Millisecond, 2*(callTimeout+leaseMargin))
	case serveStopped:
		e.duration = randomDuration(rng, time.Second, 8*time.Second)
	case redisStopped:
		e.duration = 5 * time.Second
	case redisStoppedLong:
		e.duration = 40 * time.Second
	case linksSilent:
		e.duration = randomDuration(rng, time.Second, 6*time.Second)
	case redisFull:
		e.duration = randomDuration(rng, 2*time.Second, 4*time.Second)
	case workerClock:
		e.clockOffset, e.duration = drawClockOffset(rng), randomDuration(rng, 15*time.Second, 40*time.Second)
	case linkCut:
		e.bytes = rng.Int64N(2000)
	case gatewayFault:
		e.duration, e.p = randomDuration(rng, 8*time.Second, 20*time.Second), 0.01+0.02*rng.Float64()
	default:
	}
}

func randomDuration(rng *rand.Rand, least, most time.Duration) time.Duration {
	return least + time.Duration(rng.Int64N(int64(most-least)+1))
}
