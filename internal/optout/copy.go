package optout

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// listCopy is a copy of a suppression list, ordered by bucket.
type listCopy struct {
	numbers []uint64 // each number on the list, divided by the number of buckets
	ends    []uint32 // for each bucket, the end of the bucket in the slice "numbers"
}

func (c *listCopy) has(m sms.MSISDN) bool {
	b := m % buckets
	from := uint32(0)
	if b > 0 {
		from = c.ends[b-1]
	}
	return slices.Contains(c.numbers[from:c.ends[b]], uint64(m/buckets))
}

// copyList reads a list. Numbers that are added or removed meanwhile may be missing or included.
func (l *Lists) copyList(ctx context.Context, list string) (*listCopy, error) {
	const step = 1024 // reading this number of buckets takes Redis one or two milliseconds
	c := &listCopy{ends: make([]uint32, 0, buckets)}
	keys := make([]string, step)
	for at := 0; at < buckets; at += step {
		for i := range keys {
			keys[i] = bucketKey(list, at+i)
		}
		out, err := l.scripts.Run(ctx, copyScript, keys)
		if err != nil {
			return nil, fmt.Errorf("read opt-outs: %w", err)
		}
		for line := range strings.Lines(out[0]) {
			for word := range strings.FieldsSeq(line) {
				n, err := strconv.ParseUint(word, 10, 64)
				if err != nil {
					continue // skip this field of the bucket, because it is not a number
				}
				c.numbers = append(c.numbers, n)
			}
			c.ends = append(c.ends, uint32(len(c.numbers)))
		}
		if len(c.ends) != at+step {
			return nil, fmt.Errorf("read opt-outs: %w", script.ErrAnswer)
		}
	}
	return c, nil
}
