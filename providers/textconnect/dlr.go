package textconnect

import (
	"context"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// states maps the delivery states of a message, in upper case, to their meaning. The states are
// the states of FastSMS, the product that TextConnect sells. The vendor's page shows only "Sent".
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

// MessageStatus reads the delivery status of one message (CheckMessageStatus). The gateway accepts
// only one message ID in a call.
func (p *Provider) MessageStatus(ctx context.Context, messageID string) (providers.MessageStatus, error) {
	if messageID == "" {
		return providers.MessageStatus{}, refusal(opStatus, "the message ID is missing")
	}
	reply, err := p.post(ctx, opStatus, httpclient.AppendField(p.form("CheckMessageStatus"), "MessageID", messageID))
	if err != nil {
		return providers.MessageStatus{}, err
	}
	word := firstLine(reply.Body)
	report, ok := parseState(word)
	if !ok {
		if report.State, ok = httpclient.StateWord(word); !ok {
			return providers.MessageStatus{}, refused(opStatus, reply)
		}
	}
	return report, nil
}

// parseState parses one of the states, in upper or lower case.
func parseState(word string) (providers.MessageStatus, bool) {
	report, ok := states[strings.ToUpper(word)]
	if ok {
		report.State = word
	}
	return report, ok
}

// rowState parses the state in a row of a list. For an unknown state it returns a status that is
// not final. It returns no error, so that the caller can use the other rows.
func rowState(word string) providers.MessageStatus {
	report, ok := parseState(word)
	if !ok {
		const longest = 64
		report.State = strings.ToValidUTF8(word[:min(len(word), longest)], "")
	}
	return report
}
