package textconnect

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
)

// SendOptions are what one send can ask for. Zero fields leave it to the account.
type SendOptions struct {
	// ScheduleDate is when the message shall go out, to the second; zero: at once.
	ScheduleDate time.Time
	// SourceTON is TONInternational or TONAlphanumeric.
	SourceTON int
	// ValidityPeriod is for how long the message is tried, in whole seconds up to
	// MaxValidity.
	ValidityPeriod time.Duration
	// AllMessageIDs asks for the id of each part of a long message (GetAllMessageIDs).
	// Only with a single number: see the package's doc. Results keep the first.
	AllMessageIDs bool
}

// Send puts one batch to the gateway, once, with the account's own options. See
// SendWith.
func (p *Provider) Send(ctx context.Context, b providers.Batch) ([]providers.Result, error) {
	return p.SendWith(ctx, b, SendOptions{})
}

// SendWith puts one batch to the gateway, once. Every verdict stands in the table of
// codes and in the doc of providers.StatusVerdict; the gateway answers by position,
// so an answer of another length than the list is understood of nobody. What cannot
// be a call (no recipients or too many, no sender, no text, options out of range,
// AllMessageIDs for several) is Rejected for the campaign without a request. b.Key
// and b.Flash have no meaning here.
func (p *Provider) SendWith(ctx context.Context, b providers.Batch, o SendOptions) ([]providers.Result, error) {
	if what := p.refusal(b, o); what != "" {
		return nil, providers.NoCall(opSend, what)
	}
	reply, err := p.post(ctx, opSend, p.sendForm(b, o))
	if err != nil {
		return nil, err
	}
	results, verdict := parseSend(reply.Body, b.To, o.AllMessageIDs)
	if verdict != nil && !reply.Framed && len(b.To) > 1 {
		// A code alone speaks for the whole call, unless it is the beginning of a list that
		// was cut; and in that others may have been sent to.
		return nil, reply.NotUnderstood(opSend)
	}
	return reply.Results(opSend, results, verdict)
}

// refusal says what makes a batch no call at all, or nothing.
func (p *Provider) refusal(b providers.Batch, o SendOptions) string {
	if o.AllMessageIDs && len(b.To) > 1 {
		return "all message ids of several numbers could not be told apart"
	}
	if what := p.info.Refusal(b); what != "" {
		return what
	}
	return messageRefusal(b.From, b.Body, o)
}

// messageRefusal says what is wrong with a message to whomever, or nothing.
func messageRefusal(from, body string, o SendOptions) string {
	switch {
	case from == "":
		return "no sender"
	case body == "":
		return "no text"
	case o.SourceTON != 0 && !sourceTON(o.SourceTON):
		return "a source type of number that is neither 1 nor 5"
	case o.ValidityPeriod != 0 && !validity(o.ValidityPeriod):
		return "a validity period that is not 1 to 86400 whole seconds"
	}
	return ""
}

func validity(d time.Duration) bool {
	return d >= time.Second && d <= MaxValidity && d%time.Second == 0
}

func sourceTON(ton int) bool { return ton == TONInternational || ton == TONAlphanumeric }

// sendForm builds the form of a send in one buffer of its own: the transport may
// read it after the call has returned, so it is never used again.
func (p *Provider) sendForm(b providers.Batch, o SendOptions) []byte {
	const fixed = 256 // the names, and fields of known length
	form := p.appendHead(make([]byte, 0, providers.FormSize(len(*p.login)+fixed, b.To, b.From, b.Body)), "Send")
	form = providers.AppendNumbers(form, "DestinationAddress", "", b.To)
	form = p.appendMessage(form, b.From, b.Body, o)
	if o.AllMessageIDs {
		form = providers.AppendField(form, "GetAllMessageIDs", "1")
	}
	return form
}

// appendMessage appends all of a send but whom it goes to.
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
	form = providers.AppendField(form, "SourceAddress", from)
	form = providers.AppendField(form, "Body", body)
	form = providers.AppendField(form, "ValidityPeriod", strconv.Itoa(int(o.ValidityPeriod/time.Second)))
	form = providers.AppendField(form, "SourceTON", strconv.Itoa(o.SourceTON))
	if !o.ScheduleDate.IsZero() {
		form = providers.AppendField(form, "ScheduleDate", o.ScheduleDate.In(p.zone).Format(timestamp))
	}
	return form
}

// typeOfNumber is that of a sender: digits, perhaps behind a plus, are a number.
func typeOfNumber(from string) int {
	if strings.Trim(strings.TrimPrefix(from, "+"), "0123456789") == "" {
		return TONInternational
	}
	return TONAlphanumeric
}
