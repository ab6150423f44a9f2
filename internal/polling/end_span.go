package polling

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/tuma-sms/tuma/internal/script"
)

//go:embed end_span.lua
var endSpanSource string

var endSpanScript = script.New("end_span", endSpanSource)

// endSpanArgs are the arguments of end_span.lua.
type endSpanArgs struct{ Span, Token string }

// EndSpan removes a leased span of time after the last request for its reports, and ends the lease. If calls were added
// to the span during the lease, the span stays and is due at once. If the lease has already ended, EndSpan changes
// nothing.
func (q *Queue) EndSpan(ctx context.Context, c Call) error {
	_, err := q.scripts.Run(ctx, endSpanScript, []string{turnsKey(q.login), statesKey(q.login)}, script.Args(endSpanArgs{c.Span.name(), c.token})...)
	if err != nil {
		return fmt.Errorf("end the requests for delivery reports of a span of time: %w", err)
	}
	return nil
}
