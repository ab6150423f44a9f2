package polling

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

//go:embed ask.lua
var askSource string

var askScript = script.New("ask", askSource)

// askArgs are the arguments of ask.lua.
type askArgs struct {
	Campaign, Call, Token, Request string
	Parts                          int
	Lease                          time.Duration
}

// Ask takes one request for a leased call out of the budget, and extends the lease. If wait is 0, the caller sends the
// request, ends it before the lease ends, and then calls Answered. If wait is above 0, the budget is used up, and the
// caller calls Ask again after this time. Ask returns ErrLost if the lease has ended.
func (q *Queue) Ask(ctx context.Context, c Call, request string, lease time.Duration) (wait time.Duration, err error) {
	campaign, call := c.names()
	keys := []string{turnsKey(q.login), statesKey(q.login), budgetKey(q.login)}
	out, err := q.scripts.Run(ctx, askScript, keys, script.Args(askArgs{campaign, call, c.token, request, q.budget.parts, lease})...)
	if err != nil {
		return 0, fmt.Errorf("reserve a request for delivery reports: %w", err)
	}
	switch {
	case out[0] == "go":
		return 0, nil
	case out[0] == "wait" && len(out) == 2:
		return max(time.Millisecond, time.Duration(script.Int(out[1]))*time.Millisecond), nil
	}
	return 0, ErrLost
}
