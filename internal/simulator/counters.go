package simulator

import (
	"hash/maphash"
	"iter"
	"maps"
	"math"
	"slices"
	"sync/atomic"
)

// counters counts accepted messages. The server's lock guards it.
type counters struct {
	perNumber     map[uint64]uint8 // nil if the server does not count by number
	sent          sentMessages
	messages      int64
	duplicates    int64
	acceptedCalls int64
	replays       int64
	conflicts     int64
	rejected      int64
}

func newCounters(counting bool) counters {
	if !counting {
		return counters{}
	}
	return counters{perNumber: map[uint64]uint8{}, sent: newSentMessages()}
}

// The method "accept" counts the messages of one call.
func (b *counters) accept(t AcceptedCall) {
	b.acceptedCalls++
	b.messages += int64(len(t.Numbers))
	if b.perNumber == nil {
		return
	}
	text, mark := maphash.String(textSeed, t.Body), campaignMark(t.Key)
	for _, n := range t.Numbers {
		if b.sent.add(n, text, mark) {
			b.duplicates++
		}
		if count := b.perNumber[n]; count < math.MaxUint8 {
			b.perNumber[n] = count + 1
		}
	}
}

// Stats are counts since the server was made or reset.
type Stats struct {
	// Requests is the number of requests to a gateway. Calls is the number of these requests that send messages.
	Requests int64 `json:"requests"`
	Calls    int64 `json:"calls"`
	// AcceptedCalls is the number of accepted calls. Accepted is the number of messages in these calls. Numbers is
	// the number of distinct recipients. Duplicates is the number of messages with the text and the number of an
	// earlier message. If the idempotency keys show that two messages belong to different campaigns, the second
	// message is not a duplicate. See campaignMark.
	AcceptedCalls int64 `json:"accepted_calls"`
	Accepted      int64 `json:"accepted"`
	Numbers       int64 `json:"numbers"`
	Duplicates    int64 `json:"duplicates"`
	// Replays is the number of calls with an idempotency key that was accepted before. Conflicts is
	// the number of these calls whose recipients, body, sender or type differ from the first call
	// with the key. A conflict is an error of the client.
	Replays   int64 `json:"replays"`
	Conflicts int64 `json:"conflicts"`
	// Rejected is the number of calls that the gateway refused without an injected fault. Faults is
	// the number of injected faults.
	Rejected int64 `json:"rejected"`
	Faults   int64 `json:"faults"`
	// Ambiguous is the number of faults after which the client cannot know whether the call was accepted.
	Ambiguous int64 `json:"ambiguous"`
	// InFlight is the number of calls being served. PeakInFlight is the highest value of InFlight so far.
	InFlight     int64 `json:"in_flight"`
	PeakInFlight int64 `json:"peak_in_flight"`
	// Credit is the remaining credit, in messages. Server.Stats returns the lowest credit of all
	// gateways.
	Credit float64 `json:"credit"`
}

// Stats returns the counts of all gateways together.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	credit := math.Inf(1)
	for _, d := range s.gateways {
		credit = min(credit, d.state.credit)
	}
	return s.stats(&s.counters, credit, &s.requests, &s.calls, &s.faultCount, &s.ambiguous)
}

func (s *Server) stats(b *counters, credit float64, requests, calls, struck, ambiguous *atomic.Int64) Stats {
	return Stats{
		Requests: requests.Load(), Calls: calls.Load(), AcceptedCalls: b.acceptedCalls, Accepted: b.messages,
		Numbers: int64(len(b.perNumber)), Duplicates: b.duplicates, Replays: b.replays, Conflicts: b.conflicts, Rejected: b.rejected,
		Faults: struck.Load(), Ambiguous: ambiguous.Load(), InFlight: s.inFlight.Load(), PeakInFlight: s.peak.Load(), Credit: credit,
	}
}

// Accepted returns the number of accepted messages to a number, at most 255.
func (s *Server) Accepted(number uint64) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return int(s.counters.perNumber[number])
}

// Duplicates returns the number of messages that repeat an earlier message. See Stats.
func (s *Server) Duplicates() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counters.duplicates
}

// AllAccepted yields every number with the count of its accepted messages, in ascending order. The counts do not
// change after the call of AllAccepted.
func (s *Server) AllAccepted() iter.Seq2[uint64, int] {
	s.mu.Lock()
	counts := maps.Clone(s.counters.perNumber)
	s.mu.Unlock()
	return sortedCounts(counts)
}

func sortedCounts(counts map[uint64]uint8) iter.Seq2[uint64, int] {
	return func(yield func(uint64, int) bool) {
		for _, n := range slices.Sorted(maps.Keys(counts)) {
			if !yield(n, int(counts[n])) {
				return
			}
		}
	}
}

// SetCredit sets the number of messages that each gateway still accepts.
func (s *Server) SetCredit(credit float64) {
	for _, d := range s.gateways {
		d.SetCredit(credit)
	}
}

// SetPassword adds a user or changes a password. Without users, every login is valid. With at least
// one user, only the logins of users are valid.
func (s *Server) SetPassword(user, password string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.users[user] = password
}
