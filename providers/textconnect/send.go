package textconnect

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// SendOptions are the options of one send. If a field is zero, the account's value applies.
type SendOptions struct {
	// ScheduleDate is the time at which the gateway sends the message, in whole seconds. If it is zero,
	// the gateway sends the message at once.
	ScheduleDate time.Time
	// SourceTON is TONInternational or TONAlphanumeric.
	SourceTON int
	// ValidityPeriod is the time for which the gateway tries to deliver the message: whole seconds,
	// from 1 s to MaxValidity.
	ValidityPeriod time.Duration
	// AllMessageIDs requests the ID of each segment of a long message (GetAllMessageIDs). The
	// option requires a single recipient, because the reply does not show which ID belongs to
	// which recipient. Result.MessageID is the first ID, and Result.SegmentIDs has the others.
	AllMessageIDs bool
}

// Send calls SendWith with the account's options.
func (p *Provider) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	return p.SendWith(ctx, b, SendOptions{})
}

// SendWith submits one batch to the gateway, once. The entries of the gateway's answer belong to
// the recipients by position. If the number of entries differs from the number of recipients,
// SendWith ignores all entries and returns NotUnderstood. It ignores b.IdempotencyKey and b.Flash.
//
// SendWith makes no request if the batch has no recipients, too many recipients, no sender ID or no
// text. It also makes no request if an option is out of range, or if AllMessageIDs is set for
// several recipients. Such a batch is Rejected with Scope Campaign. The gateway's codes or
// httpclient.StatusVerdict determine every other outcome.
func (p *Provider) SendWith(ctx context.Context, b providers.Batch, o SendOptions) ([]providers.Result, error) {
	if what := p.refusal(b, o); what != "" {
		return nil, providers.NoCall(opSend, what)
	}
	reply, err := p.client.SendForm(ctx, opSend, path, p.sendForm(b, o))
	if err != nil {
		return nil, err
	}
	results, verdict := parseSend(reply.Body, b.To, o.AllMessageIDs)
	if verdict != nil && !reply.Framed && len(b.To) > 1 {
		// A single code usually applies to the whole call. But without a Content-Length the reply may be a
		// truncated list, and the gateway may have sent the messages of the missing entries. So the outcome
		// is unknown.
		return nil, reply.NotUnderstood(opSend)
	}
	return reply.Results(opSend, results, verdict, false) // false, because the IDs of a reply do not name the recipients
}

// refusal returns the reason why a batch cannot be sent. If the batch can be sent, refusal returns "".
func (p *Provider) refusal(b providers.Batch, o SendOptions) string {
	if o.AllMessageIDs && len(b.To) > 1 {
		return "AllMessageIDs is set for several recipients; use it with one recipient only"
	}
	if what := p.info.Refusal(b); what != "" {
		return what
	}
	return messageRefusal(b.From, b.Body, o)
}

// messageRefusal returns the reason why a message cannot be sent to any recipient, or "".
func messageRefusal(from, body string, o SendOptions) string {
	switch {
	case from == "":
		return "the sender ID is missing"
	case body == "":
		return "the text is missing"
	case o.SourceTON != 0 && !sourceTON(o.SourceTON):
		return "SourceTON must be 1 or 5"
	case o.ValidityPeriod != 0 && !validity(o.ValidityPeriod):
		return "ValidityPeriod must be 1 to 86400 whole seconds"
	}
	return ""
}

func validity(d time.Duration) bool {
	return d >= time.Second && d <= MaxValidity && d%time.Second == 0
}

func sourceTON(ton int) bool { return ton == TONInternational || ton == TONAlphanumeric }

// sendForm builds the form of a send in one new buffer. The buffer must not be reused, because the
// HTTP transport may still read it after the call has returned.
func (p *Provider) sendForm(b providers.Batch, o SendOptions) []byte {
	const fixed = 256 // number of bytes for the names, and for the fields with a known maximum length
	form := p.appendHead(make([]byte, 0, httpclient.FormSize(len(*p.login)+fixed, b.To, b.From, b.Body)), "Send")
	form = httpclient.AppendNumbers(form, "DestinationAddress", "", b.To)
	form = p.appendMessage(form, b.From, b.Body, o)
	if o.AllMessageIDs {
		form = httpclient.AppendField(form, "GetAllMessageIDs", "1")
	}
	return form
}

// appendMessage appends all fields of a send except its recipients.
func (p *Provider) appendMessage(form []byte, from, body string, o SendOptions) []byte {
	if o.ValidityPeriod == 0 {
		o.ValidityPeriod = p.defaults.ValidityPeriod
	}
	if o.SourceTON == 0 {
		o.SourceTON = p.defaults.SourceTON
	}
	if o.SourceTON == 0 {
		o.SourceTON = typeOfNumber(from)
	}
	form = httpclient.AppendField(form, "SourceAddress", from)
	form = httpclient.AppendField(form, "Body", body)
	form = httpclient.AppendField(form, "ValidityPeriod", strconv.Itoa(int(o.ValidityPeriod/time.Second)))
	form = httpclient.AppendField(form, "SourceTON", strconv.Itoa(o.SourceTON))
	if !o.ScheduleDate.IsZero() {
		form = httpclient.AppendField(form, "ScheduleDate", o.ScheduleDate.In(p.zone).Format(timestamp))
	}
	return form
}

// A sender ID of at least shortestInternational digits is an international number. A sender ID of fewer
// digits is a short code. The SDKs of FastSMS use the same limit.
const shortestInternational = 11

// typeOfNumber returns the type of a sender ID: TONInternational for a number of at least
// shortestInternational digits, with or without a plus sign, and TONAlphanumeric for all other sender IDs.
func typeOfNumber(from string) int {
	digits := strings.TrimPrefix(from, "+")
	if len(digits) >= shortestInternational && strings.Trim(digits, "0123456789") == "" {
		return TONInternational
	}
	return TONAlphanumeric
}
