package connectmedia

import (
	"context"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

var _ providers.Balancer = (*Provider)(nil)

// Balance reads the account's balance, in the gateway's credit units.
func (p *Provider) Balance(ctx context.Context) (providers.Balance, error) {
	if p.key != nil {
		return p.currentBalance(ctx)
	}
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

// parseBalance parses the number in the field "message". If the reply's code is not codeBalance,
// the result "verdict" is the error for that code.
func parseBalance(body []byte) (amount float64, ok bool, verdict *providers.Error) {
	code, o := parseReply(body)
	if code != codeBalance {
		return 0, false, refusal(code)
	}
	text, _ := o.Text("message")
	amount, ok = httpclient.ParseAmount(text)
	return amount, ok, nil
}
