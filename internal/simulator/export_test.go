package simulator

import "time"

// Latency returns the delay of replies, for tests.
func (s *Server) Latency() time.Duration { return time.Duration(s.latency.Load()) }

// Ambiguous reports whether, after the named fault, the client cannot know if the gateway accepted
// the call.
func Ambiguous(name string) (bool, error) {
	f, err := parseFault(Fault{Name: name, N: 1})
	return f.ambiguous(), err
}
