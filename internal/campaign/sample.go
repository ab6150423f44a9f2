package campaign

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"math/bits"
)

// Sample is a uniform random sample of the rows of a campaign. It depends only on the campaign's ID and size, so that
// every process has the same sample. A smaller sample of a campaign is part of every larger sample.
type Sample struct {
	keys        [sampleRounds]uint64
	total, size uint64
	half        int // number of bits in each half of a permuted number
}

// sampleRounds is the number of rounds of the Feistel network that permutes the rows. Four rounds make a pseudorandom
// permutation (Luby and Rackoff, 1988). Two more rounds cost little.
const sampleRounds = 6

// NewSample returns the sample of a campaign with the given ID. total is the number of rows of the campaign, and size
// is the number of rows in the sample. If size is 0, or not less than total, the sample has all rows.
func NewSample(id string, total, size int) Sample {
	s := Sample{total: uint64(max(total, 0)), size: uint64(max(size, 0))}
	if s.IsAll() {
		return s
	}
	seed := sha256.Sum256([]byte("delivery reports of " + id))
	for i := range s.keys {
		s.keys[i] = binary.BigEndian.Uint64(seed[4*i:])
	}
	s.half = (bits.Len64(s.total-1) + 1) / 2
	return s
}

// IsAll reports whether the sample has all rows.
func (s Sample) IsAll() bool { return s.size == 0 || s.size >= s.total }

// Has reports whether the sample contains the given row. Rows count from 1.
func (s Sample) Has(row int) bool {
	if s.IsAll() {
		return true
	}
	if row < 1 || uint64(row) > s.total {
		return false
	}
	// The network permutes the numbers below 2 to the power of 2*half. Some of these numbers are not rows. If the
	// result is not a row, Has permutes it again until it gets a row. In this way, Has permutes the rows. The sample
	// consists of the rows that get the first places.
	x := s.permute(uint64(row) - 1)
	for x >= s.total {
		x = s.permute(x)
	}
	return x < s.size
}

// permute is the Feistel network.
func (s Sample) permute(x uint64) uint64 {
	mask := uint64(1)<<s.half - 1
	left, right := x>>s.half, x&mask
	for _, key := range s.keys {
		left, right = right, left^(mix64(right^key)&mask)
	}
	return left<<s.half | right
}

// mix64 is the finalizer of SplitMix64 (Steele, Lea and Flood, 2014).
func mix64(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}

// Wilson returns the Wilson interval of a share. The caller has drawn n members of a large population at random, and k
// of these members have a property. With a probability of about 95 percent, the share of the population that has the
// property is at least low and at most high. If n is 0, low is 0 and high is 1.
func Wilson(k, n int) (low, high float64) {
	if n <= 0 {
		return 0, 1
	}
	const z = 1.959964 // the quantile of the normal distribution for 95 percent
	share, size := float64(k)/float64(n), float64(n)
	middle := (share + z*z/(2*size)) / (1 + z*z/size)
	margin := z / (1 + z*z/size) * math.Sqrt(share*(1-share)/size+z*z/(4*size*size))
	return max(0, middle-margin), min(1, middle+margin)
}
