package kobo

import (
	"context"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// Balance reads the account's credit, in the gateway's credit units. The vendor's page does not
// show the gateway's reply. This package assumes that the reply is a bare number.
func (p *Provider) Balance(ctx context.Context) (providers.Balance, error) {
	reply, err := p.client.PostForm(ctx, opBalance, creditPath, []byte(p.login.Reveal()))
	if err != nil {
		return providers.Balance{}, err
	}
	amount, ok := parseCredit(reply.Body)
	if !ok {
		return providers.Balance{}, reply.Refused(opBalance, refusal(unquote(reply.Body)))
	}
	return providers.Balance{Amount: amount}, nil
}

// parseCredit parses a bare number, with or without JSON quotes.
func parseCredit(body []byte) (float64, bool) { return httpclient.ParseAmount(string(unquote(body))) }
