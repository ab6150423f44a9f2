package server

import (
	"context"
	"net/http"

	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

// The function "storing" returns the context in which the content of a callback is stored. The context does not end
// when the gateway closes the connection, because the gateway might not send the callback again.
func storing(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), storeTimeout)
}

// takeDelivery stores the delivery reports of a callback.
func (d *doors) takeDelivery(r *http.Request, acc *Account, c providers.Callback) error {
	reports, err := acc.Provider.(providers.DeliveryParser).ParseDelivery(c)
	if err != nil {
		return err
	}
	ctx, cancel := storing(r)
	defer cancel()
	return d.cfg.Reports.Deliver(ctx, acc.Name, c.Place, reports)
}

// takeOptOut writes the opt-outs of a callback to the suppression lists. When it returns nil, workers
// claim no new call to the subscribers. An opt-in word does not undo such an opt-out.
func (d *doors) takeOptOut(r *http.Request, acc *Account, c providers.Callback) error {
	told, err := acc.Provider.(providers.OptOutParser).ParseOptOut(c)
	if err != nil {
		return err
	}
	ctx, cancel := storing(r)
	defer cancel()
	_, err = d.cfg.Client.OptOut(ctx, func(yield func(producer.OptOut, error) bool) {
		for _, o := range told {
			if !yield(producer.OptOut{Number: o.Number.String(), Sender: listOf(o.From), Origin: "gateway:" + acc.Name + ":optout"}, nil) {
				return
			}
		}
	})
	if err == nil {
		d.cfg.Meter.OptOut(acc.Name, len(told))
	}
	return err
}

// listOf returns the sender ID whose suppression list gets an opt-out for the given sender. If no
// list can have this sender ID, the opt-out applies to all senders, because an unwanted message is
// worse than a missing message.
func listOf(sender string) string {
	if producer.CheckOptOut(producer.OptOut{Number: "+254700000000", Sender: sender}) != nil {
		return ""
	}
	return sender
}
