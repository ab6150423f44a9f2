package textconnect

import (
	"context"
	"strings"

	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/providers/httpclient"
)

// Balance reads the account's credits (action CheckCredits). The number of credits may have a
// fraction.
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

// parseCredits parses a decimal number. It refuses negative numbers, because such balances
// are not documented and look like error codes.
func parseCredits(body []byte) (float64, bool) {
	line := firstLine(body)
	if strings.HasPrefix(line, "-") {
		return 0, false
	}
	return httpclient.ParseAmount(line)
}
