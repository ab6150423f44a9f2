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
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// campaign is a campaign that the run has enqueued or will enqueue.
type campaign struct {
	id, gateway string
	first       uint64 // the first phone number; the other numbers follow without a gap
	total       int
	// noUnknown means that no recipient may end unknown. This is so if the gateway repeats its first answer when an
	// accepted call is repeated, and handles the repeat of a failed call as a new call.
	noUnknown bool
	// repeatsError means that the gateway answers every repeat of an accepted call with the
	// error error_msgid.
	repeatsError bool
	// enqueuedTwice means that two calls of Enqueue run at once. plannedThrice means that the planning task of
	// the campaign is queued three times.
	enqueuedTwice, plannedThrice bool
	// byAPI means that the campaign is enqueued over the HTTP API. The field "receipt" then has the receipt that the
	// HTTP API returned. The field "message" is true if the campaign is a single message.
	byAPI, message bool
	receipt        apiReceipt
	// hasOptOuts means that recipients opt out while the campaign is sent.
	hasOptOuts bool
	enqueued   bool
	ended      bool
}

// Each gateway has its own block of perBlock numbers. The first block begins at firstNumber. A run
// needs more than an hour to use up a block.
const (
	firstNumber = 254_710_000_000
	perBlock    = 4_000_000
)

func (c *campaign) recipients() iter.Seq2[producer.Recipient, error] {
	return func(yield func(producer.Recipient, error) bool) {
		for i := range c.total {
			// Spreadsheets may leave trailing spaces. Here they also make a large campaign need
			// several upload pages.
			if !yield(producer.Recipient{Number: fmt.Sprintf("%-50d", c.first+uint64(i))}, nil) {
				return
			}
		}
	}
}

// The variable "repeats" lists the ways in which a gateway answers a repeated idempotency key. The campaigns of a
// gateway with keys use them in turn.
var repeats = []simulator.Repeat{simulator.RepeatAccepts, simulator.RepeatAll, simulator.RepeatAccepts, simulator.RepeatError}

// traffic sends the campaigns of a run. The function concurrentCampaigns() returns how many campaigns a gateway gets
// at a time. Safe for concurrent use.
type traffic struct {
	// client enqueues through the proxy, so faults of the connection to Redis affect it. watcher
	// reads from Redis directly.
	client, watcher *producer.Client
	queue           *queue.Queue
	gateway         *simulator.Server
	size            func(gateway string) int
	optOuts         *optOutLog
	pause           time.Duration // maximum time between two opt-outs of a campaign

	// The field "api" enqueues some campaigns over HTTP. The function byWord() opts a recipient out with a message. If
	// the run has no `tuma serve`, the fields "api" and "byWord" are nil.
	api    *apiClient
	byWord func(context.Context, *campaign, uint64)
	// The method "sample" calls seeCounts with each status that it reads.
	seeCounts func(producer.Status)

	samples, unread, enqueueErrors atomic.Int64
	background                     sync.WaitGroup // extra campaigns, and opt-outs

	mu       sync.Mutex
	all      []*campaign
	given    map[string]int // how many numbers of its block each gateway has used
	messages int            // number of single messages
	incoming uint64         // how many subscribers have sent messages
	breaches []string
}

// The method "open" returns the IDs of the campaigns that are enqueued and have not ended.
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

// notEnded returns the IDs of the campaigns that have not ended. It includes campaigns whose enqueue has got no
// answer yet, because workers may already send them.
func (t *traffic) notEnded() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var ids []string
	for _, c := range t.all {
		if !c.ended {
			ids = append(ids, c.id)
		}
	}
	return ids
}

// The constant "recent" is the number of ended campaigns that are sampled. They are sampled because delivery reports
// also come after the end of a campaign.
const recent = 10

// The method "sampled" returns the IDs of the open campaigns, and of the last campaigns that have ended.
func (t *traffic) sampled() (ids []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ended := 0
	for _, c := range slices.Backward(t.all) {
		if c.ended {
			ended++
		}
		if c.enqueued && (!c.ended || ended <= recent) {
			ids = append(ids, c.id)
		}
	}
	return ids
}

// The method "progress" reports whether a campaign is enqueued, and whether it has ended.
func (t *traffic) progress(c *campaign) (enqueued, ended bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return c.enqueued, c.ended
}

// alwaysRefusesRepeats reports whether the gateway refuses every repeat of an accepted call of
// the campaign with this ID.
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

// newCampaign returns a campaign with numbers that no other campaign has. It returns nil if
// the gateway's block has no more numbers.
func (t *traffic) newCampaign(gateway string) *campaign {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, n := slices.Index(t.gateway.Names(), gateway), 0
	for _, c := range t.all {
		if c.gateway == gateway && !c.message {
			n++
		}
	}
	c := &campaign{id: fmt.Sprintf("chaos-%s-%d", gateway, n+1), gateway: gateway, total: t.size(gateway), hasOptOuts: hasOptOuts(n)}
	c.byAPI = t.api != nil && n%3 == 1
	return t.add(c, i)
}

// newMessage returns a single message to a number that no campaign has. It returns nil if the gateway's block has no
// more numbers.
func (t *traffic) newMessage(gateway string) *campaign {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.messages++
	c := &campaign{id: fmt.Sprintf("chaos-message-%d", t.messages), gateway: gateway, total: 1, byAPI: true, message: true}
	return t.add(c, slices.Index(t.gateway.Names(), gateway))
}

// The method "add" gives a campaign the next numbers of the gateway's block. The parameter "block" is the index of
// the block. The caller holds the lock.
func (t *traffic) add(c *campaign, block int) *campaign {
	c.first = uint64(firstNumber + block*perBlock + t.given[c.gateway])
	if t.given[c.gateway] += c.total; t.given[c.gateway] > perBlock {
		return nil
	}
	t.all = append(t.all, c)
	return c
}

// The method "subscriber" returns a number that is in no campaign.
func (t *traffic) subscriber() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.incoming++
	return firstNumber + uint64(len(t.gateway.Names()))*perBlock + t.incoming
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

// runCampaigns runs one campaign after the other at a gateway until the channel "over" is closed. It returns when the
// last campaign has ended, or when ctx ends.
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
			return // the gateway has used all perBlock numbers
		}
		if vendor, ok := t.gateway.Gateway(gateway).Vendor().(simulator.Repeater); ok {
			// The reply to a repeated key may change here: the previous campaign has ended, so no
			// call repeats one of its keys.
			repeat := repeats[n%len(repeats)]
			vendor.SetRepeat(repeat)
			t.mu.Lock()
			c.noUnknown, c.repeatsError = repeat == simulator.RepeatAccepts, repeat == simulator.RepeatError
			t.mu.Unlock()
		}
		t.startOptOuts(ctx, c)
		if !t.enqueue(ctx, c) || !t.follow(ctx, c) {
			return
		}
	}
}

// runExtra starts one more campaign at a gateway and returns when it is enqueued. If enqueueTwice
// is true, two calls of Enqueue run at once. If planThrice is true, the planning task is queued
// three times.
func (t *traffic) runExtra(ctx context.Context, gateway string, enqueueTwice, planThrice bool) {
	c := t.newCampaign(gateway)
	if c == nil {
		return
	}
	c.enqueuedTwice, c.plannedThrice, c.byAPI = enqueueTwice, planThrice, false
	t.startOptOuts(ctx, c)
	if t.enqueue(ctx, c) {
		t.background.Go(func() { t.follow(ctx, c) })
	}
}

// The method "enqueue" enqueues a campaign, and retries until Enqueue succeeds. It returns false if ctx ends. It also
// returns false if Enqueue fails with an error that a retry cannot fix. Such an error is a broken promise.
func (t *traffic) enqueue(ctx context.Context, c *campaign) bool {
	spec := producer.Campaign{ID: c.id, Via: c.gateway, Body: "Habari! Our shop opens at 9 on Saturday. Karibu."}
	if c.id[len(c.id)-1]%3 == 0 {
		// The canary has a tenth of the recipients. The failure threshold is 100 %, so that the other recipients
		// follow even if the whole canary fails.
		spec.Canary, spec.MaxRejected = 1+c.total/10, 100
	}
	if c.byAPI {
		if !t.enqueueByAPI(ctx, c, spec) {
			return false
		}
		t.set(&c.enqueued)
		return true
	}
	var twin sync.WaitGroup
	if c.enqueuedTwice {
		twin.Go(func() { _, _ = t.client.Enqueue(ctx, spec, c.recipients()) }) // the call below reports the error
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
			_ = t.queue.Wake(ctx, queue.FirstQueue(c.gateway, false, c.total), queue.Pointer{Campaign: c.id, Wake: wake}) // Enqueue has already queued wake 1
		}
	}
	t.set(&c.enqueued)
	return true
}

// The method "follow" checks a campaign's status until the campaign ends, and returns true. It returns false if ctx
// ends. It also returns false if Tuma does not know the campaign any more, which is a broken promise.
func (t *traffic) follow(ctx context.Context, c *campaign) bool {
	for tick := time.Tick(200 * time.Millisecond); ; {
		st, err := t.watcher.Status(ctx, c.id)
		if errors.Is(err, producer.ErrNotFound) {
			t.breach("%s no longer exists", c.id)
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

// The method "sample" checks the status of every open campaign, and of the campaigns that ended last. It does this
// once a second until ctx ends.
func (t *traffic) sample(ctx context.Context) {
	for tick := time.Tick(time.Second); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		for _, id := range t.sampled() {
			st, err := t.watcher.Status(ctx, id)
			if err != nil {
				t.unread.Add(1)
				continue
			}
			t.samples.Add(1)
			t.checkI1(st)
			t.seeCounts(st)
		}
	}
}

// checkI1 checks invariant I1: every recipient has exactly one status at every moment.
func (t *traffic) checkI1(s producer.Status) {
	sum := s.Pending + s.Accepted + s.Delivered + s.Undelivered + s.Rejected + s.Unknown + s.Skipped
	if s.State != producer.Uploading && sum != s.Total {
		t.breach("I1: %d of %d recipients of %s have a status: %+v", sum, s.Total, s.ID, s)
	}
}
