//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/simulator"
)

// tally counts the injected faults and keeps their times. Safe for concurrent use.
type tally struct {
	mu         sync.Mutex
	counts     map[string]int
	spans      []span
	recoveries []recovery
	failures   []string
}

// span is the time from the start to the end of one fault. The field "to" is zero while the fault lasts.
type span struct{ from, to time.Time }

// The method "begin" counts one fault of a name and records its start. The caller calls the returned function over()
// when the fault ends.
func (t *tally) begin(name string) (over func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	t.counts[name]++
	i := len(t.spans)
	t.spans = append(t.spans, span{from: time.Now()})
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.spans[i].to = time.Now()
	}
}

// activeBetween returns how many faults lasted at some time between the times "from" and "to".
func (t *tally) activeBetween(from, to time.Time) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, s := range t.spans {
		if s.from.Before(to) && (s.to.IsZero() || s.to.After(from)) {
			n++
		}
	}
	return n
}

func (t *tally) recovered(r recovery) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.recoveries = append(t.recoveries, r)
}

func (t *tally) fail(err error) {
	if err == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = append(t.failures, err.Error())
}

// injector injects the faults of one run.
type injector struct {
	*chaosRun
	// The context "over" ends when the time for faults is up. Faults that still last are ended then.
	over context.Context
	// The context "ctx" ends with the run.
	ctx     context.Context
	running sync.WaitGroup
}

// injectAll injects the events at their times. It returns when the time for faults is up
// and every fault has ended.
func (s *injector) injectAll(events []faultEvent) {
	for _, e := range events {
		if !s.wait(time.Until(s.began.Add(e.at))) {
			break
		}
		s.running.Go(func() { s.inject(e) })
	}
	<-s.over.Done()
	s.running.Wait()
}

// The method "wait" waits for d. It returns false when the time for faults is up, without waiting any longer.
func (s *injector) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-s.over.Done():
		return false
	case <-timer.C:
		return true
	}
}

// lockUnlessOver locks mu, so that one event at a time uses what mu guards. It returns
// false, with mu unlocked, if the time for faults is up.
func (s *injector) lockUnlessOver(mu *sync.Mutex) bool {
	mu.Lock()
	if s.over.Err() != nil {
		mu.Unlock()
		return false
	}
	return true
}

func (s *injector) inject(e faultEvent) {
	slot := s.slots[e.worker]
	switch e.kind {
	case workerKilled:
		if s.lockUnlessOver(&slot.fault) {
			s.killWorker(e, slot)
		}
	case workerStopped:
		if s.lockUnlessOver(&slot.fault) {
			defer slot.fault.Unlock()
			s.stopWorker(e, slot)
		}
	case workerDrained:
		if s.lockUnlessOver(&slot.fault) {
			defer slot.fault.Unlock()
			s.drainWorker(e, slot)
		}
	case serveKilled, serveStopped, serveDrained:
		if slot := s.serveSlots[e.worker%len(s.serveSlots)]; s.lockUnlessOver(&slot.fault) {
			defer slot.fault.Unlock()
			s.breakServe(e, slot)
		}
	case workerClock:
		s.clockWorker(e, slot)
	case workerClockEver: // not in the schedule: this clock is wrong from the start
	case redisKilled, redisStopped, redisStoppedLong, redisFull, linksSilent:
		if s.lockUnlessOver(&s.redisMu) {
			defer s.redisMu.Unlock()
			s.breakRedis(e)
		}
	case linkCut, linksCut:
		s.cut(e)
	case queueWiped:
		over := s.injected.begin(e.name())
		defer over()
		s.verbosef("%s", e.name())
		s.retryRedis(func() error { return s.wipe(s.ctx, "asynq:*") })
	case taskTwice:
		s.repeatTask(e)
	case planTwice, enqueueTwice:
		// A gateway with keys may have only one campaign at a time (see concurrentCampaigns), so
		// it gets no extra campaign.
		gateways := slices.DeleteFunc(s.gateway.Names(), func(name string) bool { return hasKeys(name) || oneByOne(name) })
		over := s.injected.begin(e.name())
		s.verbosef("%s", e.name())
		s.traffic.runExtra(s.ctx, gateways[e.worker%len(gateways)], e.kind == enqueueTwice, e.kind == planTwice)
		over()
	case gatewayFault:
		s.breakGateways(e)
	}
}

// retryRedis calls the function do() until it succeeds or the time for faults is up. Another fault may make Redis
// unavailable meanwhile.
func (s *injector) retryRedis(do func() error) {
	for do() != nil && s.wait(200*time.Millisecond) {
	}
}

func (s *injector) killWorker(e faultEvent, slot *processSlot) {
	s.claims.recordExposed(s.ctx)
	over := s.injected.begin(e.name())
	killed := time.Now()
	s.injected.fail(slot.kill())
	s.verbosef("%s, worker %d", e.name(), e.worker+1)
	slot.fault.Unlock()
	open := s.claims.recordExposedAfter(s.ctx)
	over()
	if r, ok := s.claims.recover(s.ctx, killed, open); ok {
		// A gateway that refuses every repeat also delays the recovery, because a worker tries eight times there. So
		// the recovery counts as disturbed if the killed worker had a call at such a gateway.
		stubborn := slices.ContainsFunc(r.left, func(c claim) bool { return s.traffic.alwaysRefusesRepeats(c.campaign) })
		r.alone = e.alone && !stubborn && s.injected.activeBetween(killed, killed.Add(r.took)) == 1
		s.injected.recovered(r)
		s.verbosef("recovered from the kill of worker %d: %d calls in %s; no other fault meanwhile: %v", e.worker+1, len(r.left), r.took.Round(time.Millisecond), r.alone)
	}
}

func (s *injector) stopWorker(e faultEvent, slot *processSlot) {
	s.claims.recordExposed(s.ctx)
	over := s.injected.begin(e.name())
	defer over()
	thaw, err := slot.freeze()
	s.injected.fail(err)
	s.verbosef("%s, worker %d for %s", e.name(), e.worker+1, e.duration.Round(time.Millisecond))
	s.running.Go(func() { s.claims.recordExposedAfter(s.ctx) })
	s.wait(e.duration)
	s.injected.fail(thaw())
}

func (s *injector) drainWorker(e faultEvent, slot *processSlot) {
	if !s.lockUnlessOver(&s.latency) {
		return
	}
	s.gateway.SetLatency(slowLatency)
	defer func() {
		s.gateway.SetLatency(latency)
		s.latency.Unlock()
	}()
	s.wait(slowLatency / 2) // after this time the worker has calls in flight, because the calls are slow
	over := s.injected.begin(e.name())
	defer over()
	s.verbosef("%s, worker %d", e.name(), e.worker+1)
	s.injected.fail(slot.drain(s.ctx, drainsWithin))
}

// breakServe kills, stops or drains a process `tuma serve`. It does not record exposed calls, because such a process
// does not make calls.
func (s *injector) breakServe(e faultEvent, slot *processSlot) {
	over := s.injected.begin(e.name())
	defer over()
	s.verbosef("%s, %s", e.name(), slot.args[len(slot.args)-1])
	switch e.kind {
	case serveKilled:
		s.injected.fail(slot.kill())
	case serveStopped:
		thaw, err := slot.freeze()
		s.injected.fail(err)
		s.wait(e.duration)
		s.injected.fail(thaw())
	default:
		s.injected.fail(slot.drain(s.ctx, drainsWithin))
	}
}

func (s *injector) breakRedis(e faultEvent) {
	if e.kind == redisFull {
		s.fill(e)
		return
	}
	s.claims.recordExposed(s.ctx)
	over := s.injected.begin(e.name())
	s.verbosef("%s", e.name())
	switch e.kind {
	case redisKilled:
		s.injected.fail(s.redis.kill())
		s.injected.fail(s.redis.start(s.ctx))
	case linksSilent:
		s.proxy.holdAnswers(true)
		s.wait(e.duration)
		s.proxy.holdAnswers(false)
	default:
		s.injected.fail(s.redis.freeze())
		s.wait(e.duration)
		s.injected.fail(s.redis.thaw())
	}
	s.claims.recordExposedAfter(s.ctx)
	over()
}

// The method "fill" lowers Redis's maxmemory below the memory in use, so that Redis refuses writes for the event's
// duration.
func (s *injector) fill(e faultEvent) {
	over := s.injected.begin(e.name())
	defer over()
	info, err := s.direct.InfoMap(s.ctx, "memory").Result()
	if err != nil {
		s.injected.fail(fmt.Errorf("fill redis: %w", err))
		return
	}
	used, err := strconv.ParseInt(info["Memory"]["used_memory"], 10, 64)
	if err == nil {
		err = s.direct.ConfigSet(s.ctx, "maxmemory", strconv.FormatInt(used-64<<10, 10)).Err()
	}
	s.verbosef("%s at %d bytes", e.name(), used)
	s.wait(e.duration)
	s.injected.fail(errors.Join(err, s.direct.ConfigSet(s.ctx, "maxmemory", "0").Err()))
}

func (s *injector) cut(e faultEvent) {
	if e.kind == linksCut {
		over := s.injected.begin(e.name())
		s.proxy.cutAll()
		over()
		return
	}
	s.proxy.cutAfter(e.bytes)
	select {
	case <-s.proxy.cuts:
		s.injected.begin(e.name())()
	case <-s.over.Done():
	}
}

// repeatTask makes asynq deliver a task again while a worker processes it. It deletes the
// task's key, so that asynq no longer knows the task, and enqueues the same task again.
func (s *injector) repeatTask(e faultEvent) {
	gateways := s.gateway.Names()
	for first := e.worker; ; first++ {
		for i := range gateways {
			gateway := gateways[(first+i)%len(gateways)]
			if s.repeatAt(queue.SendQueue(gateway, false)) {
				s.injected.begin(e.name())()
				s.verbosef("%s at %s", e.name(), gateway)
				return
			}
		}
		if !s.wait(50 * time.Millisecond) {
			return
		}
	}
}

func (s *injector) repeatAt(name string) bool {
	prefix := "asynq:{" + name + "}:" // asynq 0.26 keeps a queue under this prefix
	ids, err := s.direct.LRange(s.ctx, prefix+"active", 0, -1).Result()
	if err != nil || len(ids) == 0 {
		return false
	}
	id := ids[len(ids)-1]
	p, ok := readTask(id)
	if !ok || s.direct.Del(s.ctx, prefix+"t:"+id).Err() != nil {
		return false
	}
	s.retryRedis(func() error { return s.traffic.queue.Wake(s.ctx, name, p) })
	return true
}

// readTask parses the ID of a task. It is campaign:batch:wake, or campaign:plan:wake for a
// task that plans a small campaign and sends it. ok is false for any other form.
func readTask(id string) (p queue.Pointer, ok bool) {
	parts := strings.Split(id, ":")
	if len(parts) != 3 {
		return p, false
	}
	wake, err := strconv.Atoi(parts[2])
	p = queue.Pointer{Campaign: parts[0], Batch: parts[1], Wake: wake}
	if p.Batch == "plan" {
		p.Batch = ""
	}
	return p, err == nil && (p.Batch == "" || strings.Contains(p.Batch, "."))
}

func (s *injector) breakGateways(e faultEvent) {
	over := s.injected.begin(e.name())
	defer over()
	for _, p := range []float64{e.p, 0} {
		for name := range logins {
			// Only an answer about several numbers can leave out one of the numbers.
			if e.fault != "missing" || !oneByOne(name) {
				s.injected.fail(s.gateway.Fail(simulator.Fault{Name: e.fault, Gateway: name, P: p, RetryAfter: time.Second}))
			}
		}
		if p > 0 {
			s.verbosef("%s, p %.3f for %s", e.name(), p, e.duration.Round(time.Millisecond))
			s.wait(e.duration)
		}
	}
}
