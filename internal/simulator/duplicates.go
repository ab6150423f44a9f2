package simulator

import (
	"hash/maphash"
	"strconv"
)

// sentMessages holds the accepted messages, to recognise duplicates. It stores texts and numbers as
// hashes. The server's lock guards it.
type sentMessages struct {
	// The key of the map "first" is the hash of a number and a text. The value is the campaign mark of the first
	// message with this number and text. If a later message with the same number and text has no mark, the value
	// changes to noMark.
	first map[uint64]uint64
	// The set "more" holds the messages that repeat a message in the map "first", but have another campaign
	// mark. A message is stored as a hash of number, text and mark.
	more map[uint64]struct{}
}

func newSentMessages() sentMessages {
	return sentMessages{first: map[uint64]uint64{}, more: map[uint64]struct{}{}}
}

// The method "add" adds a message, and reports whether the message is a duplicate. The parameter
// "text" is the hash of the message's text. The parameter "mark" is the result of campaignMark for
// its call.
//
// A message is a duplicate if the same text was sent to the same number before. There is one
// exception: both messages have campaign marks, and the marks differ. The messages of all gateways
// are compared, so a worker that sends a message twice is found even if the second message goes
// through another gateway.
func (s *sentMessages) add(number, text, mark uint64) (duplicate bool) {
	message := Mix(text ^ Mix(number))
	was, known := s.first[message]
	switch {
	case !known:
		s.first[message] = mark
		return false
	case mark == noMark || was == noMark:
		s.first[message] = noMark
		return true
	case mark == was:
		return true
	}
	inCampaign := Mix(message ^ mark)
	_, duplicate = s.more[inCampaign]
	s.more[inCampaign] = struct{}{}
	return duplicate
}

var textSeed = maphash.MakeSeed()

// noMark means that a call does not show its campaign.
const noMark = 0

// campaignMark returns the part of an idempotency key that is the same for all calls of a campaign.
// This part is the first 48 bits of a version 8 UUID, as docs/gateways.md describes. The result is
// noMark if the key is empty or has another form.
func campaignMark(key string) uint64 {
	if len(key) != idChars || key[14] != '8' {
		return noMark
	}
	mark, err := strconv.ParseUint(key[0:8]+key[9:13], 16, 64)
	if err != nil {
		return noMark
	}
	return mark | 1<<63 // never noMark
}
