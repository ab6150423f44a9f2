//go:build unix

package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/producer"
)

// audit is a gateway's campaigns held against the gateway's own books, recipient
// by recipient.
type audit struct {
	gateway string

	campaigns, recipients                int
	accepted, rejected, unknown, skipped int
	// duplicates are numbers that the gateway accepted more than once, lost those
	// without a final status or that the gateway never saw though they are accepted.
	duplicates, lost int
	// at is how many of the recipients the gateway has accepted something for.
	numbers int
	// unknownCalls are calls with unknown recipients at which nothing died or stood
	// still: the gateway must have broken them. excused are the other recipients.
	unknownCalls map[string]bool
	excused      int
	// sure are unknown recipients of campaigns in which there may be none.
	forbiddenUnknown int
	// asked have opted out while their campaign was sent, left are those of them who were
	// left out; open are the calls that they were told of, and late those that came.
	optedOut, left, reportedInFlight, late int
	breaches                               []string
}

// mostBreaches is how many are told in words; the counts have them all.
const maxBreaches = 20

func (a *audit) breach(format string, args ...any) {
	if len(a.breaches) < maxBreaches {
		a.breaches = append(a.breaches, a.gateway+": "+fmt.Sprintf(format, args...))
	}
}

// row holds one result against how often the gateway accepted its number. want is
// the number that was enqueued; sure says that nobody may be unknown.
func (a *audit) checkRow(campaign string, r producer.Result, want uint64, got int, sure bool, exposed func(uuid string) bool) {
	a.recipients++
	what := fmt.Sprintf("%s row %d is %s (%s %s %s)", campaign, r.Row, r.Status, r.Reason, r.Code, r.MessageUUID)
	if strings.TrimSpace(r.Input) != strconv.FormatUint(want, 10) {
		a.lost++
		a.breach("%s, and is %.20q, not the number enqueued", what, r.Input)
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
	case "accepted":
		a.accepted++
		if got == 0 {
			a.lost++
			a.breach("%s, and the gateway never accepted it", what)
		}
	case "rejected", "skipped":
		if r.Status == "rejected" {
			a.rejected++
		} else {
			a.skipped++
		}
		if got > 0 {
			a.breach("%s, and the gateway accepted it", what)
		}
	case "unknown":
		a.unknown++
		switch {
		case sure:
			a.forbiddenUnknown++
			a.breach("%s, where a key leaves no doubt", what)
		case exposed(r.MessageUUID):
			a.excused++
		default:
			a.unknownCalls[r.MessageUUID] = true
		}
	default:
		a.lost++
		a.breach("%s at the end", what)
	}
}

// consent holds one result against what its number has asked for, and against the calls
// to it that have come to the gateway, which has accepted it so often.
func (a *audit) checkOptOut(campaign string, r producer.Result, got int, is record) {
	what := fmt.Sprintf("%s row %d is %s (%s %s %s)", campaign, r.Row, r.Status, r.Reason, r.Code, r.MessageUUID)
	if got > 0 && len(is.calls) == 0 {
		a.breach("%s, and was accepted in a call that chaos has not read", what)
	}
	skipped := r.Status == "skipped"
	if !is.optedOut {
		if skipped {
			a.breach("%s, and has not opted out", what)
		}
		return
	}
	a.optedOut++
	if is.returned.IsZero() {
		a.breach("%s, and its opt-out never came back", what)
		return
	}
	late := is.lateCalls()
	a.reportedInFlight += is.inFlight
	a.late += late
	switch {
	case skipped && r.Reason != "opted_out":
		a.breach("%s, and has opted out", what)
	case skipped:
		a.left++
	case len(is.calls) == 0 && r.Status != "unknown":
		a.breach("%s, has opted out, and no call to it has come", what)
	}
	if late > is.inFlight {
		a.breach("%s, and %d calls to it came after its opt-out was back, which told of %d", what, late, is.inFlight)
	}
}

// books are the gateway's own figures.
type books struct {
	numbers, duplicates, conflicts int
	// broken calls were struck by a fault that leaves their outcome open, or their
	// caller had gone before the answer.
	broken int
}

// finish holds the sums against the gateway's.
func (a *audit) finish(b books) {
	if b.numbers != a.numbers {
		a.breach("it accepted %d numbers, and %d of them are in the results", b.numbers, a.numbers)
	}
	if b.duplicates > 0 && a.duplicates == 0 {
		a.breach("it counts %d duplicates", b.duplicates)
	}
	if b.conflicts > 0 {
		a.breach("%d keys stood for two different calls", b.conflicts)
	}
	if len(a.unknownCalls) > b.broken {
		a.breach("%d calls are unknown at which nothing died, and it broke %d", len(a.unknownCalls), b.broken)
	}
}
