package africastalking

import (
	"context"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// Balance reads the account's balance, in the account's currency. This request is known from public
// sources, not from the vendor's page.
func (p *Provider) Balance(ctx context.Context) (providers.Balance, error) {
	reply, err := p.get(ctx, opBalance, userPath, "")
	if err != nil {
		return providers.Balance{}, err
	}
	balance, ok := parseBalance(reply.Body)
	if !ok {
		return providers.Balance{}, reply.NotUnderstood(opBalance)
	}
	return balance, nil
}

// parseBalance parses {"UserData":{"balance":"KES 1785.50"}}. Another document of the vendor writes
// the outer name as "userData".
func parseBalance(body []byte) (providers.Balance, bool) {
	outer, _ := httpclient.ReadObject(body)
	user, ok := outer.Object("UserData")
	if !ok {
		user, _ = outer.Object("userData")
	}
	text, _ := user.Text("balance")
	written, currency, ok := httpclient.ParseMoney(text)
	if !ok {
		return providers.Balance{}, false
	}
	amount, ok := httpclient.ParseAmount(written)
	return providers.Balance{Amount: amount, Currency: currency}, ok
}
