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

// Gateway is one simulated gateway with its own counts and credit. It is safe for concurrent use.
//
// The server of a gateway is one file of this package. It has a type with the methods of the interface
// vendorAPI, a constructor, and a line that registers the constructor:
//
//	var _ = register("kobo", newKobo)
//
// So a new gateway changes no other file. An endpoint parses a request as strictly as the vendor's page
// demands. It calls validLogin (or hasPassword, if the login is only a token), hasCredit, and replyTo for each
// number. Then it calls accept with the accepted numbers. All of that runs under the server's lock s.mu. The
// simulator shares no code with the client.
//
// The refuse function of an endpoint gets an error code of the vendor: one of its faultReplies, or the text
// after "code_" in a fault's name. If the code is about numbers, refuse applies it to every number of the call.
//
// An endpoint lists in faultReplies the vendor's error codes for the faults later, campaign and credit. If its
// replies name numbers, it sets answer.rows, so that faults can leave a number out. It must copy what it
// keeps of a request's body: the body is reused after the reply.
type Gateway struct {
	s    *Server
	name string

	requests, calls, faultCount, ambiguous atomic.Int64

	// The server's lock guards the fields below.
	vendor       vendorAPI
	credit       float64
	counters     counters
	replies      map[uint64]Reply
	texts        map[uint64]string // nil if texts are not kept
	lastAccepted AcceptedCall
}

// vendorAPI is implemented for each gateway: its endpoints and its state.
type vendorAPI interface {
	// endpoints returns the endpoints by the vendor's path. It is called once.
	endpoints() map[string]endpoint
	// reset restores the initial state. The caller holds the server's lock.
	reset()
	// replyScope returns how much of a call a reply refuses if it is set for one number.
	replyScope(Reply) ReplyScope
}

// constructors are the constructors of the gateways, by name. Product code avoids registries like this one. The
// simulators use it because each stands for a different company: a new one must not change the others.
var constructors = map[string]func(*Gateway) vendorAPI{}

//nolint:unparam // a package-level declaration needs a value
func register(name string, open func(*Gateway) vendorAPI) func(*Gateway) vendorAPI {
	constructors[name] = open
	return open
}

// Names returns the names of the simulated gateways, sorted.
func Names() []string { return slices.Sorted(maps.Keys(constructors)) }

// Reply is what a gateway answers about a number. Gateway.SetReply sets it.
type Reply string

// The replies.
const (
	// Accept accepts the number. It is the default.
	Accept Reply = "accept"
	// Reject refuses the number permanently.
	Reject Reply = "reject"
	// Later refuses the number for now. It may be accepted later.
	Later Reply = "later"
)

// ReplyScope is how much of a call a reply refuses.
type ReplyScope uint8

// The scopes.
const (
	// ScopeNone means that the gateway has no such reply.
	ScopeNone ReplyScope = iota
	// ScopeCall means that the whole call with the number is refused.
	ScopeCall
	// ScopeNumber means that only this number is refused, and the others are accepted.
	ScopeNumber
)

// AcceptedCall is an accepted call as the gateway parsed it.
type AcceptedCall struct {
	// Numbers are the accepted numbers, in the order of the call.
	Numbers []uint64
	// From is the sender ID, Body the text, and Key the idempotency key.
	From, Body, Key string
	// Fields are the other fields of the request, by the vendor's names.
	Fields map[string]string
}

// Gateway returns a gateway by its name. It panics if there is no such gateway.
func (s *Server) Gateway(name string) *Gateway {
	d, ok := s.gateways[name]
	if !ok {
		panic(fmt.Sprintf("sandbox: unknown gateway %q; the gateways are %q", name, Names()))
	}
	return d
}

// SetReply sets the gateway's reply to these numbers for all later calls. It returns an error if the gateway
// has no such reply.
func (d *Gateway) SetReply(word Reply, numbers ...uint64) error {
	if word != Accept && d.vendor.replyScope(word) == ScopeNone {
		return fmt.Errorf("%s has no reply %q for a number", d.name, word)
	}
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	for _, n := range numbers {
		if word == Accept {
			delete(d.replies, n)
			continue
		}
		d.replies[n] = word
	}
	return nil
}

// ReplyScope returns how much of a call a reply refuses if it is set for one number.
func (d *Gateway) ReplyScope(word Reply) ReplyScope { return d.vendor.replyScope(word) }

// CanReply reports whether the vendor has an error code for a fault: later, campaign or credit.
func (d *Gateway) CanReply(fault string) bool {
	for _, p := range d.s.endpoints {
		if p.gateway == d && p.faultReplies[fault] != "" {
			return true
		}
	}
	return false
}

// LastAccepted returns the last accepted call, not counting repeats of a key. With Options.NoCount it is empty.
func (d *Gateway) LastAccepted() AcceptedCall {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return d.lastAccepted
}

// Accepted returns the number of messages to a number that this gateway has accepted, at most 255.
func (d *Gateway) Accepted(number uint64) int {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return int(d.counters.perNumber[number])
}

// Text returns the last text that this gateway has accepted for a number. It is empty if there is none or
// Options.Texts is not set.
func (d *Gateway) Text(number uint64) string {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return d.texts[number]
}

// AllAccepted yields every number with the count of its accepted messages, in ascending order. It yields the
// state at the time of the call.
func (d *Gateway) AllAccepted() iter.Seq2[uint64, int] {
	d.s.mu.Lock()
	counts := maps.Clone(d.counters.perNumber)
	d.s.mu.Unlock()
	return sortedCounts(counts)
}

// SetCredit sets the number of messages that this gateway still accepts.
func (d *Gateway) SetCredit(credit float64) {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	d.credit = credit
}

// Stats returns the counts of this gateway. InFlight and PeakInFlight are those of the whole server.
func (d *Gateway) Stats() Stats {
	d.s.mu.Lock()
	defer d.s.mu.Unlock()
	return d.s.stats(&d.counters, d.credit, &d.requests, &d.calls, &d.faultCount, &d.ambiguous)
}

// reset restores the initial state. The caller holds the server's lock.
func (d *Gateway) reset() {
	for _, n := range []*atomic.Int64{&d.requests, &d.calls, &d.faultCount, &d.ambiguous} {
		n.Store(0)
	}
	d.credit = d.s.options.Credit
	if d.credit == 0 {
		d.credit = 1e9
	}
	d.counters = newCounters(!d.s.options.NoCount)
	d.replies, d.lastAccepted, d.texts = map[uint64]Reply{}, AcceptedCall{}, nil
	if d.s.options.Texts {
		d.texts = map[uint64]string{}
	}
	d.vendor.reset()
}

// accept counts an accepted call and charges one credit a message. The caller holds the server's lock.
func (d *Gateway) accept(t AcceptedCall) {
	d.credit -= float64(len(t.Numbers))
	d.counters.accept(t.Numbers)
	d.s.counters.accept(t.Numbers)
	d.s.appendLog(d.name, t)
	if d.texts != nil {
		text := strings.Clone(t.Body)
		for _, n := range t.Numbers {
			d.texts[n] = text
		}
	}
	if !d.s.options.NoCount {
		d.lastAccepted = t
	}
}

// countRejected counts a refused call. The caller holds the server's lock.
func (d *Gateway) countRejected() {
	d.counters.rejected++
	d.s.counters.rejected++
}

// countReplay counts a call with a known idempotency key. another is true if its content differs from that of the
// first call with the key. The caller holds the server's lock.
func (d *Gateway) countReplay(another bool) {
	for _, b := range []*counters{&d.counters, &d.s.counters} {
		b.replays++
		if another {
			b.conflicts++
		}
	}
}

// replyTo returns the reply that SetReply has set for a number, or Accept. The caller holds the server's lock.
func (d *Gateway) replyTo(number uint64) Reply {
	if word, ok := d.replies[number]; ok {
		return word
	}
	return Accept
}

// hasCredit reports whether the credit covers a number of messages. The caller holds the server's lock.
func (d *Gateway) hasCredit(messages int) bool { return float64(messages) <= d.credit }

// endpoint is one path of a gateway.
type endpoint struct {
	// send is true if requests to this endpoint are calls: the server counts them and injects faults. If a path
	// also serves other functions, isSend reports whether a request is a call. Otherwise isSend is nil.
	send   bool
	isSend func(r *http.Request, body []byte) bool
	// get allows GET requests too.
	get bool
	// answer returns the reply to a request. body is the body of the request, which has been read.
	answer func(r *http.Request, body []byte) answer
	// refuse returns the reply of a simulated fault that uses one of the vendor's error codes. word is the
	// argument of the fault, such as the code. refuse is nil if the vendor has no error codes.
	refuse func(r *http.Request, body []byte, word string) answer
	// faultReplies are the vendor's error codes about a whole call, by the fault's name: later, campaign,
	// credit. If a fault has no entry, the vendor has no code for it.
	faultReplies map[string]string
}

// answer is a gateway's reply.
type answer struct {
	status      int // 0 means 200
	contentType string
	body        []byte
	accepted    bool // messages were accepted, now or before under the same key
	// rows splits the reply into one row for each number, and returns a function that joins rows to a
	// reply. nil means that the reply names no numbers.
	rows func() ([]row, func([]row) []byte)
}

// row is the part of a reply about one number.
type row struct {
	number uint64
	text   string // what the reply says about the number
}
