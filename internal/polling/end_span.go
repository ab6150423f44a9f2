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

// EndSpan removes a leased span of time from the queue, and ends the lease. The caller has made the last request for the
// reports of the span. If calls were added to the span during the lease, the span stays and is due at once. If the lease
// has already ended, EndSpan changes nothing.
func (q *Queue) EndSpan(ctx context.Context, c Call) error {
	_, err := q.scripts.Run(ctx, endSpanScript, []string{turnsKey(q.login), statesKey(q.login)}, script.Args(endSpanArgs{c.Span.name(), c.token})...)
	if err != nil {
		return fmt.Errorf("remove a span of time from the queue of requests for delivery reports: %w", err)
	}
	return nil
}
