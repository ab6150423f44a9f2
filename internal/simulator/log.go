package simulator

import (
	"slices"
	"strings"
	"time"
)

// Entry is an accepted call in the server's log.
type Entry struct {
	// At is when the gateway accepted the call, before the delay of Options.Latency.
	At time.Time
	// Gateway is the gateway's name. From is the sender ID.
	Gateway, From string
	// Messages is the number of messages, and Numbers are their recipients.
	Messages int
	Numbers  []uint64
}

// Log returns a copy of the log. The log has the first accepted calls, in order. Options.Log is their maximum number.
func (s *Server) Log() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// appendLog adds a call to the log. The caller holds s.mu.
func (s *Server) appendLog(gateway string, t AcceptedCall) {
	if len(s.log) < s.options.Log {
		s.log = append(s.log, Entry{At: time.Now(), Gateway: gateway, From: strings.Clone(t.From), Messages: len(t.Numbers), Numbers: slices.Clone(t.Numbers)})
	}
}
