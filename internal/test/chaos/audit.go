//go:build unix

package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/producer"
)

// audit compares the results of one gateway's campaigns with what the sandbox recorded for
// the gateway, recipient by recipient.
type audit struct {
	gateway string

	campaigns, recipients                int
	accepted, rejected, unknown, skipped int
	delivered, undelivered               int
	// The field "promised" counts the recipients whose final report `tuma serve` answered with a 2xx.
	promised int
	// The field "duplicates" counts the numbers that the gateway accepted more than once. The field "lost" counts the
	// recipients whose results are wrong in one of these ways: the row or its final status is missing, the number is
	// not the enqueued number, or the status is "accepted" but the gateway never accepted the number.
	duplicates, lost int
	// numbers is how many recipients the gateway has accepted at least once.
	numbers int
	// unknownCalls are the idempotency keys of unknown calls that are not exposed: while such a call was open, chaos
	// did not kill or stop a worker or Redis. So the gateway must have caused each of these calls, by an answer that
	// leaves the outcome open. The field "excused" counts the unknown recipients of exposed calls.
	unknownCalls map[string]bool
	excused      int
	// forbiddenUnknown counts the unknown recipients of campaigns in which no recipient may be unknown.
	forbiddenUnknown int
	// optedOut counts the recipients that opted out during their campaign. skippedOptOuts counts the opted-out
	// recipients that Tuma skipped. reportedInFlight counts the calls that were in flight at the opt-outs, according
	// to Tuma. lateCalls counts the calls to opted-out recipients that came after the opt-outs.
	optedOut, skippedOptOuts, reportedInFlight, lateCalls int
	breaches                                              []string
}

// maxBreaches is how many broken promises of one kind the report lists. The counts of the report include all broken
// promises.
const maxBreaches = 20

func (a *audit) breach(format string, args ...any) {
	if len(a.breaches) < maxBreaches {
		a.breaches = append(a.breaches, a.gateway+": "+fmt.Sprintf(format, args...))
	}
}

// checkRow compares one result with the gateway. The parameter "got" is how often the gateway accepted the number
// of the result. The parameter "want" is the enqueued phone number. If "sure" is true, the recipient must not be unknown.
// The function exposed() reports whether the call with an idempotency key may end unknown.
func (a *audit) checkRow(campaign string, r producer.Result, want uint64, got int, sure bool, exposed func(uuid string) bool) {
	a.recipients++
	what := fmt.Sprintf("%s row %d is %s (%s %s %s)", campaign, r.Row, r.Status, r.Reason, r.Code, r.MessageUUID)
	if strings.TrimSpace(r.Input) != strconv.FormatUint(want, 10) {
		a.lost++
		a.breach("%s, and its number is %.20q, not %d as enqueued", what, r.Input, want)
		return
	}
	if got > 0 {
		a.numbers++
	}
	if got > 1 {
		a.duplicates++
		a.breach("%s, and the gateway accepted it %d times", what, got)
	}
	switch r.Status {
	case "accepted", delivered, undelivered:
		switch r.Status {
		case delivered:
			a.delivered++
		case undelivered:
			a.undelivered++
		default:
			a.accepted++
		}
		if got == 0 {
			a.lost++
			a.breach("%s, but the gateway never accepted it", what)
		}
	case "rejected", "skipped":
		if r.Status == "rejected" {
			a.rejected++
		} else {
			a.skipped++
		}
		if got > 0 {
			a.breach("%s, but the gateway accepted it", what)
		}
	case "unknown":
		a.unknown++
		switch {
		case sure:
			a.forbiddenUnknown++
			a.breach("%s, but the gateway answers repeated keys with the first result", what)
		case exposed(r.MessageUUID):
			a.excused++
		default:
			a.unknownCalls[r.MessageUUID] = true
		}
	default:
		a.lost++
		a.breach("%s at the end; it must have a final status", what)
	}
}

// checkDelivery compares one result with what the gateway reports about the message.
func (a *audit) checkDelivery(campaign string, r producer.Result, w lastWord) {
	if w.promised {
		a.promised++
	}
	switch {
	case isFinal(r.Status) && r.Status != w.final:
		a.breach("%s row %d is %s (%s %s %s), but the gateway's last report is %q", campaign, r.Row, r.Status, r.Reason, r.Code, r.MessageID, w.final)
	case w.promised && r.Status != w.final:
		a.breach("%s row %d is %s (%s %s %s %s), but tuma serve answered a report that it is %s with a 2xx", campaign, r.Row, r.Status, r.Reason, r.Code, r.MessageID, r.MessageUUID, w.final)
	}
}

// checkOptOut compares one result with the opt-out of its number, and with the calls to the
// number that reached the gateway. The parameter "got" is how often the gateway accepted the number.
func (a *audit) checkOptOut(campaign string, r producer.Result, got int, is numberHistory) {
	what := fmt.Sprintf("%s row %d is %s (%s %s %s)", campaign, r.Row, r.Status, r.Reason, r.Code, r.MessageUUID)
	if got > 0 && len(is.calls) == 0 {
		a.breach("%s, and the gateway accepted it in a call that chaos has not recorded", what)
	}
	skipped := r.Status == "skipped"
	if !is.optedOut {
		if skipped {
			a.breach("%s, but has not opted out", what)
		}
		return
	}
	a.optedOut++
	if is.returned.IsZero() {
		a.breach("%s, and its opt-out never returned without an error", what)
		return
	}
	late, allowed := is.lateCalls(), is.allowedCalls(r)
	a.reportedInFlight += allowed
	a.lateCalls += late
	switch {
	case skipped && r.Reason != "opted_out":
		a.breach("%s, but has opted out: the reason must be opted_out", what)
	case skipped:
		a.skippedOptOuts++
	case len(is.calls) == 0 && r.Status != "unknown":
		a.breach("%s, but has opted out, and no call to it reached the gateway", what)
	}
	if late > allowed {
		a.breach("%s, and %d calls to it came after its opt-out was back; %d were in flight at that time (by a STOP: %t)", what, late, allowed, is.byWord)
	}
}

// gatewayCounts are the figures that the sandbox recorded for a gateway: numbers accepted, numbers
// accepted again, and idempotency keys used for two different calls.
type gatewayCounts struct {
	numbers, duplicates, conflicts int
	// broken counts the calls whose outcome the gateway left open because of a fault, or
	// whose caller had closed the connection before the answer.
	broken int
}

// The method "finish" compares what the audit has counted in the results of all campaigns with the counts of the
// gateway.
func (a *audit) finish(b gatewayCounts) {
	if b.numbers != a.numbers {
		a.breach("it accepted %d numbers, but %d of them are in the results", b.numbers, a.numbers)
	}
	if b.duplicates > 0 && a.duplicates == 0 {
		a.breach("it counts %d duplicates", b.duplicates)
	}
	if b.conflicts > 0 {
		a.breach("%d calls had the idempotency key of an earlier call with other contents", b.conflicts)
	}
	if len(a.unknownCalls) > b.broken {
		a.breach("%d calls are unknown though nothing was killed or stopped; the gateway broke only %d", len(a.unknownCalls), b.broken)
	}
}
