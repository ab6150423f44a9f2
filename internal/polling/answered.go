package polling

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

//go:embed answered.lua
var answeredSource string

var answeredScript = script.New("answered", answeredSource)

// answeredArgs are the arguments of answered.lua.
type answeredArgs struct {
	Campaign, Call, Token, Request string
	Window                         time.Duration
	Position                       int
}

// Answered stores that a request has ended. c.Position is the position of the next message
// in the call.
func (q *Queue) Answered(ctx context.Context, c Call, request string) error {
	campaign, call := c.names()
	_, err := q.scripts.Run(ctx, answeredScript, []string{statesKey(q.login), budgetKey(q.login)},
		script.Args(answeredArgs{campaign, call, c.token, request, q.budget.window, c.Position})...)
	if err != nil {
		return fmt.Errorf("end a request for delivery reports: %w", err)
	}
	return nil
}
