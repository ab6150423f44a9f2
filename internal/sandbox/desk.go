package sandbox

import (
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
)

// Desk is where one gateway serves, with books, credit and figures of its own.
//
// A gateway's server is one file of this package: a type with the methods of
// gateway, a function that makes it, and beside it a line that enters it,
//
//	var _ = register("kobo", newKobo)
//
// so that a new one touches nothing else. Its endpoints read a request as strictly
// as the vendor's page says, ask login (or knows, where there is only a token),
// the credit and said for each number, and call accept for what they take; all of
// that under the server's lock s.mu. It shares no code with the client.
//
// The refuse of an endpoint is given those words, and any other behind "code_" in a
// fault; one that belongs to numbers it says of every number of the call. In a row the
// text is whatever the answer has beside a number.
//
// A request's body is only the handler's until it has answered: keep copies. Where a
// vendor has a word for what the faults later, campaign and credit mean, the endpoint
// says which (words), and where answers name numbers, answer.rows lets faults leave one
// out.
//
// A Desk is safe for concurrent use.
type Desk struct {
	s    *Server
	name string

	requests, calls, struck, ambiguous atomic.Int64

	// The server's lock guards the rest.
	gateway gateway
	credit  float64
	book    book
	words   map[uint64]Word
	texts   map[uint64]string // nil: not kept
	last    Taken
}

// gateway is what the file of one gateway has.
type gateway interface {
	// endpoints are the vendor's paths. Called once.
	endpoints() map[string]endpoint
	// reset makes it as new. The caller holds the server's lock.
	reset()
	// reach tells of a word how far it goes when it is said of one number.
	reach(Word) Reach
}

// makers are the gateways' servers, by name. A registry that files enter
// themselves in would be too clever for a product, but this one stands in for the
// outside world: a new gateway there changes nothing of the others either.
var makers = map[string]func(*Desk) gateway{}

//nolint:unparam // a declaration outside of functions needs a value
func register(name string, open func(*Desk) gateway) func(*Desk) gateway {
	makers[name] = open
	return open
}

// Names returns the gateways that there are servers for, sorted.
func Names() []string { return slices.Sorted(maps.Keys(makers)) }

// Word is what a gateway can be made to say of a number.
type Word string

// The words.
const (
	// Accept is what every gateway says of a number that nothing was said about.
	Accept Word = "accept"
	// Reject: refused for good, because of this number.
	Reject Word = "reject"
	// Later: certainly not taken now, but it may be another time.
	Later Word = "later"
)

// Reach is how far a word goes.
type Reach uint8

// The reaches.
const (
	// Unsaid: the gateway has no answer that says it.
	Unsaid Reach = iota
	// OfCall: it is said of the whole call that holds the number.
	OfCall
	// OfNumber: it is said of that number alone, and the others are taken.
	OfNumber
)

// Taken is a call that was accepted, as the gateway has understood it.
type Taken struct {
	// Numbers are those accepted, in the order of the call.
	Numbers []uint64
	// From and Body are the sender and the text, Key the idempotency key.
	From, Body, Key string
	// Fields are further fields of the request, by the vendor's names.
	Fields map[string]string
}

// Desk returns the desk of a gateway. It panics if there is none of that name.
func (s *Server) Desk(name string) *Desk {
	d, ok := s.desks[name]
	if !ok {
		panic(fmt.Sprintf("sandbox: no gateway %q; there is %q", name, Names()))
	}
	return d
}

// Say makes the gateway say a word of these numbers from now on. It errs on a word
// that the gateway has no answer for.
func (d *Desk) Say(word Word, numbers ...uint64) error {
	if word != Accept && d.gateway.reach(word) == Unsaid {
		return fmt.Errorf("%s cannot say %q of a number", d.name, word)
	}
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	for _, n := range numbers {
		if word == Accept {
			delete(d.words, n)
			continue
		}
		d.words[n] = word
	}
	return nil
}

// Reach tells how far a word goes when it is said of one number.
func (d *Desk) Reach(word Word) Reach { return d.gateway.reach(word) }

// Says tells whether the gateway has a word for a fault: later, campaign or credit.
func (d *Desk) Says(fault string) bool {
	for _, p := range d.s.endpoints {
		if p.desk == d && p.words[fault] != "" {
			return true
		}
	}
	return false
}

// Last returns the call that was accepted last, and not under a key that was known.
// With Options.NoCount it is empty.
func (d *Desk) Last() Taken {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return d.last
}

// Accepted returns how many messages to a number this gateway has accepted, at most 255.
func (d *Desk) Accepted(number uint64) int {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return int(d.book.perNumber[number])
}

// Text returns the message that this gateway has accepted last for a number, if
// Options.Texts has it kept; empty: none.
func (d *Desk) Text(number uint64) string {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return d.texts[number]
}

// AllAccepted yields every number that this gateway has accepted something for, in
// ascending order, with how many messages. It works on a copy.
func (d *Desk) AllAccepted() iter.Seq2[uint64, int] {
	d.s.mu.Lock()
	counts := maps.Clone(d.book.perNumber)
	d.s.mu.Unlock()
	return inOrder(counts)
}

// SetCredit sets how many messages this gateway may still accept.
func (d *Desk) SetCredit(credit float64) {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.credit = credit
}

// Stats returns the figures of this gateway. InFlight and PeakInFlight are those of
// the whole server.
func (d *Desk) Stats() Stats {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return d.s.stats(&d.book, d.credit, &d.requests, &d.calls, &d.struck, &d.ambiguous)
}

func (d *Desk) reset() {
	for _, n := range []*atomic.Int64{&d.requests, &d.calls, &d.struck, &d.ambiguous} {
		n.Store(0)
	}
	d.credit = d.s.options.Credit
	if d.credit == 0 {
		d.credit = 1e9
	}
	d.book = newBook(!d.s.options.NoCount)
	d.words, d.last, d.texts = map[uint64]Word{}, Taken{}, nil
	if d.s.options.Texts {
		d.texts = map[uint64]string{}
	}
	d.gateway.reset()
}

// accept enters a call in the books and takes its price, one credit a message. The
// caller holds the server's lock.
func (d *Desk) accept(t Taken) {
	d.credit -= float64(len(t.Numbers))
	d.book.accept(t.Numbers)
	d.s.book.accept(t.Numbers)
	d.s.note(d.name, t)
	if d.texts != nil {
		text := strings.Clone(t.Body)
		for _, n := range t.Numbers {
			d.texts[n] = text
		}
	}
	if !d.s.options.NoCount {
		d.last = t
	}
}

// rejected counts a call that was refused. The caller holds the server's lock.
func (d *Desk) rejected() {
	d.book.rejected++
	d.s.book.rejected++
}

// replayed counts a call under a known idempotency key, and whether it was another
// call than the first. The caller holds the server's lock.
func (d *Desk) replayed(another bool) {
	for _, b := range []*book{&d.book, &d.s.book} {
		b.replays++
		if another {
			b.conflicts++
		}
	}
}

// said returns what is to be said of a number. The caller holds the server's lock.
func (d *Desk) said(number uint64) Word {
	if word, ok := d.words[number]; ok {
		return word
	}
	return Accept
}

// affords says whether there is credit for so many messages. The caller holds the
// server's lock.
func (d *Desk) affords(messages int) bool { return float64(messages) <= d.credit }

// endpoint is one path of a gateway.
type endpoint struct {
	// send says that a request here is a call: faults strike it, and it is counted.
	// Where one path serves everything, sends tells from the request.
	send  bool
	sends func(r *http.Request, body []byte) bool
	// get lets GET requests in too.
	get bool
	// answer serves a request whose body has been read.
	answer func(r *http.Request, body []byte) answer
	// refuse answers with the gateway's own error word, as a fault of the gateway;
	// nil: it has none.
	refuse func(r *http.Request, body []byte, word string) answer
	// words are those with which the gateway says something of a whole call, by
	// the name of the fault: later, campaign, credit. What is missing it cannot say.
	words map[string]string
}

// answer is what a gateway says.
type answer struct {
	status      int // 0 is 200
	contentType string
	body        []byte
	taken       bool // messages have been accepted (now, or before under the same key)
	// rows takes the answer apart into what it says of each number, and puts rows
	// together to an answer again; nil where an answer does not name numbers.
	rows func() ([]row, func([]row) []byte)
}

// row is what an answer says of one number.
type row struct {
	number uint64
	text   string
}
