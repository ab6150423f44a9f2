package polling

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/script"
)

//go:embed join_span.lua
var joinSpanSource string

// joinSpanScript runs even when Redis has reached maxmemory, as the settle of the call does. The
// worker settles the call right after this script.
var joinSpanScript = script.NewAlwaysAllowed("join_span", joinSpanSource)

// maxSpanCalls is the maximum number of calls of one span of time. The reports of further calls are not requested.
const maxSpanCalls = 50_000

// joinSpanArgs are the arguments of join_span.lua.
type joinSpanArgs struct {
	Span, Call, State string
	Due               time.Time
	Most, MostCalls   int
	Life              time.Duration
}

// AddToSpan adds a call to the calls of its span of time. One request then asks for the delivery reports of all these
// calls. life is how long the call waits for its reports. If a call is added twice, the second AddToSpan changes
// nothing. If AddToSpan returns ErrFull, the call was not added.
func (q *Queue) AddToSpan(ctx context.Context, c ledger.SentCall, life time.Duration) error {
	s := spanOf(c.At, q.span)
	x := Call{Span: s, Step: q.first}
	x.At = s.end()
	out, err := q.scripts.Run(ctx, joinSpanScript, []string{turnsKey(q.login), statesKey(q.login)},
		script.Args(joinSpanArgs{s.name(), memberName(c), x.state(noToken), s.end().Add(q.schedule[q.first]), q.most, q.mostInSpan, life + keepLonger})...)
	if err == nil && out[0] == "full" {
		err = ErrFull
	}
	if err != nil {
		return fmt.Errorf("schedule requests for delivery reports of %s: %w", c.Campaign, err)
	}
	return nil
}

// memberName returns the name of a call in the list of the calls of a span.
func memberName(c ledger.SentCall) string { return campaignName(c.BatchRef) + " " + callName(c) }

// parseMember parses the name of a call of a span.
func parseMember(name string) (ledger.SentCall, bool) {
	campaign, call, _ := strings.Cut(name, " ")
	c, ok := parseCall(campaign, call)
	return c.SentCall, ok && campaign != spanCampaign
}

// The method "members" returns the names of the calls of a span.
func (q *Queue) members(ctx context.Context, s Span) ([]string, error) {
	names, err := q.scripts.Redis().SMembers(ctx, turnsKey(q.login)+":m:"+s.name()).Result()
	if err != nil {
		return nil, fmt.Errorf("read the calls of a span of time: %w", err)
	}
	return names, nil
}
