package africastalking

import (
	"net/http"
	"net/url"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

var (
	_ providers.DeliveryParser = (*Provider)(nil)
	_ providers.InboundParser  = (*Provider)(nil)
	_ providers.OptOutParser   = (*Provider)(nil)
)

// ParseDelivery parses the gateway's "Delivery Reports" callback, which holds one delivery report.
func (p *Provider) ParseDelivery(c providers.Callback) ([]providers.DLR, error) {
	return parseCallback(c, parseReport)
}

// ParseInbound parses the gateway's "Incoming Messages" callback, which holds one message.
func (p *Provider) ParseInbound(c providers.Callback) ([]providers.Inbound, error) {
	return parseCallback(c, parseIncoming)
}

// ParseOptOut parses the gateway's "Bulk SMS Opt Out" callback, which holds one opt-out.
func (p *Provider) ParseOptOut(c providers.Callback) ([]providers.OptOut, error) {
	return parseCallback(c, parseOptOut)
}

// parseCallback checks that a callback is a POST, and passes its form to the function "parse". It
// returns a slice with one item, because the gateway sends one item in each callback.
func parseCallback[T any](c providers.Callback, parse func(url.Values) (T, bool)) ([]T, error) {
	form, err := httpclient.ParseCallback(c, http.MethodPost)
	if err != nil {
		return nil, err
	}
	item, ok := parse(form)
	if !ok {
		return nil, providers.ErrCallback
	}
	return []T{item}, nil
}
