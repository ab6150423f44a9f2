package optout

import (
	"context"
	"fmt"
	"strconv"

	"github.com/tuma-sms/tuma/internal/script"
)

// originNumber returns the number that stands for an origin in entries.
func (l *Lists) originNumber(ctx context.Context, origin string) (int, error) {
	if n, ok := fixedOrigins[origin]; ok {
		return n, nil
	}
	out, err := l.scripts.Run(ctx, originScript, []string{metaKey},
		script.Args(originArgs{Origin: origin, First: firstOrigin, Last: lastOrigin, Other: fixedOrigins[OriginGateway]})...)
	if err != nil {
		return 0, fmt.Errorf("read origin of opt-outs: %w", err)
	}
	n, err := strconv.Atoi(out[0])
	if err != nil {
		return 0, fmt.Errorf("read origin of opt-outs: %w", script.ErrAnswer)
	}
	return n, nil
}

// originArgs are the arguments of origin.lua.
type originArgs struct {
	Origin             string
	First, Last, Other int
}
