package kobo

import (
	"context"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// states maps the gateway's delivery states, which are the states of the protocol SMPP.
// KoboMobile's page lists no states. The states here are the states of the product that
// KoboMobile sells under its own name.
var states = map[string]providers.MessageStatus{
	"DELIVRD": {Final: true, Delivered: true},
	"UNDELIV": {Final: true},
	"EXPIRED": {Final: true},
	"REJECTD": {Final: true},
	"DELETED": {Final: true},
	"ACCEPTD": {},
	"ENROUTE": {},
	"UNKNOWN": {},
}

// MessageStatus reads the delivery status of one message. The gateway accepts only one message ID
// in a call.
func (p *Provider) MessageStatus(ctx context.Context, messageID string) (providers.MessageStatus, error) {
	if messageID == "" {
		e := providers.NoCall(opReport, "the message ID is missing")
		e.Scope = providers.Call
		return providers.MessageStatus{}, e
	}
	reply, err := p.client.PostForm(ctx, opReport, reportPath, httpclient.AppendField([]byte(p.login.Reveal()), "msgid", messageID))
	if err != nil {
		return providers.MessageStatus{}, err
	}
	report, ok := parseReport(reply.Body)
	if !ok {
		return providers.MessageStatus{}, reply.Refused(opReport, refusal(unquote(reply.Body)))
	}
	return report, nil
}

// parseReport parses a delivery state. A detail may follow the state, as in "UNDELIV err:0dc". A single
// word that is neither in the map "states" nor an error code counts as a state that is not final. One
// example is PROCESSED. After this answer, public programs repeat the request until they get another
// answer.
func parseReport(body []byte) (providers.MessageStatus, bool) {
	text := string(unquote(body))
	word, detail, _ := strings.Cut(text, " ")
	report, ok := states[strings.ToUpper(word)]
	if state, isWord := httpclient.StateWord(text); !ok && isWord && !strings.HasPrefix(strings.ToLower(text), "err") {
		return providers.MessageStatus{State: state}, true
	}
	if !ok || len(text) > 64 || strings.ContainsFunc(detail, func(r rune) bool { return r < ' ' || r > '~' }) {
		return providers.MessageStatus{}, false
	}
	report.State = text
	return report, true
}
