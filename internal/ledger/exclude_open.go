package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

const (
	// campaignsAtOnce is the maximum number of campaigns that an opt-out reads in one round trip.
	campaignsAtOnce = 256
	// exclusionsAtOnce is how many campaigns an opt-out is written to at the same time. A write may
	// wait until it is durable.
	exclusionsAtOnce = 8
)

// run passes the numbers to the open campaigns. After ctx has ended it does not begin with a further
// campaign.
func (x *exclusion) run(ctx context.Context) ([]InFlightCall, error) {
	open, err := x.ledger.Index().Open(ctx)
	if err != nil {
		return nil, err
	}
	var ids []string
	for part := range slices.Chunk(open, campaignsAtOnce) {
		concerned, err := x.concerned(ctx, part)
		if err != nil {
			return nil, err
		}
		ids = append(ids, concerned...)
	}
	next := make(chan string)
	var group sync.WaitGroup
	for range min(exclusionsAtOnce, len(ids)) {
		group.Go(func() {
			for id := range next {
				x.exclude(ctx, id)
			}
		})
	}
	for _, id := range ids {
		next <- id
	}
	close(next)
	group.Wait()
	if x.failed > 0 {
		return x.inFlight, fmt.Errorf("exclude opt-outs from open campaigns: %d of %d campaigns failed, the first with the error: %w", x.failed, len(ids), x.err)
	}
	return x.inFlight, nil
}

// exclusion has the data of one exclusionRun: the list, the numbers, and what the run has found so far.
type exclusion struct {
	ledger  *Ledger
	list    string
	numbers []sms.MSISDN
	named   map[sms.MSISDN]bool // the numbers
	// senders has the sender IDs of the accounts that were read so far. The slice "all" has the names
	// of all accounts, once they were read.
	senders map[string]string
	all     []string

	mu       sync.Mutex
	inFlight []InFlightCall
	failed   int   // number of campaigns that failed: it is not certain that they got the numbers
	err      error // the error of the first campaign that failed
}

func newExclusion(l *Ledger, list string, numbers []sms.MSISDN) *exclusion {
	x := &exclusion{ledger: l, list: list, numbers: numbers, named: map[sms.MSISDN]bool{}, senders: map[string]string{}}
	for _, m := range numbers {
		x.named[m] = true
	}
	return x
}

// The method "concerned" returns those open campaigns to which x.list applies. It leaves out single
// messages to other people: while a gateway does not answer, there may be 100,000 of them. It also
// leaves out campaigns that are not committed, because their planning reads the list.
func (x *exclusion) concerned(ctx context.Context, open []IndexEntry) (ids []string, err error) {
	got := make([]someOf, len(open))
	for i, e := range open {
		got[i] = someOf{id: e.ID, names: []string{fieldTotal, batchField(campaign.BatchName(0, 0)), fieldSnapshot, fieldSendingHours}}
	}
	if err := x.ledger.records.many(ctx, got, true); err != nil {
		return nil, fmt.Errorf("read %d open campaigns: %w", len(open), err)
	}
	for _, c := range got {
		if c.values == nil || x.isToOthers(c) {
			continue
		}
		applies, err := x.applies(ctx, c)
		if err != nil {
			return nil, err
		}
		if applies {
			ids = append(ids, c.id)
		}
	}
	return ids, nil
}

// isToOthers reports whether the campaign is a planned message to one recipient whose number is not in
// x.numbers.
func (x *exclusion) isToOthers(c someOf) bool {
	if x.numbers == nil || script.Text(c.values[0]) != "1" || c.values[1] == nil {
		return false
	}
	_, to, err := decodeBatch([]byte(script.Text(c.values[1])))
	return err == nil && len(to) == 1 && !x.named[to[0].MSISDN]
}

// The method "applies" reports whether the suppression list x.list applies to the campaign. If a record of the
// campaign cannot be read, every list applies.
func (x *exclusion) applies(ctx context.Context, c someOf) (bool, error) {
	if x.list == campaign.AllSenders {
		return true, nil
	}
	spec, err := decodeSpec([]byte(c.spec))
	if err != nil {
		return true, nil //nolint:nilerr // the sweeper quarantines the spec
	}
	var names []string
	if spec.From == "" {
		snapshot := campaign.PlanSnapshot{}
		if c.values[2] != nil {
			if snapshot, err = decodeSnapshot(script.Text(c.values[2]), script.Text(c.values[3])); err != nil {
				return true, nil //nolint:nilerr // the sweeper quarantines the snapshot
			}
		}
		if names, err = sendingAccounts(spec, snapshot, func() ([]string, error) { return x.allNames(ctx) }); err != nil {
			return false, err
		}
	}
	lists, err := listsOf(spec, names, func(name string) (string, error) { return x.senderOf(ctx, name) })
	return slices.Contains(lists, x.list), err
}

// The method senderOf returns the sender ID of an account. It calls the function senderOf once for
// each account, and remembers the result.
func (x *exclusion) senderOf(ctx context.Context, name string) (string, error) {
	if sender, ok := x.senders[name]; ok {
		return sender, nil
	}
	sender, err := senderOf(ctx, x.ledger.accounts, name)
	if err == nil {
		x.senders[name] = sender
	}
	return sender, err
}

// allNames returns the names of all accounts. It calls accountNames once, and remembers the result.
func (x *exclusion) allNames(ctx context.Context) (names []string, err error) {
	if x.all == nil {
		x.all, err = accountNames(ctx, x.ledger.accounts)
	}
	return x.all, err
}

// exclude passes the numbers to one campaign. After ctx has ended, it only counts the campaign as
// failed.
func (x *exclusion) exclude(ctx context.Context, id string) {
	err := context.Cause(ctx)
	var calls []InFlightCall
	if err == nil {
		var in InFlight
		in, err = x.ledger.Exclude(ctx, id, x.list, x.numbers)
		if err == nil && in.Recipients > 0 {
			calls, err = x.ledger.inFlightTo(ctx, id, x.list, x.numbers)
		}
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.inFlight = append(x.inFlight, calls...)
	if err != nil {
		if x.failed++; x.err == nil {
			x.err = err
		}
	}
}
