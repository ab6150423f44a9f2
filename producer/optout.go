package producer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/sms"
)

// Origins of an opt-out; a gateway's is "gateway:ACCOUNT:CODE".
const (
	OriginHand    = ledger.OriginHand    // the default
	OriginImport  = ledger.OriginImport  // from a list
	OriginKeyword = ledger.OriginKeyword // an answer such as STOP
)

// OptOut is somebody who does not want to be written to.
type OptOut struct {
	// Number is written as people do; of national ones Country says, by its ISO code, where.
	Number  string `json:"msisdn"`
	Country string `json:"-"`
	// Sender is the sender ID that must not write any more, in upper or lower case; empty:
	// nobody may.
	Sender string `json:"sender,omitempty"`
	// Origin is where the wish comes from, one word of at most 64 characters.
	Origin string `json:"origin,omitempty"`
	// At is when it came, to the minute. Zero: now, or not known.
	At time.Time `json:"at,omitzero"`
}

// NumberError is a number of OptOut or OptIn that is none.
type NumberError struct {
	// Index is its place in the sequence, from 0.
	Index int
	err   error
}

// Error says which number it is, masked, and what is wrong with it.
func (e *NumberError) Error() string { return e.err.Error() }

// Unwrap returns what is wrong.
func (e *NumberError) Unwrap() error { return e.err }

// Is says that every NumberError is an ErrInvalid.
func (e *NumberError) Is(target error) bool { return target == ErrInvalid }

// OptOutReceipt says what an OptOut came to.
type OptOutReceipt struct {
	// Added are those who were not on the list, Known those who were.
	Added int `json:"added"`
	Known int `json:"known"`
	// InFlight are calls with them that were claimed before, and hold that claim still, and
	// the recipients meant in these. No other begins but those in Doubt, whose outcome is
	// unknown: they may be repeated, as they were, at a gateway that then sends them once.
	InFlight InFlight `json:"in_flight"`
	Doubt    int      `json:"doubt"`
	flying   []ledger.InFlightCall
}

// optOutBatch is how many are added at once.
const optOutBatch = 10 * ledger.OptOutChunk

// OptOut puts people on the suppression list, for good: nobody on it is planned for, or
// retried, any more. When it returns without an error, no call to them is claimed from then
// on in any campaign, open ones included; the receipt says which were claimed before, and
// Landed waits for those. Who is on the list already stays as first entered. Memory does not
// grow with the number of people.
//
// A number that is none ends it with a NumberError, and an error of the sequence with that;
// those before it are on the list all the same. After any error the same again is safe, and
// needed.
func (c *Client) OptOut(ctx context.Context, people iter.Seq2[OptOut, error]) (OptOutReceipt, error) {
	var r OptOutReceipt
	load := &optOutLoad{client: c, waiting: map[string][]ledger.OptOut{}, named: map[string][]sms.MSISDN{}}
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
	// Also after an error: who is on the list must be on it altogether.
	err := load.end(ctx)
	r.Added, r.Known, r.flying = load.added, load.count-load.added, load.flying
	for _, x := range r.flying {
		if x.Doubtful {
			r.Doubt++
			continue
		}
		r.InFlight.Calls++
		r.InFlight.Recipients += x.Recipients
	}
	return r, errors.Join(wrong, err)
}

// optOutLoad is an OptOut under way.
type optOutLoad struct {
	client       *Client
	waiting      map[string][]ledger.OptOut // by list
	named        map[string][]sms.MSISDN    // by list, who has come to it; nil: too many to name
	added, count int
	flying       []ledger.InFlightCall
}

// mostNamed is how many a campaign is told of by name.
const mostNamed = 1000

// read is what an opt-out means: whose list, and which number.
func (p OptOut) read(i int) (list string, m sms.MSISDN, err error) {
	if list, err = ledger.OptOutList(p.Sender); err != nil {
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

// CheckOptOut says what OptOut would refuse of one, or nil, without doing anything.
func CheckOptOut(p OptOut) error {
	_, _, err := p.read(0)
	return err
}

func (o *optOutLoad) take(ctx context.Context, i int, p OptOut) error {
	list, m, err := p.read(i)
	if err != nil {
		return err
	}
	if p.Origin == "" {
		p.Origin = OriginHand
	}
	o.count++
	o.waiting[list] = append(o.waiting[list], ledger.OptOut{MSISDN: m, Origin: p.Origin, At: p.At})
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
	n, err := o.client.ledger.AddOptOuts(ctx, list, o.waiting[list], false)
	o.added += n
	o.waiting[list] = o.waiting[list][:0]
	return err
}

// end adds what is left, and tells the open campaigns.
func (o *optOutLoad) end(ctx context.Context) error {
	for list, numbers := range o.named {
		n, err := o.client.ledger.AddOptOuts(ctx, list, o.waiting[list], true)
		o.added += n
		if err != nil {
			return err
		}
		flying, err := o.client.ledger.ExcludeOpen(ctx, list, numbers, "")
		o.flying = append(o.flying, flying...)
		if err != nil {
			return err
		}
	}
	return nil
}

// Landed waits until none of the calls that a receipt names is in flight.
func (c *Client) WaitForInFlight(ctx context.Context, r OptOutReceipt) error {
	tick := time.NewTicker(c.poll)
	defer tick.Stop()
	for flying := r.flying; ; {
		var err error
		if flying, err = c.ledger.StillInFlight(ctx, flying); err != nil || len(flying) == 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d calls are still in flight: %w", len(flying), context.Cause(ctx))
		case <-tick.C:
		}
	}
}

// OptIn takes people off the suppression list of a sender, or of all, and returns how many
// were on it. Campaigns that have left them out do not take them in again. Origin and At
// do not matter. A number that is none ends it, as with OptOut.
func (c *Client) OptIn(ctx context.Context, people iter.Seq2[OptOut, error]) (removed int, err error) {
	waiting := map[string][]sms.MSISDN{}
	flush := func(list string) error {
		n, err := c.ledger.RemoveOptOuts(ctx, list, waiting[list])
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
		if waiting[list] = append(waiting[list], m); len(waiting[list]) == ledger.OptOutChunk {
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

// OptOutCounts is how many people are on each suppression list that is not empty, by
// sender ID in upper case; "" is the one for all senders.
func (c *Client) OptOutCounts(ctx context.Context) (map[string]int, error) {
	counts, err := c.ledger.OptOutCounts(ctx)
	out := map[string]int{}
	for list, n := range counts {
		out[senderOf(list)] = n
	}
	return out, err
}

// OptOuts yields who is on the suppression list of a sender, or with "" on that for all, in
// no order and in constant memory. What changes meanwhile may or may not be in it.
func (c *Client) OptOuts(ctx context.Context, sender string) iter.Seq2[OptOut, error] {
	return func(yield func(OptOut, error) bool) {
		list, err := ledger.OptOutList(sender)
		if err != nil {
			yield(OptOut{}, &FieldError{Field: "sender", Problem: err.Error()})
			return
		}
		for x, err := range c.ledger.OptOuts(ctx, list) {
			if !yield(optOutOf(x), err) || err != nil {
				return
			}
		}
	}
}

// OptOutsOf lists every suppression list that a number is on; country as in OptOut.
func (c *Client) OptOutsOf(ctx context.Context, number, country string) ([]OptOut, error) {
	m, err := sms.ParseMSISDN(number, country)
	if err != nil {
		return nil, &NumberError{err: err}
	}
	found, err := c.ledger.OptOutsOf(ctx, m)
	out := make([]OptOut, len(found))
	for i, x := range found {
		out[i] = optOutOf(x)
	}
	return out, err
}

func optOutOf(x ledger.OptOut) OptOut {
	return OptOut{Number: x.MSISDN.String(), Sender: senderOf(x.List), Origin: x.Origin, At: x.At}
}

func senderOf(list string) string {
	if list == ledger.AllSenders {
		return ""
	}
	return list
}

// OptOutNumbers makes a sequence for OptOut or OptIn of plain numbers; sender and country
// as in OptOut.
func OptOutNumbers(sender, country string, numbers ...string) iter.Seq2[OptOut, error] {
	return func(yield func(OptOut, error) bool) {
		for _, n := range numbers {
			if !yield(OptOut{Number: n, Sender: sender, Country: country}, nil) {
				return
			}
		}
	}
}
