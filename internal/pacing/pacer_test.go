package pacing

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tuma-sms/tuma/ratelimit"
)

// sharedRate counts the requests and grants of slots that share a rate.
type sharedRate struct {
	mu            sync.Mutex
	asked, grants int
	units         int
}

// runSlot simulates one slot, which reserves a turn, waits and calls. It ends at the time in
// the parameter "until".
func (f *sharedRate) runSlot(p *pacer, l ratelimit.Limiter, n int, fair time.Duration, from, until time.Time, calls func() time.Duration) {
	const longest = 800 * time.Millisecond
	for time.Now().Before(until) {
		_, spaced := p.until(time.Now())
		if spaced {
			p.asks <- struct{}{}
			wait, _ := p.until(time.Now())
			<-time.After(wait)
		}
		turn, booked, err := l.Reserve(context.Background(), n, longest)
		if err != nil {
			panic(err)
		}
		p.observe(time.Now(), turn, booked, spaced, longest, fair)
		if spaced {
			p.done()
		}
		f.count(booked, n, time.Now().Add(turn), from, until)
		<-time.After(turn)
		if booked {
			<-time.After(calls())
		}
	}
}

func (f *sharedRate) count(booked bool, n int, turn, from, until time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if time.Now().After(from) && time.Now().Before(until) {
		f.asked++
		if booked {
			f.grants++
		}
	}
	if booked && turn.After(from) && turn.Before(until) {
		f.units += n
	}
}

func TestPacing_AboutOneRequestForEachGrant(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name             string
		workers, n, rate int
		call             time.Duration
		most             float64 // the maximum number of requests for each grant
	}{
		{"one worker", 1, 500, 5000, 50 * time.Millisecond, 1.05},
		{"four workers", 4, 500, 5000, 50 * time.Millisecond, 1.05},
		{"sixteen workers", 16, 500, 5000, 50 * time.Millisecond, 1.05},
		{"sixteen workers at a slow gateway", 16, 500, 5000, 2 * time.Second, 1.05},
		{"calls of a second each", 4, 100, 100, 50 * time.Millisecond, 1.25},
		{"small calls", 16, 1, 2000, 5 * time.Millisecond, 1.05},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l, err := ratelimit.NewLocal(ratelimit.Rate(c.rate), 0, time.Now)
				if err != nil {
					t.Fatal(err)
				}
				var f sharedRate
				from, until := time.Now().Add(3*time.Second), time.Now().Add(33*time.Second)
				var wg sync.WaitGroup
				for range c.workers {
					p := newPacer()
					for range 8 {
						wg.Go(func() {
							<-time.After(rand.N(time.Second))
							f.runSlot(p, l, c.n, time.Duration(c.workers*c.n)*time.Second/time.Duration(c.rate), from, until, func() time.Duration { return c.call/2 + rand.N(c.call) })
						})
					}
				}
				wg.Wait()
				used, asked := float64(f.units)/30/float64(c.rate), float64(f.asked)/float64(f.grants)
				if used < 0.98 || asked > c.most {
					t.Errorf("%.1f%% of the rate used, %.2f questions a grant", 100*used, asked)
				}
			})
		})
	}
}
