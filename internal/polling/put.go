package polling

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

//go:embed put.lua
var putSource string

var putScript = script.New("put", putSource)

// putArgs are the arguments of put.lua.
type putArgs struct {
	Campaign, Call, Token string
	Due                   time.Time
	Step, Position        int
}

// Put ends the lease of a call. The call is due again at c.Due, with c.Step and c.Position. If c.Due is zero, Put
// removes the call. If the lease has already ended, Put changes nothing.
func (q *Queue) Put(ctx context.Context, c Call) error {
	campaign, call := c.names()
	_, err := q.scripts.Run(ctx, putScript, []string{turnsKey(q.login), statesKey(q.login)},
		script.Args(putArgs{campaign, call, c.token, c.Due, c.Step, c.Position})...)
	if err != nil {
		return fmt.Errorf("schedule the next request for delivery reports of %s: %w", campaign, err)
	}
	return nil
}
