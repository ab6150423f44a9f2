//go:build unix

package main

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// The final statuses of an accepted message.
const (
	delivered   = "delivered"
	undelivered = "undelivered"
)

func isFinal(status string) bool { return status == delivered || status == undelivered }

func finalOf(isDelivered bool) string {
	if isDelivered {
		return delivered
	}
	return undelivered
}

// deliveryLog records the delivery reports that `tuma serve` has answered with a 2xx, and the final statuses that chaos
// has seen in results. Safe for concurrent use.
type deliveryLog struct {
	// breach notes a broken promise.
	breach func(format string, args ...any)

	mu       sync.Mutex
	promised map[uint64]string         // maps a number to the final status in a report that got a 2xx
	seen     map[string]map[int]string // maps a campaign and a row to the first final status that chaos saw
	most     map[string]finals         // maps a campaign to the highest counts that chaos saw
}

// finals are the counts of final statuses in a campaign's status.
type finals struct{ delivered, undelivered int }

func newDeliveryLog(breach func(string, ...any)) *deliveryLog {
	return &deliveryLog{breach: breach, promised: map[uint64]string{}, seen: map[string]map[int]string{}, most: map[string]finals{}}
}

// The method "answered" records the answer to a delivery report of Africa's Talking.
func (d *deliveryLog) answered(form url.Values, status int) {
	number, err := strconv.ParseUint(strings.TrimPrefix(form.Get("phoneNumber"), "+"), 10, 64)
	word := form.Get("status")
	if err != nil || status/100 != 2 || word == "Sent" {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.promised[number] = finalOf(word == "Success")
}

// promiseOf returns the final status in the delivery report about a number's message, if that report got a 2xx.
// Otherwise it returns "".
func (d *deliveryLog) promiseOf(number uint64) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.promised[number]
}

// The method "see" compares a result with the final status that an earlier read of the results has shown.
func (d *deliveryLog) see(campaign string, r producer.Result) {
	d.mu.Lock()
	defer d.mu.Unlock()
	rows := d.seen[campaign]
	first, ok := rows[r.Row]
	switch {
	case ok && r.Status != first:
		d.breach("%s row %d was %s and is %s now: a final status must not change", campaign, r.Row, first, r.Status)
	case !ok && isFinal(r.Status):
		if rows == nil {
			rows = map[int]string{}
			d.seen[campaign] = rows
		}
		rows[r.Row] = r.Status
	}
}

// seeCounts compares the counts of a campaign's status with those of earlier reads. One goroutine calls it, so that the
// reads are in order.
func (d *deliveryLog) seeCounts(s producer.Status) {
	d.mu.Lock()
	defer d.mu.Unlock()
	most, now := d.most[s.ID], finals{s.Delivered, s.Undelivered}
	if now.delivered < most.delivered || now.undelivered < most.undelivered {
		d.breach("%s had %+v and has %+v now: final statuses must not change", s.ID, most, now)
	}
	d.most[s.ID] = finals{max(most.delivered, now.delivered), max(most.undelivered, now.undelivered)}
}

// sampledRows returns in how many rows a final status was seen.
func (d *deliveryLog) sampledRows() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for rows := range maps.Values(d.seen) {
		n += len(rows)
	}
	return n
}

// sampledAtOnce is how many campaigns sampleFinals reads in a second.
const sampledAtOnce = 2

// sampleFinals reads the results of some campaigns once a second, until ctx ends. It checks that no final status
// changes. Half of the time it chooses among the latest campaigns, because their reports are still coming in.
func (r *chaosRun) sampleFinals(ctx context.Context) {
	for tick := time.Tick(time.Second); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
		all := slices.DeleteFunc(r.traffic.campaigns(), func(c *campaign) bool {
			enqueued, _ := r.traffic.progress(c)
			return !enqueued || !reportsDeliveries(c.gateway)
		})
		for range min(sampledAtOnce, len(all)) {
			from := 0
			if rand.N(2) == 0 {
				from = max(0, len(all)-10)
			}
			r.seeResults(ctx, all[from+rand.N(len(all)-from)].id)
		}
	}
}

// seeResults reads the results of a campaign. It ignores an error and stops reading, because another fault may have
// killed Redis.
func (r *chaosRun) seeResults(ctx context.Context, id string) {
	for x, err := range r.traffic.watcher.Results(ctx, id) {
		if err != nil {
			return
		}
		r.deliveries.see(id, x)
	}
}

// reportsDeliveries reports whether Tuma learns from a gateway which messages are delivered.
func reportsDeliveries(gateway string) bool {
	return gateway == posted || slices.Contains(polled, gateway)
}

// lastWord is what a gateway reports, or would report, about a message.
type lastWord struct {
	final string // delivered or undelivered; empty if the gateway never reports a final status
	// promised means that `tuma serve` has answered a report of the final status with a 2xx.
	promised bool
}

// lastWordOf returns what a gateway reports about the message of a result. The parameter "posts" is from the
// gateway that posts reports. It maps a number to true if the message to this number is delivered.
func (r *chaosRun) lastWordOf(gateway string, number uint64, x producer.Result, posts map[uint64]bool) (w lastWord) {
	switch {
	case gateway == posted:
		if isDelivered, ok := posts[number]; ok {
			w.final = finalOf(isDelivered)
		}
		if promise := r.deliveries.promiseOf(number); promise != "" {
			w = lastWord{final: promise, promised: true}
		}
	case slices.Contains(polled, gateway) && x.MessageID != "":
		w.final = polledWord(r.seed, x.MessageID)
	}
	return w
}

// polledWord returns the final status that a polled gateway with this seed reports about a message.
func polledWord(seed uint64, messageID string) string {
	d := deliveries.Of(seed, messageID, 1000*time.Hour)
	if !d.Final {
		return ""
	}
	return finalOf(d.Delivered)
}

// awaitReports returns when two conditions hold: no report waits at the gateway that posts reports, and the results
// have a final status for each report with a 2xx. It also returns when ctx ends. Then the method "report" finds what
// is missing.
func (r *chaosRun) awaitReports(ctx context.Context) {
	open := slices.DeleteFunc(r.traffic.campaigns(), func(c *campaign) bool { return c.gateway != posted })
	for tick := time.Tick(200 * time.Millisecond); ; {
		if r.gateway.Gateway(posted).ReportStats().Waiting == 0 {
			open = slices.DeleteFunc(open, func(c *campaign) bool { return r.hasPromised(ctx, c) })
			if len(open) == 0 {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		}
	}
}

// hasPromised reports whether the results of a campaign have a final status for each recipient whose final report got
// a 2xx.
func (r *chaosRun) hasPromised(ctx context.Context, c *campaign) bool {
	row := uint64(0)
	for x, err := range r.traffic.watcher.Results(ctx, c.id) {
		if err != nil {
			return false
		}
		if r.deliveries.promiseOf(c.first+row) != "" && !isFinal(x.Status) {
			return false
		}
		row++
	}
	return true
}

// reportStats returns the counts of the reports that were posted.
func (r *chaosRun) reportStats() simulator.ReportStats {
	return r.gateway.Gateway(posted).ReportStats()
}
