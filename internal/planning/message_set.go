package planning

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"

	"github.com/tuma-sms/tuma/sms"
)

// messageSet is a set of messages. A message is a number together with a text. The set holds a
// 64-bit hash of each message, in 11 to 22 bytes. Among a million messages, the probability that
// two different messages have the same hash is one in 30 million.
type messageSet struct {
	// slots is a hash table with linear probing, filled to three quarters at most. A slot with value 0
	// is free. len(slots) is a power of 2.
	slots []uint64
	used  int
	buf   []byte
}

// minMessages is the size of the hash table of a new messageSet.
const minMessages = 64

func newMessageSet() *messageSet { return &messageSet{slots: make([]uint64, minMessages)} }

// The method "hash" returns the hash of a message, which is never 0. The hash is the same in every process, so
// that a planner that takes over makes the same decisions as the earlier planner.
func (s *messageSet) hash(m sms.MSISDN, body string) uint64 {
	s.buf = append(binary.BigEndian.AppendUint64(s.buf[:0], uint64(m)), body...)
	return max(1, xxhash.Sum64(s.buf))
}

// The method "slot" returns the index of a hash in the table, or of the free slot where the hash belongs.
func (s *messageSet) slot(h uint64) int {
	i := int(h) & (len(s.slots) - 1)
	for s.slots[i] != h && s.slots[i] != 0 {
		i = (i + 1) & (len(s.slots) - 1)
	}
	return i
}

func (s *messageSet) has(m sms.MSISDN, body string) bool {
	return s.slots[s.slot(s.hash(m, body))] != 0
}

func (s *messageSet) add(m sms.MSISDN, body string) {
	h := s.hash(m, body)
	i := s.slot(h)
	if s.slots[i] != 0 {
		return
	}
	s.slots[i] = h
	if s.used++; s.used > len(s.slots)/4*3 {
		s.grow()
	}
}

func (s *messageSet) grow() {
	old := s.slots
	s.slots = make([]uint64, 2*len(old))
	for _, h := range old {
		if h != 0 {
			s.slots[s.slot(h)] = h
		}
	}
}
