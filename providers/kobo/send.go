package kobo

import (
	"context"
	"fmt"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
	"github.com/tuma-sms/tuma/sms"
)

// Send submits one batch to the gateway, once. The form field "message_uuid" holds
// b.IdempotencyKey. If a later call has the same key, the same recipients and the same body, the
// gateway does not send again.
//
// If a batch has no recipients, too many recipients, no key, or a key longer than MaxKey, Send
// makes no request. Such a batch is Rejected with Scope Campaign. The gateway's error codes or
// httpclient.StatusVerdict determine every other error.
func (p *Provider) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	if what := p.refusal(b); what != "" {
		return nil, providers.NoCall(opSend, what)
	}
	reply, err := p.client.SendForm(ctx, opSend, sendPath, sendForm(*p.login, b))
	if err != nil {
		return nil, err
	}
	results, verdict := parseAnswer(reply.Body, b.To)
	return reply.Results(opSend, results, verdict, !acceptsAll(reply.Body))
}

// refusal returns the reason why a batch cannot be sent. If the batch can be sent, refusal returns
// "".
func (p *Provider) refusal(b providers.Batch) string {
	switch {
	case b.IdempotencyKey == "":
		return "the idempotency key is missing"
	case len(b.IdempotencyKey) > MaxKey:
		return fmt.Sprintf("the idempotency key has %d characters, at most %d are allowed", len(b.IdempotencyKey), MaxKey)
	}
	return p.info.Refusal(b)
}

// These are the values of the form field "type". A message has exactly one of these values.
const (
	typeNormal  = "0"
	typeFlash   = "1"
	typeUnicode = "2"
)

// messageType returns the type of a message. Unicode takes precedence over flash, because a Unicode
// text that is sent as another type is unreadable, but a flash message that is sent as a normal
// message is readable.
func messageType(b providers.Batch) string {
	switch {
	case sms.EncodingOf(b.Body) == sms.UCS2:
		return typeUnicode
	case b.Flash:
		return typeFlash
	}
	return typeNormal
}

// sendForm builds the form of a send in one new buffer. The buffer must not be reused, because the
// HTTP transport may still read it after the call has returned.
func sendForm(login providers.Secret, b providers.Batch) []byte {
	const names = len("&from=&to=&msg=&type=0&enable_msg_id=1&callback_url=&message_uuid=")
	form := make([]byte, 0, httpclient.FormSize(len(login)+names, b.To, b.From, b.Body, b.IdempotencyKey, b.CallbackURL.Reveal()))
	form = append(form, login.Reveal()...)
	form = httpclient.AppendField(form, "from", b.From)
	form = httpclient.AppendNumbers(form, "to", "", b.To)
	form = httpclient.AppendField(form, "msg", b.Body)
	form = httpclient.AppendField(form, "type", messageType(b))
	form = httpclient.AppendField(form, "enable_msg_id", "1")
	if b.CallbackURL != "" {
		form = httpclient.AppendField(form, "callback_url", b.CallbackURL.Reveal())
	}
	return httpclient.AppendField(form, "message_uuid", b.IdempotencyKey)
}

// loginForm returns the encoded login, with which every form begins.
func loginForm(user string, pass providers.Secret) providers.Secret {
	return providers.Secret(httpclient.AppendField(httpclient.AppendField(nil, "user", user), "pass", pass.Reveal()))
}
