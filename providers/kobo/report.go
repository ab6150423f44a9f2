package kobo

import (
	"context"
	"strings"

	"github.com/tuma-sms/tuma/providers"
)

// states are the words of a delivery report, as the product that KoboMobile is a
// white label of answers them; they are SMPP's. KoboMobile's page lists none.
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

// MessageStatus asks what became of one message. The gateway takes one id a call.
func (p *Provider) MessageStatus(ctx context.Context, messageID string) (providers.MessageStatus, error) {
	if messageID == "" {
		e := providers.NoCall(opReport, "no message id")
		e.Scope = providers.Call
		return providers.MessageStatus{}, e
	}
	reply, err := p.client.PostForm(ctx, opReport, reportPath, providers.AppendField([]byte(p.login.Reveal()), "msgid", messageID))
	if err != nil {
		return providers.MessageStatus{}, err
	}
	report, ok := parseReport(reply.Body)
	if !ok {
		return providers.MessageStatus{}, reply.Refused(opReport, refusal(unquote(reply.Body)))
	}
	return report, nil
}

// parseReport reads a state, which may be followed by a detail ("UNDELIV err:0dc").
// It has no effects.
func parseReport(body []byte) (providers.MessageStatus, bool) {
	text := string(unquote(body))
	word, detail, _ := strings.Cut(text, " ")
	report, ok := states[strings.ToUpper(word)]
	if !ok || len(text) > 64 || strings.ContainsFunc(detail, func(r rune) bool { return r < ' ' || r > '~' }) {
		return providers.MessageStatus{}, false
	}
	report.State = text
	return report, true
}
