package attempts

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAttempts_KeptUntilTheyEndOrForAnHour(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	now := time.UnixMilli(1_790_000_000_000)
	at := func(id string, ago time.Duration) Attempt {
		return Attempt{Campaign: id, Batch: "0.12", Call: 3, Generation: 1, At: now.Add(-ago)}
	}
	old, before, last := at("old", Life+time.Second), at("before", 10*time.Minute), at("last", 0)
	for _, a := range []Attempt{old, before, last} {
		if err := r.Begin(t.Context(), "login", a); err != nil {
			t.Fatal(err)
		}
	}
	list := func(login string, from, to time.Duration) []Attempt {
		got, err := r.Between(t.Context(), login, now.Add(from), now.Add(to))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := list("login", -2*Life, 0); !slices.Equal(got, []Attempt{before, last}) {
		t.Errorf("attempts are %v, want both", got)
	}
	if got := list("login", -2*Life, -time.Minute); !slices.Equal(got, []Attempt{before}) {
		t.Errorf("attempts until a minute ago are %v, want only the first", got)
	}
	if got := list("another", -2*Life, 0); len(got) != 0 {
		t.Errorf("attempts under another login are %v, want none", got)
	}
	if err := r.End(t.Context(), "login", before); err != nil {
		t.Fatal(err)
	}
	if got := list("login", -2*Life, 0); !slices.Equal(got, []Attempt{last}) {
		t.Errorf("after the first attempt ended, attempts are %v, want only the last", got)
	}
}

func TestKnownMessageIDs_SpanTheEdgesOfTheirPeriods(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	start := time.UnixMilli(1_790_000_000_000)
	for n := range 5 {
		a := Attempt{Campaign: "c", Batch: "0.0", At: start.Add(time.Duration(n) * 7 * time.Minute)}
		for range 2 { // the second run repeats the step, which is harmless
			if err := r.RecordMessageIDs(t.Context(), "login", a, []string{fmt.Sprint("id-", n), fmt.Sprint("other-", n)}, Life); err != nil {
				t.Fatal(err)
			}
		}
	}
	known, err := r.KnownMessageIDs(t.Context(), "login", start, start.Add(28*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		if !known(fmt.Sprint("id-", n)) || !known(fmt.Sprint("other-", n)) {
			t.Errorf("an id of attempt %d is not known, want both of its ids known", n)
		}
	}
	if known("id-5") || known("") {
		t.Error("an id that was never recorded is known, want it not known")
	}
	if known, err = r.KnownMessageIDs(t.Context(), "another", start, start.Add(28*time.Minute)); err != nil || known("id-0") {
		t.Errorf("an id is known under another login, or reading failed: %v", err)
	}
	if err := r.RecordMessageIDs(t.Context(), "login", Attempt{At: start}, nil, Life); err != nil {
		t.Error(err)
	}
}

func TestRecordMessageIDs_WorksInAFullRedis(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.ok(r.rdb.ConfigSet(t.Context(), "maxmemory", "100kb").Err())
	if err := r.rdb.Set(t.Context(), "more", "x", 0).Err(); err == nil {
		t.Fatal("redis is not full")
	}
	a := Attempt{Campaign: "c", Batch: "0.0", At: time.UnixMilli(1_790_000_000_000)}
	if err := r.RecordMessageIDs(t.Context(), "login", a, []string{"id"}, Life); err != nil {
		t.Error(err)
	}
}

func FuzzParseAttempt(f *testing.F) {
	f.Add("c 0.0 1 2")
	f.Add("c 0.0 1")
	f.Add("c 0.0 -1 x")
	f.Fuzz(func(t *testing.T, member string) {
		a, err := parseAttempt(member, time.Time{})
		if err != nil {
			return
		}
		if again, err := parseAttempt(a.member(), time.Time{}); err != nil || again != a || len(strings.Fields(a.member())) != 4 {
			t.Errorf("%q was read as %+v, and that as %+v (%v); want the same attempt with four words", member, a, again, err)
		}
	})
}
