package connectmedia

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// Send submits one batch to the gateway, once. b.IdempotencyKey and b.Flash are ignored.
//
// If a batch has no recipients, or more recipients than Info allows, Send makes no request. Such a
// batch is Rejected with Scope Campaign. The gateway's codes or httpclient.StatusVerdict determine
// every other outcome.
func (p *Provider) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	if what := p.info.Refusal(b); what != "" {
		return nil, providers.NoCall(opSend, what)
	}
	if p.key != nil {
		return p.sendCurrent(ctx, b, time.Time{})
	}
	reply, err := p.client.SendForm(ctx, opSend, path, sendForm(*p.login, b, p.plain))
	if err != nil {
		return nil, err
	}
	var results []providers.Result
	result, verdict := parseAnswer(reply.Body)
	if result != nil {
		results = []providers.Result{*result}
	}
	return reply.Results(opSend, results, verdict, false)
}

// sendForm builds the form of a send in a new buffer. If the parameter "plain" is true, it does not
// URL-encode the message before the form encoding. The caller must not reuse the buffer, because the
// HTTP transport may still read it after the call has returned.
func sendForm(login providers.Secret, b providers.Batch, plain bool) []byte {
	from, body := b.From, b.Body
	if from == "" {
		from = DefaultSender
	}
	if !plain {
		body = preEncode(body)
	}
	form := make([]byte, 0, httpclient.FormSize(len(login)+len("&action=send&to=&sender=&message="), b.To, from, body))
	form = httpclient.AppendField(append(form, login.Reveal()...), "action", actionSend)
	form = httpclient.AppendNumbers(form, "to", "", b.To)
	form = httpclient.AppendField(form, "sender", from)
	return httpclient.AppendField(form, "message", body)
}

// preEncode URL-encodes a message so that PHP's urldecode and rawurldecode and JavaScript's
// decodeURIComponent all decode it to the same text.
func preEncode(body string) string { return strings.ReplaceAll(url.QueryEscape(body), "+", "%20") }
