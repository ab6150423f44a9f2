package sandbox

import (
	"slices"
	"strings"
	"time"
)

// Entry is a call that was accepted, in the server's log.
type Entry struct {
	// At is when the gateway had taken it, before it waited for Options.Latency.
	At            time.Time
	Gateway, From string
	Messages      int
	Numbers       []uint64
}

// Log returns the calls that were accepted, in order, as many as Options.Log says.
// It is a copy.
func (s *Server) Log() []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.log)
}

// note enters a call in the log. The caller holds s.mu.
func (s *Server) note(gateway string, t Taken) {
	if len(s.log) < s.options.Log {
		s.log = append(s.log, Entry{At: time.Now(), Gateway: gateway, From: strings.Clone(t.From), Messages: len(t.Numbers), Numbers: slices.Clone(t.Numbers)})
	}
}
