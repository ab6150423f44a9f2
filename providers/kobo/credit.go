package kobo

import (
	"context"

	"github.com/tuma-sms/tuma/providers"
)

// Balance asks for the account's credit, in the gateway's own units. The page does
// not say what the reply looks like: it is taken to be a bare number.
func (p *Provider) Balance(ctx context.Context) (providers.Balance, error) {
	reply, err := p.post(ctx, opBalance, creditPath, []byte(p.login.Reveal()))
	if err != nil {
		return providers.Balance{}, err
	}
	amount, ok := parseCredit(reply.Body)
	if !ok {
		return providers.Balance{}, refused(opBalance, reply)
	}
	return providers.Balance{Amount: amount}, nil
}

// refused is the verdict on a reply that is not what was asked for: that of its
// error word, if it is one.
func refused(op string, reply *providers.Reply) *providers.Error {
	if e := refusal(unquote(reply.Body)); e != nil {
		e.Op = op
		return e
	}
	return notUnderstood(op, reply)
}

// notUnderstood is the verdict on a reply that is nothing known, with its word if
// it is an error word that nobody has documented.
func notUnderstood(op string, reply *providers.Reply) *providers.Error {
	e := reply.NotUnderstood(op)
	if word := errorWord(string(unquote(reply.Body))); word != "" {
		e.Code = word
	}
	return e
}

// parseCredit reads a bare number. It has no effects.
func parseCredit(body []byte) (float64, bool) { return providers.ParseAmount(string(unquote(body))) }
