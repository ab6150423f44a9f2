package console

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestChart(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 11, 3, 9, 0, 0, 0, time.UTC)
	var l Timeline
	for second, n := range []int{10, 100, 200, 0, 1, 50} {
		for range n {
			l.Add(at.Add(time.Duration(second) * time.Second))
		}
	}
	draw := func(columns, room int, g Glyphs) string {
		var out bytes.Buffer
		if err := l.Chart(columns).Print(&out, g, room); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	tests := map[string]struct {
		columns, room int
		glyphs        Glyphs
		want          string
	}{
		"a second each": {60, 12, BlockGlyphs, `
200/s │    ██
      │    ██
      │  ▄▄██
      │  ████    ▂▂
      │▂▂████  ▁▁██
    0 └────────────
       09:00:00 to 09:00:06
`},
		"two seconds each, plain": {3, 24, PlainGlyphs, `
100/s |    ####
      |    ####
      |::::####
      |########....
      |############
    0 +------------
       09:00:00 to 09:00:06
`},
	}
	for name, tt := range tests {
		if diff := cmp.Diff(tt.want, "\n"+draw(tt.columns, tt.room, tt.glyphs)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestChart_CountsEveryEventOverAnySpan(t *testing.T) {
	t.Parallel()
	for _, length := range []time.Duration{0, time.Second, 59 * time.Second, time.Hour, 25 * time.Hour, 40 * 24 * time.Hour, 3000 * 24 * time.Hour} {
		var l Timeline
		at := time.Date(2025, 11, 3, 23, 59, 59, 5e8, time.UTC)
		for i := range 10_000 {
			l.Add(at.Add(length * time.Duration(i) / 10_000))
		}
		for _, columns := range []int{20, 66, 100, 120} {
			c := l.Chart(columns)
			sum := 0
			for _, n := range c.Bars {
				sum += n
			}
			if sum != 10_000 || len(c.Bars) > columns || len(c.Bars) == 0 || c.Bars[0] == 0 || c.Bars[len(c.Bars)-1] == 0 {
				t.Errorf("%s in at most %d bars: got %d events in %d bars of %s, want 10,000 events", length, columns, sum, len(c.Bars), c.Each)
			}
			var out bytes.Buffer
			if err := c.Print(&out, PlainGlyphs, columns); err != nil {
				t.Error(err)
			}
			for line := range strings.Lines(out.String()) {
				if len(line) > columns+14+1 {
					t.Errorf("%s in at most %d bars: got a line of %d characters, want at most %d", length, columns, len(line)-1, columns+14)
				}
			}
		}
	}
}

func TestTimeline_MemoryIsBounded(t *testing.T) {
	t.Parallel()
	var l Timeline
	for i := range 50_000 {
		l.Add(time.Date(2025, 11, 3, 9, i, 0, 0, time.UTC))
	}
	if len(l.counts) > maxSteps {
		t.Errorf("got %d steps, want at most %d", len(l.counts), maxSteps)
	}
}
