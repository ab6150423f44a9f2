package polling

import (
	"context"
	_ "embed"
	"fmt"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/script"
)

//go:embed leave_span.lua
var leaveSpanSource string

var leaveSpanScript = script.New("leave_span", leaveSpanSource)

// leaveSpanArgs are the arguments of leave_span.lua.
type leaveSpanArgs struct {
	Span, Token string
	Lease       time.Duration
	Calls       string
}

// Leave removes calls from a leased span of time, because these calls need no further report. The parameter
// "calls" has their names (memberName). Leave also extends the lease. It returns ErrLost if the lease has
// ended.
func (q *Queue) Leave(ctx context.Context, c Call, lease time.Duration, calls []string) error {
	out, err := q.scripts.Run(ctx, leaveSpanScript, []string{turnsKey(q.login), statesKey(q.login)},
		script.Args(leaveSpanArgs{c.Span.name(), c.token, lease, strings.Join(calls, "\n")})...)
	if err != nil {
		return fmt.Errorf("extend the lease of a span of time: %w", err)
	}
	if out[0] != "kept" {
		return ErrLost
	}
	return nil
}
