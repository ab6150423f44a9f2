package planning

import "github.com/tuma-sms/tuma/sms"

// numbers is a set of numbers that is asked and added to in a few nanoseconds, and takes
// three to six bytes for each of a country's. Numbers that differ in their last 16 bits
// only share a block.
type msisdnSet struct {
	blocks map[sms.MSISDN]*block
	// last is the block asked for last, at its first number.
	last *block
	at   sms.MSISDN
}

func newMSISDNSet() *msisdnSet { return &msisdnSet{blocks: map[sms.MSISDN]*block{}} }

// of is the block of a number, and what the number is in it.
func (n *msisdnSet) blockOf(m sms.MSISDN) (*block, uint16) {
	if at := m >> 16; n.last == nil || at != n.at {
		if n.at, n.last = at, n.blocks[at]; n.last == nil {
			n.last = newBlock(minSlots)
			n.blocks[at] = n.last
		}
	}
	return n.last, uint16(m)
}

func (n *msisdnSet) add(m sms.MSISDN) {
	b, low := n.blockOf(m)
	b.add(low)
}

// all says which of some numbers are in.
func (n *msisdnSet) contains(some []sms.MSISDN) []bool {
	out := make([]bool, len(some))
	for i, m := range some {
		b, low := n.blockOf(m)
		out[i] = b.has(low)
	}
	return out
}

// block is a set of 16 bits: of a few a hash table, of many a bit for each.
type block struct {
	// slots are used to three quarters at most; 0 is one that is free, and zero says
	// whether 0 is in the set. Their number is a power of two, of which shift are missing to 16.
	slots []uint16
	shift int
	used  int
	zero  bool
	// bits is there once slots is not.
	bits []uint64
}

// A table has so many slots at first, and at most; then a bit for each takes little more.
const minSlots, maxSlots = 8, 2048

func newBlock(slots int) *block {
	b := &block{slots: make([]uint16, slots), shift: 16}
	for n := slots; n > 1; n /= 2 {
		b.shift--
	}
	return b
}

func (b *block) has(x uint16) bool {
	switch {
	case b.bits != nil:
		return b.bits[x/64]>>(x%64)&1 != 0
	case x == 0:
		return b.zero
	}
	return b.slots[b.slot(x)] == x
}

// slot is where x is in the table, or where it would be.
func (b *block) slot(x uint16) int {
	// Numbers that follow one another are spread by a multiple near the golden ratio.
	i := int(x*0x9e37) >> b.shift
	for b.slots[i] != x && b.slots[i] != 0 {
		i = (i + 1) & (len(b.slots) - 1)
	}
	return i
}

func (b *block) add(x uint16) {
	switch {
	case b.bits != nil:
		b.bits[x/64] |= 1 << (x % 64)
	case x == 0:
		b.zero = true
	default:
		if i := b.slot(x); b.slots[i] == 0 {
			b.slots[i] = x
			if b.used++; b.used > len(b.slots)/4*3 {
				b.grow()
			}
		}
	}
}

// grow doubles the table, or does without.
func (b *block) grow() {
	var next *block
	if len(b.slots) < maxSlots {
		next = newBlock(2 * len(b.slots))
	} else {
		next = &block{bits: make([]uint64, 1<<16/64)}
	}
	for _, x := range b.slots {
		if x != 0 {
			next.add(x)
		}
	}
	if b.zero {
		next.add(0)
	}
	*b = *next
}
