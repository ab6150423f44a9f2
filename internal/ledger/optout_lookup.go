package ledger

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/tuma-sms/tuma/sms"
)

// Lookup finds, page by page, who of a campaign is on one of some suppression lists. Redis
// is asked of every number, two or three microseconds each, until there have been so many,
// or are to be, that a list is read sooner: then it is read, and Redis asked only whether
// the list has grown or shrunk since. If it has, every number is asked of again: an open
// campaign is told of whoever comes to a list, but only once he has been entered, and not if
// whoever enters him dies in between. Not safe for concurrent use.
type OptOutLookup struct {
	ledger   *Ledger
	lists    []string
	counts   []int
	copies   []*listCopy // nil: Redis is asked
	expected int
	asked    int
}

// Reading a list takes as long as asking of copyFrom numbers, for its buckets, and of one
// in copyShare of the list's own. One of more than mostCopied, of eight bytes each, would
// take too much memory.
const (
	copyFrom  = optOutBuckets / 2
	copyShare = 8
	maxCopied = 1_000_000
)

// Lookup returns a Lookup in those of some lists that have anybody on them, by the counts
// of OptOutCounts, for so many numbers; 0: their number is not known.
func (l *Ledger) NewOptOutLookup(lists []string, counts map[string]int, numbers int) *OptOutLookup {
	x := &OptOutLookup{ledger: l, expected: numbers}
	for _, list := range lists {
		if counts[list] > 0 {
			x.lists, x.counts = append(x.lists, list), append(x.counts, counts[list])
		}
	}
	x.copies = make([]*listCopy, len(x.lists))
	return x
}

// Any says whether there is anything to look in.
func (x *OptOutLookup) Any() bool { return len(x.lists) > 0 }

// OptedOut finds those of some numbers who are on one of the lists, and names the first of
// these.
func (x *OptOutLookup) OptedOut(ctx context.Context, numbers []sms.MSISDN) (map[sms.MSISDN]string, error) {
	if err := x.dropChanged(ctx); err != nil {
		return nil, err
	}
	var asked []string
	for i, list := range x.lists {
		if x.copies[i] == nil && x.counts[i] <= maxCopied && max(x.asked, x.expected) >= copyFrom+x.counts[i]/copyShare {
			var err error
			if x.copies[i], err = x.ledger.copyOptOuts(ctx, list); err != nil {
				return nil, err
			}
		}
		if x.copies[i] == nil {
			asked = append(asked, list)
		}
	}
	x.asked += len(numbers)
	out, err := x.ledger.OptedOut(ctx, asked, numbers)
	if err != nil || len(asked) == len(x.lists) {
		return out, err
	}
	for i, c := range x.copies {
		if c == nil {
			continue
		}
		for _, m := range numbers {
			if !c.has(m) {
				continue
			}
			if out == nil {
				out = map[sms.MSISDN]string{}
			}
			if known := slices.Index(x.lists, out[m]); known < 0 || i < known {
				out[m] = x.lists[i]
			}
		}
	}
	return out, nil
}

// dropChanged forgets the copies of lists that have changed, for good.
func (x *OptOutLookup) dropChanged(ctx context.Context) error {
	if !slices.ContainsFunc(x.copies, func(c *listCopy) bool { return c != nil }) {
		return nil
	}
	now, err := x.ledger.OptOutCounts(ctx)
	if err != nil {
		return err
	}
	for i, list := range x.lists {
		if x.copies[i] != nil && now[list] != len(x.copies[i].numbers) {
			x.copies[i], x.counts[i] = nil, maxCopied+1 // so it is not read again
		}
	}
	return nil
}

// listCopy is a suppression list, by its buckets.
type listCopy struct {
	numbers []uint64 // as their buckets call them
	ends    []uint32 // of each bucket's
}

func (c *listCopy) has(m sms.MSISDN) bool {
	b := m % optOutBuckets
	from := uint32(0)
	if b > 0 {
		from = c.ends[b-1]
	}
	return slices.Contains(c.numbers[from:c.ends[b]], uint64(m/optOutBuckets))
}

// copyOptOuts reads a list. Who comes or goes meanwhile may or may not be in it.
func (l *Ledger) copyOptOuts(ctx context.Context, list string) (*listCopy, error) {
	const step = 1024 // a millisecond or two of Redis' time
	c := &listCopy{ends: make([]uint32, 0, optOutBuckets)}
	keys := make([]string, step)
	for at := 0; at < optOutBuckets; at += step {
		for i := range keys {
			keys[i] = optOutBucket(list, at+i)
		}
		out, err := l.evalStrings(ctx, optOutCopyScript, keys)
		if err != nil {
			return nil, fmt.Errorf("read opt-outs: %w", err)
		}
		for line := range strings.Lines(out[0]) {
			for word := range strings.FieldsSeq(line) {
				n, err := strconv.ParseUint(word, 10, 64)
				if err != nil {
					continue // no number is called so
				}
				c.numbers = append(c.numbers, n)
			}
			c.ends = append(c.ends, uint32(len(c.numbers)))
		}
		if len(c.ends) != at+step {
			return nil, fmt.Errorf("read opt-outs: %w", errAnswer)
		}
	}
	return c, nil
}
