package africastalking

import (
	"context"
	"fmt"
	"strconv"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// Send submits one batch to the gateway, once, with the account's options. The gateway has no
// idempotency keys, so Send does not send b.IdempotencyKey, and a repeated call sends the messages
// again.
//
// A batch with no recipients, too many recipients or no text causes no request. It is Rejected with
// Scope Campaign. The gateway's status codes or httpclient.StatusVerdict determine every other
// outcome.
func (p *Provider) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	return p.SendWith(ctx, b, Options{})
}

// SendWith is like Send, but uses the options o for these messages. If an option is not set in o,
// the account's value applies.
func (p *Provider) SendWith(ctx context.Context, b providers.Batch, o Options) ([]providers.Result, error) {
	if what := p.refusal(b, o); what != "" {
		return nil, providers.NoCall(opSend, what)
	}
	o = o.withDefaults(p.options)
	client := p.client
	if o.BulkSMSMode != nil && !*o.BulkSMSMode {
		client = p.premium
	}
	reply, err := client.Do(ctx, httpclient.Request{
		Op: opSend, Path: messagingPath, Header: p.header(p.accept),
		ContentType: httpclient.FormContentType, Body: sendForm(p.user, b, o),
		ErrorsInBody: true, // the gateway answers 201 even if it rejects every number (from public sources)
	})
	if err != nil {
		return nil, err
	}
	results, verdict := parseAnswer(reply.Body, b.To)
	deferQuiet(results, b.To, p.now())
	return reply.Results(opSend, results, verdict, true)
}

// refusal returns the reason why a batch cannot be sent. If the batch can be sent, refusal returns
// "".
func (p *Provider) refusal(b providers.Batch, o Options) string {
	if b.Body == "" {
		return "the body is empty"
	}
	if hours := o.RetryDurationInHours; hours < 0 || hours > MaxRetryHours {
		return fmt.Sprintf("retryDurationInHours is %d, must be 1 to %d", hours, MaxRetryHours)
	}
	return p.info.Refusal(b)
}

// sendForm builds the form of a send in one new buffer. The buffer must not be reused, because the
// HTTP transport may still read it after the call has returned.
func sendForm(user string, b providers.Batch, o Options) []byte {
	const names = len("username=&to=&message=&from=&bulkSMSMode=1&enqueue=1&keyword=&linkId=&retryDurationInHours=8760")
	form := make([]byte, 0, httpclient.FormSize(names, b.To, user, b.Body, b.From, o.Keyword, o.LinkID))
	form = httpclient.AppendField(form, "username", user)
	form = httpclient.AppendNumbers(form, "to", "+", b.To)
	form = httpclient.AppendField(form, "message", b.Body)
	if b.From != "" {
		form = httpclient.AppendField(form, "from", b.From)
	}
	form = httpclient.AppendField(form, "bulkSMSMode", flag(o.BulkSMSMode))
	form = httpclient.AppendField(form, "enqueue", flag(o.Enqueue))
	if o.Keyword != "" {
		form = httpclient.AppendField(form, "keyword", o.Keyword)
	}
	if o.LinkID != "" {
		form = httpclient.AppendField(form, "linkId", o.LinkID)
	}
	if o.RetryDurationInHours > 0 {
		form = httpclient.AppendField(form, "retryDurationInHours", strconv.Itoa(o.RetryDurationInHours))
	}
	return form
}

// The function "flag" returns "0" for false, and "1" for true and for nil.
func flag(on *bool) string {
	if on != nil && !*on {
		return "0"
	}
	return "1"
}
