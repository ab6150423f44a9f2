package textconnect

import (
	"context"
	"strings"

	"github.com/tuma-sms/tuma/providers"
)

// Balance asks for the account's credits (CheckCredits), which may be a fraction.
func (p *Provider) Balance(ctx context.Context) (providers.Balance, error) {
	reply, err := p.post(ctx, opBalance, p.form("CheckCredits"))
	if err != nil {
		return providers.Balance{}, err
	}
	amount, ok := parseCredits(reply.Body)
	if !ok {
		return providers.Balance{}, refused(opBalance, reply)
	}
	return providers.Balance{Amount: amount}, nil
}

// parseCredits reads a decimal number. One below zero is not documented, and looks
// like a code. It has no effects.
func parseCredits(body []byte) (float64, bool) {
	line := firstLine(body)
	if strings.HasPrefix(line, "-") {
		return 0, false
	}
	return providers.ParseAmount(line)
}
