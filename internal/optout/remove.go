package optout

import (
	"context"
	"fmt"
	"strconv"

	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// Remove removes numbers from a list, and returns how many of them were on the list.
func (l *Lists) Remove(ctx context.Context, list string, numbers []sms.MSISDN) (removed int, err error) {
	for at := 0; at < len(numbers); at += Chunk {
		keys, args := []string{metaKey}, script.Args(changeArgs{Token: script.NewToken(), List: list})
		for _, m := range numbers[at:min(at+Chunk, len(numbers))] {
			key, field := place(list, m)
			keys, args = append(keys, key), append(args, field)
		}
		out, err := l.scripts.Run(ctx, removeScript, keys, args...)
		if err != nil {
			return removed, fmt.Errorf("remove opt-outs: %w", err)
		}
		if len(out) < 2 {
			return removed, fmt.Errorf("remove opt-outs: %w", script.ErrAnswer)
		}
		n, err := strconv.Atoi(out[1])
		if err != nil {
			return removed, fmt.Errorf("remove opt-outs: %w", script.ErrAnswer)
		}
		removed += n
	}
	return removed, nil
}
