// Package polling requests delivery reports from gateways that do not post them. The worker adds each accepted call to
// a queue in Redis. Every process `tuma serve` takes due calls from the queue, and requests the reports of their
// messages from the gateway. Only one process at a time has the lease of a call. All processes share one budget of requests.
package polling

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/ratelimit"
)

// DefaultRate is the default maximum number of requests for delivery reports a second.
const DefaultRate ratelimit.Rate = 5

// defaultSchedule has the times of the requests about a message without a final report, counted from its acceptance.
var defaultSchedule = []time.Duration{time.Minute, 10 * time.Minute, time.Hour, 6 * time.Hour, 24 * time.Hour, 72 * time.Hour}

// ErrLost means that the lease of a call has ended, so that another process may have it.
var ErrLost = errors.New("the lease has ended")

// keepLonger is added to the time for which messages wait for reports. Redis keeps the keys for the sum of
// both times, because some calls have their turn late.
const keepLonger = 24 * time.Hour

// Keys of a login. All of these keys have the login's hash tag, so that a script may use several keys. callsKey is the
// key of a campaign's calls, sorted by the time at which they are due. The scripts compute callsKey by themselves.
func turnsKey(login string) string  { return script.KeyPrefix + "polls:{" + login + "}" }
func statesKey(login string) string { return turnsKey(login) + ":s" }
func budgetKey(login string) string { return turnsKey(login) + ":b" }

// noToken stands for the token of a call that is not leased.
const noToken = "-"

// Queue has the calls of one login that wait for delivery reports, and the budget of the requests for these reports. A
// Queue is safe for concurrent use, even by several processes.
type Queue struct {
	scripts  *script.Runner
	login    string
	budget   budget
	schedule []time.Duration
	// The field "most" is the maximum number of waiting calls and spans. The field mostInSpan is the
	// maximum number of calls of a span.
	most, mostInSpan int
	span             time.Duration // the length of a span
	first            int           // the first step of the schedule
}

// NewQueue returns the Queue of a login (providers.Info.Fingerprint). rate is the maximum number of requests a second.
// Only Ask uses this rate. NewQueue sends nothing to Redis.
func NewQueue(r *script.Runner, login string, rate ratelimit.Rate) *Queue {
	return &Queue{scripts: r, login: login, budget: budgetOf(rate), schedule: defaultSchedule, most: maxWaiting, mostInSpan: maxSpanCalls, span: spanLength}
}

// Call is a call of the queue, or a span of time with several calls.
type Call struct {
	ledger.SentCall // without Rows
	// Span is the span of time. If it is set, the SentCall has only At, which is the end of the span.
	Span Span
	// Due is the time of the next request. Step is the position of this time in the schedule.
	Due  time.Time
	Step int
	// Position is the first position in the call that has had no request in this step. For a span, Position is a time
	// in ms, counted from the start of the requested time range. The gateway has answered the requests for the range up
	// to Position.
	Position int
	token    string
}

// state returns the stored state of a call: the time of the acceptance, the step, the position, and the token of the
// lease.
func (c Call) state(token string) string {
	return fmt.Sprintf("%d %d %d %s", c.At.UnixMilli(), c.Step, c.Position, token)
}

// The method "next" returns the call with the next step of the schedule. In this step, the requests begin again with
// the first message of the call. The parameter "wait" is how long the call waits for reports. If the schedule has no
// further step within this time, Due is zero.
func (c Call) next(schedule []time.Duration, now time.Time, wait time.Duration) Call {
	c.Position, c.Due = 0, time.Time{}
	for c.Step++; c.Step < len(schedule); c.Step++ {
		// Skip a step whose time is over already. The last request was late, and was sent after this time.
		if at := c.At.Add(schedule[c.Step]); at.After(now) {
			if schedule[c.Step] <= wait {
				c.Due = at
			}
			return c
		}
	}
	return c
}

// The method "names" returns the two names of a call in the queue.
func (c Call) names() (campaign, call string) {
	if c.Span.Length > 0 {
		return spanCampaign, c.Span.name()
	}
	return campaignName(c.BatchRef), callName(c.SentCall)
}

// campaignName returns the name that the queue uses for one upload of a campaign.
func campaignName(r ledger.BatchRef) string { return r.Campaign + ":" + r.Upload }

// callName returns the name that the queue uses for a generation of a call, within the campaign.
func callName(c ledger.SentCall) string {
	return c.Name + "." + strconv.Itoa(c.Call) + "." + strconv.Itoa(c.Generation)
}

// parseCall parses the two names of a call. It returns false for names that no call has.
func parseCall(campaign, name string) (c Call, ok bool) {
	if campaign == spanCampaign {
		c.Span, ok = parseSpan(name)
		return c, ok && c.Span.name() == name
	}
	at, parts := strings.LastIndexByte(campaign, ':'), strings.Split(name, ".")
	if at < 0 || len(parts) != 4 {
		return c, false
	}
	c.Campaign, c.Upload, c.Name = campaign[:at], campaign[at+1:], parts[0]+"."+parts[1]
	var err, err2 error
	c.Call, err = strconv.Atoi(parts[2])
	c.Generation, err2 = strconv.Atoi(parts[3])
	return c, err == nil && err2 == nil && min(c.Call, c.Generation) >= 0 && callName(c.SentCall) == name
}

// budget limits the rate of requests. It has parts, and each part allows one request in any period of the
// length "window".
type budget struct {
	parts  int
	window time.Duration
}

// maxParts is the maximum number of parts of a budget. Redis holds the parts that are in use.
const maxParts = 1000

// windowMargin is a part of budget.window. It makes up for the scripts, which round times down to milliseconds.
const windowMargin = 5 * time.Millisecond

// budgetOf returns a budget that never exceeds a rate in any sliding second. If the rate is above one request a second,
// it is rounded down: 2.5 allows two requests a second.
func budgetOf(r ratelimit.Rate) budget {
	if r <= 0 {
		r = DefaultRate
	}
	parts := min(max(1, int(r)), maxParts)
	return budget{parts, max(time.Second, time.Duration(float64(parts)/float64(r)*float64(time.Second))) + windowMargin}
}
