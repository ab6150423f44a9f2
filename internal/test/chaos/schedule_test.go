//go:build unix

package main

import (
	"slices"
	"testing"
	"time"
)

func TestSchedule_SameSeedGivesTheSameSchedule(t *testing.T) {
	t.Parallel()
	p := plan{seed: 7, duration: 10 * time.Minute, workers: 3}
	first := schedule(p)
	if !slices.Equal(first, schedule(p)) {
		t.Error("two schedules of one seed differ")
	}
	p.seed++
	if slices.Equal(first, schedule(p)) {
		t.Error("two seeds give the same schedule")
	}
}

func TestSchedule_HasEveryFaultAndKeepsItsTimes(t *testing.T) {
	t.Parallel()
	alike := []faultKind{workerKilled, workerStopped, workerDrained, linkCut, linksCut, queueWiped, taskTwice, planTwice, enqueueTwice}
	own := []faultKind{redisKilled, redisFull}
	slow := []faultKind{redisStopped, redisStoppedLong, linksSilent}
	serve := []faultKind{serveKilled, serveStopped, serveDrained}
	for _, c := range []struct {
		name       string
		plan       plan
		want, none []faultKind
	}{
		{"ten minutes", plan{duration: 10 * time.Minute}, slices.Concat(alike, own, slow), append(serve, workerClock)},
		{"ten minutes with tuma serve", plan{duration: 10 * time.Minute, serves: 2}, slices.Concat(alike, own, slow, serve), nil},
		{"quick with tuma serve", plan{duration: 6 * time.Second, quick: true, serves: 2}, slices.Concat(alike, own, serve), slow},
		{"ten minutes with clocks", plan{duration: 10 * time.Minute, clocks: true}, slices.Concat(alike, own, slow, []faultKind{workerClock}), nil},
		{"quick", plan{duration: 6 * time.Second, quick: true}, slices.Concat(alike, own), slow},
		{"a given redis", plan{duration: 10 * time.Minute, foreign: true}, append(alike, linksSilent), append(own, redisStopped, redisStoppedLong)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(20) {
				c.plan.seed, c.plan.workers = seed, 3
				checkSchedule(t, c.plan, c.want, c.none)
			}
		})
	}
}

func checkSchedule(t *testing.T, p plan, want, none []faultKind) {
	t.Helper()
	kinds, faults, workers := map[faultKind]int{}, map[string]int{}, map[int]int{}
	last := time.Duration(0)
	for _, e := range schedule(p) {
		kinds[e.kind]++
		workers[e.worker]++
		if e.kind == gatewayFault {
			faults[e.fault]++
			if e.p <= 0 || e.p > 0.05 || e.duration <= 0 {
				t.Errorf("seed %d: %+v must have a probability in (0, 0.05] and a duration", p.seed, e)
			}
		}
		if e.kind == workerClock && (max(e.clockOffset, -e.clockOffset) != time.Minute || e.worker == p.workers-1) {
			t.Errorf("seed %d: %+v must change a clock by a minute, and not the last worker's", p.seed, e)
		}
		if e.at < last || e.at >= p.duration {
			t.Errorf("seed %d: %+v must be after %s and before the end of the run", p.seed, e, last)
		}
		last = e.at
		inRound := e.at % roundLasts
		if calm := !p.quick && inRound > faultsLast; calm != e.alone || calm && e.kind != workerKilled {
			t.Errorf("seed %d: %+v: only one kill may be in the quiet part of a round, marked alone", p.seed, e)
		}
		if e.kind == workerStopped && e.duration <= callTimeout+leaseMargin || p.quick && e.kind == workerStopped && e.at+e.duration > p.duration {
			t.Errorf("seed %d: a worker is stopped for %s, which must exceed its lease and end with the run", p.seed, e.duration)
		}
	}
	for _, k := range want {
		if kinds[k] == 0 {
			t.Errorf("seed %d: the schedule has no %q", p.seed, k)
		}
	}
	for _, k := range none {
		if kinds[k] > 0 {
			t.Errorf("seed %d: the schedule must not have %q", p.seed, k)
		}
	}
	for _, name := range gatewayFaults {
		if faults[name] == 0 {
			t.Errorf("seed %d: the schedule has no gateway fault %q", p.seed, name)
		}
	}
	if !p.quick && len(workers) != p.workers {
		t.Errorf("seed %d: faults hit only the workers %v, want all %d", p.seed, workers, p.workers)
	}
}
