package africastalking

import (
	"context"
	"encoding/json"

	"github.com/tuma-sms/tuma/providers"
)

// Balance asks for the account's balance, in the currency of the account [public].
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

// parseBalance reads {"UserData":{"balance":"KES 1785.50"}}, or userData, as another
// document has it. It has no effects.
func parseBalance(body []byte) (providers.Balance, bool) {
	var outer envelope
	var user struct{ Balance once }
	if json.Unmarshal(body, &outer) != nil || !outer.UserData.object(&user) {
		return providers.Balance{}, false
	}
	text, _ := user.Balance.text()
	written, currency, ok := providers.ParseMoney(text)
	if !ok {
		return providers.Balance{}, false
	}
	amount, ok := providers.ParseAmount(written)
	return providers.Balance{Amount: amount, Currency: currency}, ok
}
