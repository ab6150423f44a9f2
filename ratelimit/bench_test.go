package ratelimit

import (
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/test/redistest"
)

// BenchmarkReserve measures a granted Reserve. For comparison it also measures a round trip to
// Redis with a command that does nothing, because a Reserve in Redis cannot be faster than that.
func BenchmarkReserve(b *testing.B) {
	rdb := redistest.Start(b).Client()
	shared := newRedis(b, rdb, "{acct}:rate", maxRate, 0)
	local, err := NewLocal(maxRate, 0, time.Now)
	if err != nil {
		b.Fatal(err)
	}
	grant := func(l Limiter) func(*testing.B) error {
		return func(b *testing.B) error {
			_, _, err := l.Reserve(b.Context(), 1, long)
			return err
		}
	}
	for _, bench := range []struct {
		name string
		do   func(*testing.B) error
	}{
		{"bare-round-trip", func(b *testing.B) error { return rdb.Ping(b.Context()).Err() }},
		{"redis", grant(shared)},
		{"local", grant(local)},
	} {
		b.Run(bench.name+"/one", func(b *testing.B) {
			for b.Loop() {
				if err := bench.do(b); err != nil {
					b.Fatal(err)
				}
			}
			perSecond(b)
		})
		b.Run(bench.name+"/16", func(b *testing.B) {
			b.SetParallelism(8) // sixteen goroutines on two cores
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := bench.do(b); err != nil {
						b.Error(err)
					}
				}
			})
			perSecond(b)
		})
	}
}

func perSecond(b *testing.B) {
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "grants/s")
}
