package census

import (
	"testing"
	"time"
)

func TestDesired(t *testing.T) {
	t.Parallel()
	// The rate is 100 messages a second. A call has one message and takes 2 s. So 200 calls in
	// flight use the whole rate.
	busy := Demand{Backlog: 1_000_000, Rate: 100, PerCall: 1, UnitsPerCall: 1, P95: 2, Concurrency: 10}
	with := func(change func(*Demand)) Demand {
		d := busy
		change(&d)
		return d
	}
	for name, c := range map[string]struct {
		demands []Demand
		want    int
	}{
		"nothing":                       {nil, 1},
		"a gateway's limit":             {[]Demand{busy}, 20},
		"a backlog ten times as large":  {[]Demand{with(func(d *Demand) { d.Backlog *= 10 })}, 20},
		"four times the rate":           {[]Demand{with(func(d *Demand) { d.Rate *= 4 })}, 80},
		"held":                          {[]Demand{with(func(d *Demand) { d.Backlog = 0 })}, 1},
		"two accounts":                  {[]Demand{busy, busy}, 40},
		"one of two is held":            {[]Demand{busy, with(func(d *Demand) { d.Backlog = 0 })}, 20},
		"fewer calls than slots":        {[]Demand{with(func(d *Demand) { d.Backlog = 15 })}, 2},
		"500 recipients a call":         {[]Demand{with(func(d *Demand) { d.PerCall, d.UnitsPerCall = 500, 500 })}, 1},
		"rate of requests":              {[]Demand{with(func(d *Demand) { d.PerCall = 500 })}, 20},
		"no calls yet: one second each": {[]Demand{with(func(d *Demand) { d.P95 = 0 })}, 10},
		"no rate: a minute's work":      {[]Demand{with(func(d *Demand) { d.Rate, d.Backlog = 0, 6000 })}, 20},
		"no rate, no backlog":           {[]Demand{with(func(d *Demand) { d.Rate, d.Backlog = 0, 0 })}, 1},
		"no concurrency":                {[]Demand{with(func(d *Demand) { d.Concurrency = 0 })}, 200},
	} {
		if got := Desired(c.demands); got != c.want {
			t.Errorf("%s: %d workers, want %d", name, got, c.want)
		}
	}
}

func TestRecorder_MeasuresTheLastMinute(t *testing.T) {
	t.Parallel()
	var r Recorder
	at := time.Unix(1_800_000_000, 0)
	if l := r.Load(at); l != (Load{}) {
		t.Errorf("before the first call: %+v, want nothing", l)
	}
	for range 95 {
		r.Note(10*time.Millisecond, 5, 10)
	}
	for range 5 {
		r.Note(time.Second, 5, 10)
	}
	l := r.Load(at.Add(time.Second))
	if l.Calls != 100 || l.Recipients != 500 || l.Units != 1000 || l.P95 < 0.010 || l.P95 > 0.0142 {
		t.Errorf("load %+v, want 100 calls, 500 recipients, 1000 units, a P95 of 10 to 14.2 ms", l)
	}
	r.Note(time.Second, 5, 10)
	if l = r.Load(at.Add(spanLife)); l.P95 < 1 || l.P95 > 1.42 {
		t.Errorf("with 6 of 101 calls of a second the P95 is %v, want 1 to 1.42", l.P95)
	}
	r.Note(40*time.Millisecond, 1, 1)
	if l = r.Load(at.Add(2 * spanLife)); l.Calls != 102 {
		t.Errorf("%d calls in the last two spans, want 102", l.Calls)
	}
	r.Load(at.Add(3 * spanLife))
	if l = r.Load(at.Add(4 * spanLife)); l.Calls != 1 || l.P95 < 0.04 {
		t.Errorf("without calls for a minute: %+v, want the last load, of one call", l)
	}
}

func TestBucketOf_HoldsItsDuration(t *testing.T) {
	t.Parallel()
	for d := time.Microsecond; d < 5*time.Minute; d = d*11/10 + 1 {
		i := bucketOf(d)
		if end := bucketEnd(i); d.Seconds() > end+1e-6 || i > 0 && d.Seconds() < bucketEnd(i-1)-1e-6 {
			t.Fatalf("%s is in bucket %d, which ends at %v s", d, i, end)
		}
	}
}
