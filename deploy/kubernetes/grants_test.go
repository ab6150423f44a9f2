//go:build linux

package main

import (
	"fmt"
	"testing"
	"time"
)

// The lines are output of MONITOR in Redis 7.0. They show two grants, a refusal and a foreign script.
func TestTurns_CountGrantsAndNotRefusals(t *testing.T) {
	t.Parallel()
	seen := &turns{last: map[string]bucket{}}
	ask := func(client string, at, booked int64, script string) {
		seen.command(fmt.Sprintf("+1700000000.000001 [0 10.0.0.2:1234] \"%s\" \"abc\" \"2\" \"tuma:rate:k\" \"tuma:account:{k}\" \"reserve\" \"10\" \"2\" \"1\" \"50000\" \"bulk\"\r\n", script))
		seen.command("+1700000000.000002 [0 lua] \"TIME\"\r\n")
		seen.command(fmt.Sprintf("+1700000000.000003 [0 lua] \"HSET\" \"%s\" \"at\" \"%d\" \"tokens\" \"-1.5\" \"booked\" \"%d\" \"cool\" \"0\"\r\n", client, at, booked))
	}
	ask("tuma:rate:k", 1_000_000, 0, "EVALSHA")
	ask("tuma:rate:k", 1_010_000, 90_000, "evalsha")
	ask("tuma:rate:k", 1_030_000, 70_000, "EVALSHA") // this call is refused, so the last turn is still at 1.1 s
	ask("tuma:rate:other", 1_040_000, 90_000, "EVALSHA")
	seen.command("+1700000000.000001 [0 10.0.0.2:1234] \"EVALSHA\" \"abc\" \"1\" \"tuma:rate:k\" \"return\" \"10\" \"2\" \"1\" \"50000\"\r\n")
	seen.command("+1700000000.000003 [0 lua] \"HSET\" \"tuma:rate:k\" \"at\" \"1050000\" \"tokens\" \"-1.5\" \"booked\" \"50000\"\r\n")
	got := seen.between(time.UnixMicro(0), time.UnixMicro(10_000_000))
	if len(got) != 2 || got[0].at.UnixMicro() != 1_000_000 || got[1].at.UnixMicro() != 1_100_000 || got[0].n != 1 {
		t.Errorf("got %v, want turns of one token at 1.0 s and 1.1 s", got)
	}
}

func TestBusiest(t *testing.T) {
	t.Parallel()
	at := func(ms int64, n int) turn { return turn{at: time.UnixMilli(ms), n: n} }
	for _, tc := range []struct {
		all  []turn
		want int
	}{
		{nil, 0},
		{[]turn{at(0, 3)}, 3},
		{[]turn{at(0, 3), at(999, 2), at(1000, 4)}, 6},
		{[]turn{at(0, 3), at(999, 2), at(1998, 4), at(1999, 1)}, 6},
	} {
		if got := busiest(tc.all); got != tc.want {
			t.Errorf("%v: got %d, want %d", tc.all, got, tc.want)
		}
	}
}

func TestUsed(t *testing.T) {
	t.Parallel()
	at := func(ms int64, n int) turn { return turn{at: time.UnixMilli(ms), n: n} }
	if got := used([]turn{at(0, 5), at(500, 3), at(2000, 4)}, 7); got != 0.5 {
		t.Errorf("got %v, want half of 7 a second: 7 tokens in 2 s", got)
	}
	if got := used([]turn{at(0, 5)}, 7); got != 0 {
		t.Errorf("got %v of one grant, want 0", got)
	}
}

func TestWords(t *testing.T) {
	t.Parallel()
	if got := words(`"SET" "a \"b\"" "\x00\n"` + "\r\n"); len(got) != 3 || got[1] != `a "b"` || got[2] != "\x00\n" {
		t.Errorf("got %q", got)
	}
	if got := words(`"not closed`); got != nil {
		t.Errorf("got %q, want nothing", got)
	}
}
