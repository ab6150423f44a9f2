package optout

import (
	"context"
	"slices"

	"github.com/tuma-sms/tuma/sms"
)

// Lookup finds the suppressed recipients of a campaign, page by page. For few numbers, it looks up
// each number in Redis, which takes two or three microseconds for each number. For many numbers, a
// copy of the whole list is faster (see copyFrom). Then Lookup reads the list once. After that, it
// reads only the length of the list from Redis before each page.
//
// If the length has changed, Lookup drops the copy and looks up each number in Redis again. This
// check is necessary. A process writes a new opt-out first to the list and then to open campaigns.
// If the process dies in between, only the list has the opt-out. A Lookup is not safe for concurrent
// use.
type Lookup struct {
	all      *Lists
	lists    []string
	counts   []int
	copies   []*listCopy // nil if every number is looked up in Redis
	expected int
	asked    int
}

// These constants decide whether a Lookup copies a list. The time to copy a list is the time of
// copyFrom lookups, plus the time of one lookup for every copyShare numbers on the list. Lookup does
// not copy a list of more than maxCopied numbers, because each number in a copy takes eight bytes.
const (
	copyFrom  = buckets / 2
	copyShare = 8
	maxCopied = 1_000_000
)

// NewLookup returns a Lookup for the given lists, except empty lists. The parameter "counts" is
// a result of Counts. The parameter "numbers" is how many numbers will be looked up, or 0 if
// that is not known.
func (l *Lists) NewLookup(lists []string, counts map[string]int, numbers int) *Lookup {
	x := &Lookup{all: l, expected: numbers}
	for _, list := range lists {
		if counts[list] > 0 {
			x.lists, x.counts = append(x.lists, list), append(x.counts, counts[list])
		}
	}
	x.copies = make([]*listCopy, len(x.lists))
	return x
}

// Any reports whether any list has numbers.
func (x *Lookup) Any() bool { return len(x.lists) > 0 }

// OptedOut finds the suppressed numbers among the given numbers. The result maps each of them to the
// first list that contains the number.
func (x *Lookup) OptedOut(ctx context.Context, numbers []sms.MSISDN) (map[sms.MSISDN]string, error) {
	if err := x.dropChanged(ctx); err != nil {
		return nil, err
	}
	var asked []string
	for i, list := range x.lists {
		if x.copies[i] == nil && x.counts[i] <= maxCopied && max(x.asked, x.expected) >= copyFrom+x.counts[i]/copyShare {
			var err error
			if x.copies[i], err = x.all.copyList(ctx, list); err != nil {
				return nil, err
			}
		}
		if x.copies[i] == nil {
			asked = append(asked, list)
		}
	}
	x.asked += len(numbers)
	out, err := x.all.Find(ctx, asked, numbers)
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

// dropChanged deletes the copies of lists whose length has changed. Lookup does not copy these
// lists again.
func (x *Lookup) dropChanged(ctx context.Context) error {
	if !slices.ContainsFunc(x.copies, func(c *listCopy) bool { return c != nil }) {
		return nil
	}
	now, err := x.all.Counts(ctx)
	if err != nil {
		return err
	}
	for i, list := range x.lists {
		if x.copies[i] != nil && now[list] != len(x.copies[i].numbers) {
			x.copies[i], x.counts[i] = nil, maxCopied+1 // a count above maxCopied prevents another copy of the list
		}
	}
	return nil
}
