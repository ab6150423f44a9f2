package simulator

import "encoding/hex"

// IDs makes message IDs that look like random UUIDs. With the seed, Parse can find the call and the
// message of an ID, so that a million IDs need no memory.
type IDs struct {
	seed, factor, inverse uint64
}

const (
	bits48  = 1<<48 - 1
	bits12  = 1<<12 - 1
	idChars = 36
)

// NewIDs returns IDs for a seed. The same seed gives the same message IDs.
func NewIDs(seed uint64) IDs {
	factor := Mix(seed) | 1
	inverse := factor
	for range 6 { // In Newton's method, 3 low bits are correct at first, and each round doubles the number of correct bits.
		inverse *= 2 - factor*inverse
	}
	return IDs{seed: seed, factor: factor, inverse: inverse}
}

// Mix is the output step of the SplitMix64 generator.
func Mix(x uint64) uint64 {
	x += 0x9e37_79b9_7f4a_7c15
	x = (x ^ x>>30) * 0xbf58_476d_1ce4_e5b9
	x = (x ^ x>>27) * 0x94d0_49bb_1331_11eb
	return x ^ x>>31
}

// Append appends the ID of message i of call seq to dst. The ID has the form of a version 4 UUID.
// In it, 48 bits encode the call, 12 bits encode the message, and 62 bits depend on the seed.
func (m IDs) Append(dst []byte, seq, i uint64) []byte {
	call := (seq + 1) * m.factor & bits48
	tail := Mix(m.seed ^ Mix(seq<<12|i))
	item := (i ^ Mix(m.seed^call)) & bits12
	high := call<<16 | 4<<12 | item
	low := tail&(1<<62-1) | 1<<63
	var raw [16]byte
	for b := range 8 {
		raw[b] = byte(high >> (56 - 8*b))
		raw[8+b] = byte(low >> (56 - 8*b))
	}
	var text [idChars]byte
	hex.Encode(text[0:8], raw[0:4])
	hex.Encode(text[9:13], raw[4:6])
	hex.Encode(text[14:18], raw[6:8])
	hex.Encode(text[19:23], raw[8:10])
	hex.Encode(text[24:36], raw[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return append(dst, text[:]...)
}

// Parse returns the call and the message for which an ID was made. It also accepts IDs that
// Append has not made. So the caller must pass the result to Append, and compare the new ID with
// the given ID.
func (m IDs) Parse(id string) (seq, i uint64, ok bool) {
	if len(id) != idChars {
		return 0, 0, false
	}
	raw, err := hex.DecodeString(id[0:8] + id[9:13] + id[14:18])
	if err != nil {
		return 0, 0, false
	}
	var high uint64
	for _, b := range raw {
		high = high<<8 | uint64(b)
	}
	call := high >> 16
	seq = (call*m.inverse - 1) & bits48
	return seq, (high ^ Mix(m.seed^call)) & bits12, true
}
