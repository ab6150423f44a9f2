package connectmedia

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// opSchedule names the action Schedule in errors.
const opSchedule = "connectmedia schedule"

// actions returns the administrative operations of this gateway. Their parameters have the vendor's
// names.
func actions() []providers.Action {
	return []providers.Action{{
		Name: "Schedule", Does: "send a message later: the gateway stores it, and Tuma keeps no record of it; needs api_key",
		Needs: []string{"to", "message", "schedule_datetime"}, Takes: []string{"sender"},
		Confirm: "schedules the message at the gateway; Tuma keeps no record, so nothing prevents sending it twice",
		Do: func(ctx context.Context, p providers.Provider, in map[string]string) (providers.Table, error) {
			own, ok := p.(*Provider)
			if !ok {
				return providers.Table{}, scheduleRefusal("the account is not at Connect Media")
			}
			return own.schedule(ctx, in)
		},
	}}
}

func scheduleRefusal(reason string) error { return providers.NoCall(opSchedule, reason) }

// schedule lets the gateway send a message at a later time. It checks the numbers and the time before
// it makes the request. The returned table has one row for each number, with the result for this
// number.
func (p *Provider) schedule(ctx context.Context, in map[string]string) (providers.Table, error) {
	if p.key == nil {
		return providers.Table{}, scheduleRefusal("only an account with api_key can schedule a message")
	}
	b := providers.Batch{From: in["sender"], Body: in["message"]}
	var mistakes []error
	for written := range strings.SplitSeq(in["to"], ",") {
		number, err := sms.ParseMSISDN(written, "KE")
		if err != nil {
			mistakes = append(mistakes, err)
		}
		if !slices.Contains(b.To, number) {
			b.To = append(b.To, number)
		}
	}
	if err := sms.ValidateSender(b.From, MaxSender, MaxSender); b.From != "" && err != nil {
		mistakes = append(mistakes, err)
	}
	at, err := time.ParseInLocation(time.DateTime, in["schedule_datetime"], eastAfrica)
	if err != nil {
		mistakes = append(mistakes, errors.New("schedule_datetime must be YYYY-MM-DD HH:MM:SS in East Africa Time"))
	}
	if what := p.info.Refusal(b); what != "" {
		mistakes = append(mistakes, errors.New(what))
	}
	if err := errors.Join(mistakes...); err != nil {
		return providers.Table{}, scheduleRefusal(strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	results, err := p.sendCurrent(ctx, b, at)
	if err != nil {
		return providers.Table{}, err
	}
	t := providers.Table{Columns: []string{"to", "outcome", "reason", "code"}}
	for i, r := range results {
		t.Rows = append(t.Rows, []string{b.To[i].String(), r.Outcome.String(), r.Reason, r.Code})
	}
	return t, nil
}
