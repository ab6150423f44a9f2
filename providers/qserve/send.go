package qserve

import (
	"context"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// Send submits one batch to the gateway, once. The first result has the account's remaining
// credits. Send ignores b.IdempotencyKey and b.Flash.
//
// If a batch has no recipients or too many recipients, Send makes no request. Such a batch is
// Rejected with Scope Campaign. The gateway's error codes or httpclient.StatusVerdict determine
// every other error.
func (p *Provider) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	if what := p.info.Refusal(b); what != "" {
		return nil, providers.NoCall(opSend, what)
	}
	reply, err := p.client.Do(ctx, jsonRequest(opSend, sendPath, sendBody(p.login, b)))
	if err != nil {
		return nil, err
	}
	results, verdict := parseAnswer(reply.Body, b.To)
	return reply.Results(opSend, results, verdict, true)
}

// sendBody returns the body of a send. The buffer must not be reused, because the HTTP transport may
// still read it after the call has returned.
func sendBody(l login, b providers.Batch) []byte {
	from := b.From
	if from == "" {
		from = DefaultSender
	}
	return encode(struct {
		Username string `json:"username"`
		APIKey   string `json:"api_key"`
		SenderID string `json:"sender_id"`
		Phone    string `json:"phone"`
		Message  string `json:"message"`
	}{l.username, l.apiKey.Reveal(), from, phones(b.To), b.Body})
}

// phones returns the numbers as text, separated by commas.
func phones(numbers []sms.MSISDN) string {
	list := make([]byte, 0, len(numbers)*len("254725656565,"))
	for i, number := range numbers {
		if i > 0 {
			list = append(list, ',')
		}
		list = number.AppendTo(list)
	}
	return string(list)
}
