package connectmedia

import (
	"context"

	"github.com/tuma-sms/tuma/providers"
)

var _ providers.Balancer = (*Provider)(nil)

// Balance asks for the account's balance, in the gateway's own units.
func (p *Provider) Balance(ctx context.Context) (providers.Balance, error) {
	reply, err := p.client.PostForm(ctx, opBalance, path, askForm(*p.login, actionBalance))
	if err != nil {
		return providers.Balance{}, err
	}
	amount, ok, verdict := parseBalance(reply.Body)
	if !ok {
		return providers.Balance{}, reply.Refused(opBalance, verdict)
	}
	return providers.Balance{Amount: amount}, nil
}

// parseBalance reads the number that stands for the message. If there is none, the
// verdict is that of the reply's code. It has no effects.
func parseBalance(body []byte) (amount float64, ok bool, verdict *providers.Error) {
	code, o := parseReply(body)
	if code != codeBalance {
		return 0, false, refusal(code)
	}
	text, _ := o.Text("message")
	amount, ok = providers.ParseAmount(text)
	return amount, ok, nil
}
