package qserve

import (
	"context"

	"github.com/tuma-sms/tuma/providers"
)

var _ providers.Balancer = (*Provider)(nil)

// Balance asks for the account's SMS credits.
func (p *Provider) Balance(ctx context.Context) (providers.Balance, error) {
	reply, err := p.post(ctx, opBalance, creditsPath, creditsBody(p.login))
	if err != nil {
		return providers.Balance{}, err
	}
	balance, verdict := parseCredits(reply.Body)
	if balance == nil {
		return providers.Balance{}, reply.Refused(opBalance, verdict)
	}
	return *balance, nil
}

func creditsBody(l login) []byte {
	return encode(struct {
		Username string `json:"username"`
		APIKey   string `json:"api_key"`
	}{l.username, l.apiKey.Reveal()})
}

// parseCredits says what the body of a 2xx means: a balance, or a verdict (without
// Op), or neither, if nothing of it is understood. It has no effects.
func parseCredits(body []byte) (*providers.Balance, *providers.Error) {
	o, verdict := parseEnvelope(body)
	if o == nil {
		return nil, verdict
	}
	return amount(o, "credits"), nil
}

// amount reads a balance that may be written as a number or as a string; nil if
// there is none.
func amount(o providers.Object, name string) *providers.Balance {
	written, _ := o.Text(name)
	credits, ok := providers.ParseAmount(written)
	if !ok {
		return nil
	}
	return &providers.Balance{Amount: credits}
}
