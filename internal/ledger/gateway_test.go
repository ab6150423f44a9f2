package ledger

import (
	"fmt"

	"pgregory.net/rapid"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// modelGateway simulates the two gateways of a test campaign. It records the truth: how often each
// recipient's message was really accepted.
type modelGateway struct {
	rt    *rapid.T
	known map[string]map[int]campaign.Record // outcomes of the requests at account 0, by idempotency key and row
	taken map[int]int                        // number of accepted messages, by row
	count int
}

// gatewayReply is the result of one submission as the worker sees it.
type gatewayReply struct {
	kind    replyKind
	records []campaign.Record // the outcomes in the answer, if the kind is "answered" or "partial"
}

type replyKind string

const (
	unreached replyKind = "unreached" // the call certainly did not reach the gateway
	lost      replyKind = "lost"      // the gateway processed the call, but the answer is lost
	answered  replyKind = "answered"  // the gateway processed the call, and the answer names every recipient
	partial   replyKind = "partial"   // the gateway processed the call, and the answer names some recipients
	refused   replyKind = "refused"   // the gateway refused the whole call permanently
	busy      replyKind = "busy"      // the gateway refused the whole call temporarily
)

func (g *modelGateway) submit(account int, key string, rows []int) gatewayReply {
	kinds := []replyKind{answered, answered, answered, lost, lost, partial, refused, busy, unreached}
	known, again := g.known[key]
	again = again && account == 0
	kind := rapid.SampledFrom(kinds).Draw(g.rt, "reply")
	if kind == unreached || kind == refused || kind == busy {
		return gatewayReply{kind: kind}
	}
	if !again {
		known = map[int]campaign.Record{}
		for _, row := range rows {
			known[row] = g.decide(row)
		}
		g.known[key] = known
	}
	out := gatewayReply{kind: kind}
	for _, row := range rows {
		r := known[row]
		if kind == partial && rapid.Bool().Draw(g.rt, "unsaid") {
			r = unknown("unsaid")
		}
		out.records = append(out.records, r)
	}
	return out
}

func (g *modelGateway) decide(row int) campaign.Record {
	switch rapid.SampledFrom([]string{"accept", "accept", "accept", "reject", "later"}).Draw(g.rt, "verdict") {
	case "reject":
		return rejected("bad_number")
	case "later":
		return refusedForNow()
	}
	g.taken[row]++
	g.count++
	return accepted(fmt.Sprintf("id-%d-%d", row, g.count))
}
