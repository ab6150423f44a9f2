package kobo

import (
	"context"

	"github.com/tuma-sms/tuma/providers"
)

// Balance asks for the account's credit, in the gateway's own units. The page does
// not say what the reply looks like: it is taken to be a bare number.
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

// parseCredit reads a bare number. It has no effects.
func parseCredit(body []byte) (float64, bool) { return providers.ParseAmount(string(unquote(body))) }
