package polling

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

//go:embed take.lua
var takeSource string

var takeScript = script.New("take", takeSource)

// takeArgs are the arguments of take.lua.
type takeArgs struct {
	Token string
	Lease time.Duration
}

// idle is the longest time between two searches for a due call. It is short, because other processes add
// calls.
const idle = 5 * time.Second

// Take leases a call that is due. If no call is due, ok is false, and wait is the time until the next
// search.
func (q *Queue) Take(ctx context.Context, lease time.Duration) (c Call, wait time.Duration, ok bool, err error) {
	token := script.NewToken()
	out, err := q.scripts.Run(ctx, takeScript, []string{turnsKey(q.login), statesKey(q.login)}, script.Args(takeArgs{token, lease})...)
	if err != nil {
		return c, idle, false, fmt.Errorf("take a call whose delivery reports are due: %w", err)
	}
	switch {
	case out[0] == "call" && len(out) == 7:
		c, ok = parseCall(out[1], out[2])
		c.Due, c.At, c.Step, c.Position, c.token = script.Milli(out[3]), script.Milli(out[4]), script.Int(out[5]), script.Int(out[6]), token
		if !ok {
			err = fmt.Errorf("take a call whose delivery reports are due: %w", script.ErrAnswer)
		}
		return c, idle, ok, err
	case out[0] == "wait" && len(out) == 2:
		return c, min(idle, time.Duration(script.Int(out[1]))*time.Millisecond), false, nil
	}
	return c, idle, false, nil
}
