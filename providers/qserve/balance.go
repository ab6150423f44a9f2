package qserve

import (
	"context"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

var _ providers.Balancer = (*Provider)(nil)

// Balance reads the account's SMS credits.
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

// parseCredits parses the body of a 2xx answer. It returns the balance, or the error for an error
// code. The caller sets the error's Op. If parseCredits does not understand the body, both results
// are nil.
func parseCredits(body []byte) (*providers.Balance, *providers.Error) {
	o, verdict := parseEnvelope(body)
	if o == nil {
		return nil, verdict
	}
	return amount(o, "credits"), nil
}

// amount returns the balance under the given name. The value may be a JSON number or string. For a
// missing or invalid balance, amount returns nil.
func amount(o httpclient.Object, name string) *providers.Balance {
	written, _ := o.Text(name)
	credits, ok := httpclient.ParseAmount(written)
	if !ok {
		return nil
	}
	return &providers.Balance{Amount: credits}
}
