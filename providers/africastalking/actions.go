package africastalking

import (
	"context"
	"errors"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// opAnswer is the operation of the action Answer.
const opAnswer = "africastalking answer"

// actions returns the administrative operations of this gateway. Their parameters have the vendor's
// names.
func actions() []providers.Action {
	return []providers.Action{{
		Name: "Answer", Does: "answer an incoming message of an on-demand service; `tuma gateway inbox` shows the linkId of the message",
		Needs: []string{"linkId", "to", "message"}, Takes: []string{"from", "keyword", "retryDurationInHours"},
		Confirm: "sends a message that the subscriber pays for; Tuma keeps no record, so nothing prevents sending it twice",
		Do: func(ctx context.Context, p providers.Provider, in map[string]string) (providers.Table, error) {
			own, ok := p.(*Provider)
			if !ok {
				return providers.Table{}, providers.NoCall(opAnswer, "the account is not at Africa's Talking")
			}
			return own.answer(ctx, in)
		},
	}}
}

// answer sends one premium message (bulkSMSMode=0) as the answer to an incoming message. The
// parameter linkId is the link ID of that incoming message.
func (p *Provider) answer(ctx context.Context, in map[string]string) (providers.Table, error) {
	var mistakes []error
	to, err := sms.ParseMSISDN(in["to"], "")
	if err != nil {
		mistakes = append(mistakes, err)
	}
	if from := in["from"]; from != "" {
		mistakes = append(mistakes, sms.ValidateSender(from, MaxSenderAlpha, 0))
	}
	hours := 0
	if text := in["retryDurationInHours"]; text != "" {
		if hours, err = strconv.Atoi(text); err != nil || hours < 1 {
			mistakes = append(mistakes, errors.New("retryDurationInHours must be a whole number of at least 1"))
		}
	}
	if err := errors.Join(mistakes...); err != nil {
		return providers.Table{}, providers.NoCall(opAnswer, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	results, err := p.SendWith(ctx, providers.Batch{From: in["from"], Body: in["message"], To: []sms.MSISDN{to}},
		Options{BulkSMSMode: new(bool), LinkID: in["linkId"], Keyword: in["keyword"], RetryDurationInHours: hours})
	if err != nil {
		return providers.Table{}, err
	}
	t := providers.Table{Columns: []string{"to", "outcome", "messageId", "cost", "reason", "code"}}
	for _, r := range results {
		t.Rows = append(t.Rows, []string{to.String(), r.Outcome.String(), r.MessageID, strings.TrimSpace(r.Currency + " " + r.Cost), r.Reason, r.Code})
	}
	return t, nil
}
