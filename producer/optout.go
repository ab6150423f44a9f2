package producer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/optout"
	"github.com/tuma-sms/tuma/sms"
)

// Values of OptOut.Origin. For an opt-out that a gateway reports, the worker writes
// "gateway:ACCOUNT:CODE".
const (
	// OriginHand is the default: a person entered the opt-out.
	OriginHand = "hand"
	// OriginImport marks an entry from an imported list.
	OriginImport = "import"
	// OriginKeyword marks an entry of a person that answered with a word such as STOP.
	OriginKeyword = "keyword"
)

// OptOut is an entry of a suppression list. It stands for a person that wants no more messages.
type OptOut struct {
	// Number is a phone number as people write it. Country is the ISO code for a number in
	// national format.
	Number  string `json:"msisdn"`
	Country string `json:"-"`
	// Sender is the sender ID that must not be used for messages to this person. Upper and lower
	// case do not matter. Empty means every sender.
	Sender string `json:"sender,omitempty"`
	// Origin is where the opt-out comes from: one word of at most 64 characters. Empty means
	// OriginHand.
	Origin string `json:"origin,omitempty"`
	// At is when the person opted out, with a precision of one minute. In an argument, zero means
	// now. In an entry that was read, zero means that the time is not known.
	At time.Time `json:"at,omitzero"`
}

// OptOutReceipt is the answer to OptOut.
type OptOutReceipt struct {
	// Added is the number of the caller's entries that are new. Known is the number of the caller's
	// entries that were on the list already.
	Added int `json:"added"`
	Known int `json:"known"`
	// InFlight counts the calls that have an opted-out recipient, were claimed before the opt-out and
	// are still in flight. WaitForInFlight waits for these calls.
	InFlight InFlight `json:"in_flight"`
	// Doubt is the number of calls that have an opted-out recipient and an unknown outcome. At a gateway
	// with idempotency keys, workers may repeat such a call unchanged. The gateway then sends the
	// messages of the call only once.
	Doubt    int `json:"doubt"`
	inFlight []ledger.InFlightCall
}

// optOutBatch is the number of entries that are written together.
const optOutBatch = 10 * optout.Chunk

// OptOut adds people to suppression lists. From then on, planning and retries skip them in every
// campaign, even in a running one. Entries stay until OptIn removes them.
//
// When OptOut returns without an error, workers claim no new call to these people. The receipt
// counts the calls to them that are still in flight. An entry that exists does not change. Memory
// does not grow with the number of people.
//
// If a number cannot be read, OptOut returns a NumberError; if the sequence yields an error, OptOut
// returns that error. The entries before the error are added. After any error, call OptOut again
// with the same people. The repetition is safe; until it succeeds, workers may still call these
// people.
func (c *Client) OptOut(ctx context.Context, people iter.Seq2[OptOut, error]) (OptOutReceipt, error) {
	var r OptOutReceipt
	load := &optOutLoad{client: c, waiting: map[string][]optout.Entry{}, named: map[string][]sms.MSISDN{}}
	i, wrong := 0, error(nil)
	for p, err := range people {
		if err == nil {
			err = load.take(ctx, i, p)
		}
		if err != nil {
			wrong = err
			break
		}
		i++
	}
	// The method "end" also runs after an error, because running campaigns must exclude the entries
	// that were added before the error.
	err := load.end(ctx)
	r.Added, r.Known, r.inFlight = load.added, load.count-load.added, load.inFlight
	for _, x := range r.inFlight {
		if x.Doubtful {
			r.Doubt++
			continue
		}
		r.InFlight.Calls++
		r.InFlight.Recipients += x.Recipients
	}
	return r, errors.Join(wrong, err)
}

// optOutLoad is the state of one call of OptOut.
type optOutLoad struct {
	client *Client
	// The map "waiting" holds the entries that are not written yet, by list.
	waiting map[string][]optout.Entry
	// The map "named" has the numbers that running campaigns must exclude, by list. A nil value
	// means that the list has more than mostNamed such numbers, so running campaigns read the whole
	// list.
	named        map[string][]sms.MSISDN
	added, count int
	inFlight     []ledger.InFlightCall
}

// mostNamed is the maximum number of opted-out numbers that OptOut writes into each running
// campaign. With more numbers, running campaigns read the whole suppression list instead.
const mostNamed = 1000

// read returns the list and the number of the entry p. The parameter i is the position of p in the
// sequence, for use in a NumberError.
func (p OptOut) read(i int) (list string, m sms.MSISDN, err error) {
	if list, err = optout.ListOf(p.Sender); err != nil {
		return "", 0, &FieldError{Field: "sender", Problem: err.Error()}
	}
	if m, err = sms.ParseMSISDN(p.Number, p.Country); err != nil {
		return "", 0, &NumberError{Index: i, err: err}
	}
	if len(p.Origin) > 64 || strings.ContainsFunc(p.Origin, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "", 0, &FieldError{Field: "origin", Problem: fmt.Sprintf("%.80q must be one word of at most 64 characters", p.Origin)}
	}
	return list, m, nil
}

// CheckOptOut returns the error that OptOut would return for p, or nil. It changes nothing and does
// not use Redis.
func CheckOptOut(p OptOut) error {
	_, _, err := p.read(0)
	return err
}

// The method "take" adds the entry p to the map "waiting". When a list has optOutBatch waiting
// entries, the method writes them.
func (o *optOutLoad) take(ctx context.Context, i int, p OptOut) error {
	list, m, err := p.read(i)
	if err != nil {
		return err
	}
	if p.Origin == "" {
		p.Origin = OriginHand
	}
	o.count++
	o.waiting[list] = append(o.waiting[list], optout.Entry{MSISDN: m, Origin: p.Origin, At: p.At})
	if names, ok := o.named[list]; !ok || names != nil && len(names) < mostNamed {
		o.named[list] = append(names, m)
	} else {
		o.named[list] = nil
	}
	if len(o.waiting[list]) < optOutBatch {
		return nil
	}
	if err := o.client.roomInRedis(ctx); err != nil {
		return err
	}
	n, err := o.client.optouts.Add(ctx, list, o.waiting[list], false)
	o.added += n
	o.waiting[list] = o.waiting[list][:0]
	return err
}

// The method "end" writes the remaining entries, and makes running campaigns exclude the numbers.
func (o *optOutLoad) end(ctx context.Context) error {
	for list, numbers := range o.named {
		n, err := o.client.optouts.Add(ctx, list, o.waiting[list], true)
		o.added += n
		if err != nil {
			return err
		}
		inFlight, err := o.client.ledger.ExcludeOpen(ctx, list, numbers)
		o.inFlight = append(o.inFlight, inFlight...)
		if err != nil {
			return err
		}
	}
	return nil
}

// WaitForInFlight blocks until all calls that r.InFlight counts have ended. It returns an error if
// ctx ends first.
func (c *Client) WaitForInFlight(ctx context.Context, r OptOutReceipt) error {
	tick := time.NewTicker(c.poll)
	defer tick.Stop()
	for inFlight := r.inFlight; ; {
		var err error
		if inFlight, err = c.ledger.StillInFlight(ctx, inFlight); err != nil || len(inFlight) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d calls are still in flight: %w", len(inFlight), context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// OptIn removes entries from suppression lists and returns how many it removed. It ignores Origin
// and At. If a campaign has already skipped these people, it does not send to them later. It
// returns the same errors as OptOut; the entries before the error are removed.
func (c *Client) OptIn(ctx context.Context, people iter.Seq2[OptOut, error]) (removed int, err error) {
	waiting := map[string][]sms.MSISDN{}
	flush := func(list string) error {
		n, err := c.optouts.Remove(ctx, list, waiting[list])
		removed += n
		waiting[list] = waiting[list][:0]
		return err
	}
	i := 0
	for p, err := range people {
		if err != nil {
			return removed, err
		}
		list, m, err := p.read(i)
		if err != nil {
			return removed, err
		}
		i++
		if waiting[list] = append(waiting[list], m); len(waiting[list]) == optout.Chunk {
			if err := flush(list); err != nil {
				return removed, err
			}
		}
	}
	for list := range waiting {
		if err := flush(list); err != nil {
			return removed, err
		}
	}
	return removed, nil
}

// OptOutCounts returns the number of entries of each suppression list that is not empty, by sender ID
// in upper case. The list for every sender has the key "".
func (c *Client) OptOutCounts(ctx context.Context) (map[string]int, error) {
	counts, err := c.optouts.Counts(ctx)
	out := map[string]int{}
	for list, n := range counts {
		out[senderOf(list)] = n
	}
	return out, err
}

// OptOuts yields the entries of a sender's suppression list, in no particular order and in constant
// memory. An empty sender means the list for every sender. Entries that are added or removed during
// the call may be yielded or not.
func (c *Client) OptOuts(ctx context.Context, sender string) iter.Seq2[OptOut, error] {
	return func(yield func(OptOut, error) bool) {
		list, err := optout.ListOf(sender)
		if err != nil {
			yield(OptOut{}, &FieldError{Field: "sender", Problem: err.Error()})
			return
		}
		for x, err := range c.optouts.Entries(ctx, list) {
			if !yield(optOutOf(x), err) || err != nil {
				return
			}
		}
	}
}

// OptOutsOf returns the entries of the given number, one for each suppression list that contains
// it. The parameter "country" is the ISO code for a number in national format. If the number
// cannot be read, the error is a NumberError.
func (c *Client) OptOutsOf(ctx context.Context, number, country string) ([]OptOut, error) {
	m, err := sms.ParseMSISDN(number, country)
	if err != nil {
		return nil, &NumberError{err: err}
	}
	found, err := c.optouts.EntriesOf(ctx, m)
	out := make([]OptOut, len(found))
	for i, x := range found {
		out[i] = optOutOf(x)
	}
	return out, err
}

func optOutOf(x optout.Entry) OptOut {
	return OptOut{Number: x.MSISDN.String(), Sender: senderOf(x.List), Origin: x.Origin, At: x.At}
}

// senderOf returns the sender ID of a list, or "" for the list for every sender.
func senderOf(list string) string {
	if list == campaign.AllSenders {
		return ""
	}
	return list
}

// OptOutNumbers returns a sequence of the given numbers for OptOut or OptIn. The parameters
// "sender" and "country" are the Sender and the Country of every entry.
func OptOutNumbers(sender, country string, numbers ...string) iter.Seq2[OptOut, error] {
	return func(yield func(OptOut, error) bool) {
		for _, n := range numbers {
			if !yield(OptOut{Number: n, Sender: sender, Country: country}, nil) {
				return
			}
		}
	}
}
