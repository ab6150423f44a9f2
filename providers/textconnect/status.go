package textconnect

import (
	"context"
	"strings"

	"github.com/tuma-sms/tuma/providers"
)

// states are the words for what became of a message (sibling; the page shows "Sent"),
// upper case.
var states = map[string]providers.MessageStatus{
	"PENDING":          {},
	"SENT":             {},
	"DELIVERED":        {Final: true, Delivered: true},
	"FAILED":           {Final: true},
	"UNDELIVERABLE":    {Final: true},
	"EXPIRED":          {Final: true},
	"COMMAND_REJECTED": {Final: true},
	"COMMAND_FAILED":   {Final: true},
	"UNKNOWN":          {},
}

// MessageStatus asks what became of one message (CheckMessageStatus). The gateway
// takes one id a call.
func (p *Provider) MessageStatus(ctx context.Context, messageID string) (providers.MessageStatus, error) {
	if messageID == "" {
		return providers.MessageStatus{}, refusal(opStatus, "no message id")
	}
	reply, err := p.post(ctx, opStatus, providers.AppendField(p.form("CheckMessageStatus"), "MessageID", messageID))
	if err != nil {
		return providers.MessageStatus{}, err
	}
	report, ok := parseState(firstLine(reply.Body))
	if !ok {
		return providers.MessageStatus{}, refused(opStatus, reply)
	}
	return report, nil
}

// parseState reads one of the states, in any case. It has no effects.
func parseState(word string) (providers.MessageStatus, bool) {
	report, ok := states[strings.ToUpper(word)]
	if ok {
		report.State = word
	}
	return report, ok
}

// rowState is the state in a row of a list: a word that is not known says nothing
// final, and takes nothing from the other rows.
func rowState(word string) providers.MessageStatus {
	report, ok := parseState(word)
	if !ok {
		const longest = 64
		report.State = strings.ToValidUTF8(word[:min(len(word), longest)], "")
	}
	return report
}
