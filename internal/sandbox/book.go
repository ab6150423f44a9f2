package sandbox

import (
	"iter"
	"maps"
	"math"
	"slices"
	"sync/atomic"
)

// book counts what was accepted. The server's lock guards it.
type book struct {
	perNumber     map[uint64]uint8 // nil: not counted
	messages      int64
	duplicates    int64
	acceptedCalls int64
	replays       int64
	conflicts     int64
	rejected      int64
}

func newBook(counting bool) book {
	if !counting {
		return book{}
	}
	return book{perNumber: map[uint64]uint8{}}
}

// accept enters one call's messages.
func (b *book) accept(numbers []uint64) {
	b.acceptedCalls++
	b.messages += int64(len(numbers))
	if b.perNumber == nil {
		return
	}
	for _, n := range numbers {
		count := b.perNumber[n]
		if count > 0 {
			b.duplicates++
		}
		if count < math.MaxUint8 {
			b.perNumber[n] = count + 1
		}
	}
}

// Stats are a server's figures since it was made or reset.
type Stats struct {
	// Requests are all requests to a gateway, Calls those to send messages.
	Requests int64 `json:"requests"`
	Calls    int64 `json:"calls"`
	// AcceptedCalls were taken, with Accepted messages to Numbers distinct numbers;
	// Duplicates of the messages went to a number that had one already.
	AcceptedCalls int64 `json:"accepted_calls"`
	Accepted      int64 `json:"accepted"`
	Numbers       int64 `json:"numbers"`
	Duplicates    int64 `json:"duplicates"`
	// Replays are calls under an idempotency key that was taken before; Conflicts
	// are those of them with another list, body, sender or type: violations.
	Replays   int64 `json:"replays"`
	Conflicts int64 `json:"conflicts"`
	// Rejected are calls that the gateway refused, faults not counted; Faults are
	// the faults that struck.
	Rejected int64 `json:"rejected"`
	Faults   int64 `json:"faults"`
	// Ambiguous of the faults left the client without knowing whether the call was
	// taken.
	Ambiguous int64 `json:"ambiguous"`
	// InFlight calls are being served; PeakInFlight is the most there were.
	InFlight     int64 `json:"in_flight"`
	PeakInFlight int64 `json:"peak_in_flight"`
	// Credit is what is left; of the server, at the gateway that has least.
	Credit float64 `json:"credit"`
}

// Stats returns the figures.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	credit := math.Inf(1)
	for _, d := range s.desks {
		credit = min(credit, d.credit)
	}
	return s.stats(&s.book, credit, &s.requests, &s.calls, &s.struck, &s.ambiguous)
}

func (s *Server) stats(b *book, credit float64, requests, calls, struck, ambiguous *atomic.Int64) Stats {
	return Stats{
		Requests: requests.Load(), Calls: calls.Load(), AcceptedCalls: b.acceptedCalls, Accepted: b.messages,
		Numbers: int64(len(b.perNumber)), Duplicates: b.duplicates, Replays: b.replays, Conflicts: b.conflicts, Rejected: b.rejected,
		Faults: struck.Load(), Ambiguous: ambiguous.Load(), InFlight: s.inFlight.Load(), PeakInFlight: s.peak.Load(), Credit: credit,
	}
}

// Accepted returns how many messages to a number were accepted, at most 255.
func (s *Server) Accepted(number uint64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.book.perNumber[number])
}

// Duplicates returns how many messages went to a number that had one already.
func (s *Server) Duplicates() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.book.duplicates
}

// AllAccepted yields every number that something was accepted for, in ascending
// order, with how many messages. It works on a copy.
func (s *Server) AllAccepted() iter.Seq2[uint64, int] {
	s.mu.Lock()
	counts := maps.Clone(s.book.perNumber)
	s.mu.Unlock()
	return inOrder(counts)
}

func inOrder(counts map[uint64]uint8) iter.Seq2[uint64, int] {
	return func(yield func(uint64, int) bool) {
		for _, n := range slices.Sorted(maps.Keys(counts)) {
			if !yield(n, int(counts[n])) {
				return
			}
		}
	}
}

// SetCredit sets how many messages each gateway may still accept.
func (s *Server) SetCredit(credit float64) {
	for _, d := range s.desks {
		d.SetCredit(credit)
	}
}

// SetPassword adds a user or changes a password. Once there is a user, only users
// may come in.
func (s *Server) SetPassword(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[user] = password
}
