//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tuma-sms/tuma/internal/queue"
	"github.com/tuma-sms/tuma/internal/sandbox"
	"github.com/tuma-sms/tuma/producer"
)

// campaign is one that was enqueued, or is about to be.
type campaign struct {
	id, gateway string
	first       uint64 // its numbers follow each other
	total       int
	// sure: the gateway's answers to a repeated key leave no doubt, so nobody may end unknown.
	noUnknown bool
	// stubborn: the gateway has the same error for every repeated key.
	repeatsError bool
	// twice: enqueued twice at once; thrice: its planning is asked for three times.
	enqueuedTwice, plannedThrice bool
	// leaving: people opt out of it while it is being sent.
	hasOptOuts bool
	enqueued   bool
	ended      bool
}

// Every gateway has numbers of its own, enough for more than an hour.
const (
	firstNumber = 254_710_000_000
	perBlock    = 4_000_000
)

func (c *campaign) recipients() iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		for i := range c.total {
			// As wide as a spreadsheet may have it: so a large campaign has several pages.
			if !yield(producer.Recipient{Number: fmt.Sprintf("%-50d", c.first+uint64(i))}, nil) {
				return
			}
		}
	}
}

// repeats are the ways in which KoboMobile may answer a key that comes again, in turn.
var repeats = []sandbox.Repeat{sandbox.RepeatAccepts, sandbox.RepeatAll, sandbox.RepeatAccepts, sandbox.RepeatError}

// traffic is the campaigns of a run: one at each gateway at any time.
type traffic struct {
	// client enqueues by the way that is disturbed, watcher reads by one that is not.
	client, watcher *producer.Client
	queue           *queue.Queue
	gateway         *sandbox.Server
	size            func(gateway string) int
	optOuts         *optOutLog
	pause           time.Duration // between two opt-outs of a campaign, at most

	samples, unread, enqueueErrors atomic.Int64
	background                     sync.WaitGroup // extra campaigns, and opt-outs

	mu       sync.Mutex
	all      []*campaign
	given    map[string]int // numbers, by gateway
	breaches []string
}

// open are the ids of the campaigns that have not ended.
func (t *traffic) open() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []string
	for _, c := range t.all {
		if c.enqueued && !c.ended {
			ids = append(ids, c.id)
		}
	}
	return ids
}

// stands says how far a campaign has come.
func (t *traffic) progress(c *campaign) (enqueued, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.enqueued, c.ended
}

// isStubborn says whether a campaign's gateway refuses every repeat.
func (t *traffic) alwaysRefusesRepeats(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.ContainsFunc(t.all, func(c *campaign) bool { return c.id == id && c.repeatsError })
}

func (t *traffic) campaigns() []*campaign {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.all)
}

// begin makes a campaign with numbers that no other one has; nil: there are none left.
func (t *traffic) newCampaign(gateway string) *campaign {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, n := slices.Index(sandbox.Names(), gateway), 0
	for _, c := range t.all {
		if c.gateway == gateway {
			n++
		}
	}
	c := &campaign{id: fmt.Sprintf("chaos-%s-%d", gateway, n+1), gateway: gateway, total: t.size(gateway), hasOptOuts: hasOptOuts(n)}
	c.first = uint64(firstNumber + i*perBlock + t.given[gateway])
	if t.given[gateway] += c.total; t.given[gateway] > perBlock {
		return nil
	}
	t.all = append(t.all, c)
	return c
}

func (t *traffic) set(what *bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*what = true
}

func (t *traffic) breach(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.breaches) < maxBreaches {
		t.breaches = append(t.breaches, fmt.Sprintf(format, args...))
	}
}

// keep runs one campaign after the other at a gateway until over is closed, and
// returns when the last has ended, or the context.
func (t *traffic) runCampaigns(ctx context.Context, gateway string, over <-chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		case <-ctx.Done():
			return
		default:
		}
		c := t.newCampaign(gateway)
		if c == nil {
			return // out of numbers
		}
		if gateway == "kobo" {
			// The last one has ended, so none of its keys comes again.
			repeat := repeats[n%len(repeats)]
			t.gateway.SetRepeat(repeat)
			t.mu.Lock()
			c.noUnknown, c.repeatsError = repeat == sandbox.RepeatAccepts, repeat == sandbox.RepeatError
			t.mu.Unlock()
		}
		t.startOptOuts(ctx, c)
		if !t.enqueue(ctx, c) || !t.follow(ctx, c) {
			return
		}
	}
}

// extra runs a campaign beside the others, and returns when it is enqueued.
func (t *traffic) runExtra(ctx context.Context, gateway string, twice, thrice bool) {
	c := t.newCampaign(gateway)
	if c == nil {
		return
	}
	c.enqueuedTwice, c.plannedThrice = twice, thrice
	t.startOptOuts(ctx, c)
	if t.enqueue(ctx, c) {
		t.background.Go(func() { t.follow(ctx, c) })
	}
}

// enqueue says a campaign until it is heard.
func (t *traffic) enqueue(ctx context.Context, c *campaign) bool {
	spec := producer.Campaign{ID: c.id, Via: c.gateway, Body: "Habari! Our shop opens at 9 on Saturday. Karibu."}
	if c.id[len(c.id)-1]%3 == 0 {
		// Of these a tenth goes first, and whatever comes of it the others follow.
		spec.Canary, spec.MaxRejected = 1+c.total/10, 100
	}
	var twin sync.WaitGroup
	if c.enqueuedTwice {
		twin.Go(func() { _, _ = t.client.Enqueue(ctx, spec, c.recipients()) }) // the other one reports
	}
	defer twin.Wait()
	for {
		_, err := t.client.Enqueue(ctx, spec, c.recipients())
		if err == nil {
			break
		}
		if errors.Is(err, producer.ErrConflict) || errors.Is(err, producer.ErrInvalid) {
			t.breach("enqueue %s: %v", c.id, err)
			return false
		}
		t.enqueueErrors.Add(1)
		select {
		case <-ctx.Done():
			return false
		case <-time.After(100*time.Millisecond + rand.N(200*time.Millisecond)):
		}
	}
	if c.plannedThrice {
		for wake := 2; wake <= 3; wake++ {
			_ = t.queue.Wake(ctx, queue.FirstQueue(c.gateway, false, c.total), queue.Pointer{Campaign: c.id, Wake: wake}) // the first stands anyway
		}
	}
	t.set(&c.enqueued)
	return true
}

// follow watches a campaign to its end.
func (t *traffic) follow(ctx context.Context, c *campaign) bool {
	for tick := time.Tick(200 * time.Millisecond); ; {
		st, err := t.watcher.Status(ctx, c.id)
		if errors.Is(err, producer.ErrNotFound) {
			t.breach("%s is gone", c.id)
			return false
		}
		if err == nil {
			t.checkI1(st)
			if st.Ended() {
				t.set(&c.ended)
				return true
			}
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick:
		}
	}
}

// sample looks at every open campaign once a second, until the context ends.
func (t *traffic) sample(ctx context.Context) {
	for tick := time.Tick(time.Second); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		for _, id := range t.open() {
			st, err := t.watcher.Status(ctx, id)
			if err != nil {
				t.unread.Add(1)
				continue
			}
			t.samples.Add(1)
			t.checkI1(st)
		}
	}
}

// checkI1: every recipient has exactly one status at every moment.
func (t *traffic) checkI1(s producer.Status) {
	sum := s.Pending + s.Accepted + s.Delivered + s.Undelivered + s.Rejected + s.Unknown + s.Skipped
	if s.State != producer.Uploading && sum != s.Total {
		t.breach("I1: %d of %d recipients of %s have a status: %+v", sum, s.Total, s.ID, s)
	}
}
