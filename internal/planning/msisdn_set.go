package planning

import "github.com/tuma-sms/tuma/sms"

// msisdnSet is a set of numbers. A lookup or an insertion takes a few nanoseconds. Each number
// takes three to six bytes if most numbers are of the same country. Numbers that differ only in
// their last 16 bits share a block.
type msisdnSet struct {
	blocks map[sms.MSISDN]*block
	// The field "last" is the block of the latest lookup or insertion. The field "at" is the key of
	// that block.
	last *block
	at   sms.MSISDN
}

func newMSISDNSet() *msisdnSet { return &msisdnSet{blocks: map[sms.MSISDN]*block{}} }

// blockOf returns the block of the number m and the last 16 bits of m. It adds the block if the
// set does not have it yet.
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

// The method "contains" reports, for each of the given numbers, whether the number is in the set.
func (n *msisdnSet) contains(numbers []sms.MSISDN) []bool {
	out := make([]bool, len(numbers))
	for i, m := range numbers {
		b, low := n.blockOf(m)
		out[i] = b.has(low)
	}
	return out
}

// block is a set of 16-bit values. A block with few values is a hash table. A block with many
// values is a bitmap.
type block struct {
	// slots is the hash table, filled to three quarters at most. A slot with value 0 is free, so
	// the field "zero" records whether the value 0 is in the set. len(slots) is 1 << (16 - shift).
	slots []uint16
	shift int
	used  int
	zero  bool
	// bits is the bitmap. If the block has a bitmap, slots is nil.
	bits []uint64
}

// minSlots and maxSlots are the minimum and the maximum number of slots of a block's hash table. A
// larger table would take about as much memory as a bitmap.
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

// slot returns the index of x in the hash table, or of the free slot where x belongs.
func (b *block) slot(x uint16) int {
	// A multiplier near the golden ratio spreads consecutive numbers over the table.
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

// grow doubles the hash table, or replaces it with a bitmap.
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
