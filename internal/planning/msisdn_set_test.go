package planning

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/tuma-sms/tuma/sms"
)

// The set must contain the same numbers as a map, for few and for many numbers, close together and
// far apart.
func TestMSISDNSet_HoldsWhatWasAdded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SampledFrom([]uint64{0, 254_710_000_000, 1<<40 - 3}).Draw(t, "base")
		width := rapid.SampledFrom([]int{3, 2000, 1 << 16, 1 << 20, 1 << 40}).Draw(t, "width")
		step := rapid.SampledFrom([]int{1, 7919, 1 << 12, 0}).Draw(t, "step")
		lot := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		set, want := newMSISDNSet(), map[sms.MSISDN]bool{}
		for i := range rapid.SampledFrom([]int{1, 100, 1535, 1600, 5000}).Draw(t, "numbers") {
			x := i * step % width
			if step == 0 {
				x = lot.IntN(width)
			}
			m := sms.MSISDN(base + uint64(x))
			b, low := set.blockOf(m)
			if b.has(low) != want[m] {
				t.Fatalf("number %d (%d): contained = %v, want %v", i, m, b.has(low), want[m])
			}
			set.add(m)
			want[m] = true
		}
		for m := range want {
			for _, x := range []sms.MSISDN{m, m + 1, m ^ 1<<15, m + 1<<16} {
				if b, low := set.blockOf(x); b.has(low) != want[x] {
					t.Fatalf("%d: contained = %v, want %v", x, b.has(low), want[x])
				}
			}
		}
	})
}

// A set of a million numbers of one country takes a few bytes for each number. This must be true
// for a country with 30 million possible numbers, and also for a country with 1,000 million.
func TestMSISDNSet_FewBytesForEachNumber(t *testing.T) {
	t.Parallel()
	const n, perBlock = 1_000_000, 100 // perBlock is the memory of a block without its table, in bytes: the struct, the map entry and the overhead of the heap
	for _, width := range []uint64{30_000_000, 100_000_000, 1_000_000_000} {
		set := newMSISDNSet()
		for i := range uint64(n) {
			set.add(sms.MSISDN(254_700_000_000 + i*7919*7919%width))
		}
		size := 0
		for _, b := range set.blocks {
			size += perBlock + 2*cap(b.slots) + 8*cap(b.bits)
		}
		if size > 6*n {
			t.Errorf("%d numbers from a range of %d take %.2f bytes each; want at most 6", n, width, float64(size)/n)
		}
	}
}

func BenchmarkMSISDNSet(b *testing.B) {
	set := newMSISDNSet()
	for i := 0; b.Loop(); i++ {
		if i%1_000_000 == 0 {
			set = newMSISDNSet()
		}
		p, low := set.blockOf(sms.MSISDN(254_710_000_000 + uint64(i)*7919%30_000_000))
		if !p.has(low) {
			p.add(low)
		}
	}
}
