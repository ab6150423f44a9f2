package simulator

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"sync/atomic"
)

// Gateway is one simulated gateway. Tests control it by its methods. It has separate counts and a
// separate credit. It is safe for concurrent use.
type Gateway struct {
	state  State
	vendor Vendor
	// reporter is nil if the vendor posts no delivery reports.
	reporter *reporter

	requests, calls, faultCount, ambiguous atomic.Int64
}

// Names returns the names of the server's gateways, sorted.
func (s *Server) Names() []string { return slices.Sorted(maps.Keys(s.gateways)) }

// Reply is the answer of a gateway about a number. Gateway.SetReply sets it.
type Reply string

// The replies.
const (
	// Accept accepts the number. It is the default.
	Accept Reply = "accept"
	// Reject refuses the number permanently.
	Reject Reply = "reject"
	// Later refuses the number for now. The gateway may accept the number in a later call.
	Later Reply = "later"
)

// ReplyScope is the part of a call that a reply refuses.
type ReplyScope uint8

// The scopes.
const (
	// ScopeNone means that the gateway does not have the reply.
	ScopeNone ReplyScope = iota
	// ScopeCall means that the whole call with the number is refused.
	ScopeCall
	// ScopeNumber means that only this number is refused, and the other numbers of the call are
	// accepted.
	ScopeNumber
)

// AcceptedCall is an accepted call, in the form in which the gateway has parsed it.
type AcceptedCall struct {
	// Numbers are the accepted numbers, in the order of the call.
	Numbers []uint64
	// From is the sender ID. Body is the text. Key is the idempotency key.
	From, Body, Key string
	// Fields are the other fields of the request, by the vendor's names.
	Fields map[string]string
}

// Vendor returns the vendor of the gateway, for the controls that only this vendor has.
func (d *Gateway) Vendor() Vendor { return d.vendor }

// Gateway returns a gateway by its name. It panics if the server has no gateway with this name.
func (s *Server) Gateway(name string) *Gateway {
	d, ok := s.gateways[name]
	if !ok {
		panic(fmt.Sprintf("simulator: unknown gateway %q; the gateways are %q", name, s.Names()))
	}
	return d
}

// SetReply sets the gateway's reply to these numbers for all later calls. It returns an error if the
// gateway does not have this reply.
func (d *Gateway) SetReply(word Reply, numbers ...uint64) error {
	if word != Accept && d.vendor.ReplyScope(word) == ScopeNone {
		return fmt.Errorf("%s has no reply %q for a number", d.state.name, word)
	}
	d.state.Lock()
	defer d.state.Unlock()
	d.state.SetReply(word, numbers...)
	return nil
}

// ReplyScope returns the part of a call that the gateway refuses if SetReply has set this reply for one number of the
// call.
func (d *Gateway) ReplyScope(word Reply) ReplyScope { return d.vendor.ReplyScope(word) }

// CanReply reports whether the vendor has an error code for the fault "later", "campaign" or "credit".
func (d *Gateway) CanReply(fault string) bool {
	for _, p := range d.state.server.endpoints {
		if p.gateway == d && p.FaultReplies[fault] != "" {
			return true
		}
	}
	return false
}

// LastAccepted returns the last accepted call. A call that repeats an idempotency key does not
// count. With Options.NoCount the result is empty.
func (d *Gateway) LastAccepted() AcceptedCall {
	d.state.Lock()
	defer d.state.Unlock()
	return d.state.lastAccepted
}

// Accepted returns the number of messages to a number that this gateway has accepted, at most 255.
func (d *Gateway) Accepted(number uint64) int {
	d.state.Lock()
	defer d.state.Unlock()
	return int(d.state.counters.perNumber[number])
}

// Text returns the last text that this gateway has accepted for a number. It returns "" if the
// gateway has accepted no text for the number, or if Options.Texts is not set.
func (d *Gateway) Text(number uint64) string {
	d.state.Lock()
	defer d.state.Unlock()
	return d.state.texts[number]
}

// AllAccepted yields every number with the count of its accepted messages, in ascending order. The
// counts do not change after the call of AllAccepted.
func (d *Gateway) AllAccepted() iter.Seq2[uint64, int] {
	d.state.Lock()
	counts := maps.Clone(d.state.counters.perNumber)
	d.state.Unlock()
	return sortedCounts(counts)
}

// SetCredit sets the number of messages that this gateway still accepts.
func (d *Gateway) SetCredit(credit float64) {
	d.state.Lock()
	defer d.state.Unlock()
	d.state.credit = credit
}

// Stats returns the counts of this gateway. InFlight and PeakInFlight are the values of the whole
// server.
func (d *Gateway) Stats() Stats {
	d.state.Lock()
	defer d.state.Unlock()
	return d.state.server.stats(&d.state.counters, d.state.credit, &d.requests, &d.calls, &d.faultCount, &d.ambiguous)
}

// The method "reset" restores the initial state. The caller holds the server's lock.
func (d *Gateway) reset() {
	for _, n := range []*atomic.Int64{&d.requests, &d.calls, &d.faultCount, &d.ambiguous} {
		n.Store(0)
	}
	d.state.reset()
	d.vendor.Reset()
}
