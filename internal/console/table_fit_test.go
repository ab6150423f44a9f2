package console

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// The function "render" returns the text of a table on the given screen.
func render(t *testing.T, g Table, s Screen) string {
	t.Helper()
	var out bytes.Buffer
	if err := s.Table(&out, g); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTableFit_BreaksTextAndKeepsNumbers(t *testing.T) {
	t.Parallel()
	g := Table{Header: []string{"ID", "TOTAL", "HOLD", "SEGMENTS"}, Right: []int{1, 3}, Drop: []int{3}}
	g.Add("sale-2025-11-nairobi-west-customers-batch-1", "1,000,000", "credit (error_credit) for 3m, next try in 30s", "2,000,000")
	g.Add("short", "1", "no", "2")
	for _, tt := range []struct {
		screen Screen
		want   string
	}{
		{Screen{Width: 20}, // without a terminal, every cell is printed in full
			"ID                                               TOTAL  HOLD                                            SEGMENTS\n" +
				"sale-2025-11-nairobi-west-customers-batch-1  1,000,000  credit (error_credit) for 3m, next try in 30s  2,000,000\n" +
				"short                                                1  no                                                     2\n"},
		{Screen{Width: 80, Terminal: true}, // the last column is left out
			"ID                                            TOTAL  HOLD\n" +
				"sale-2025-11-nairobi…t-customers-batch-1  1,000,000  credit (error_credit) for\n" +
				"                                                     3m, next try in 30s\n" +
				"short                                             1  no\n"},
		{Screen{Width: 40, Terminal: true},
			"ID                TOTAL  HOLD\n" +
				"sale-2…tch-1  1,000,000  credit\n" +
				"                         (error…edit)\n" +
				"                         for 3m, next\n" +
				"                         try in 30s\n" +
				"short                 1  no\n"},
		{Screen{Width: 20, Terminal: true, Unicode: true}, // a line for each cell
			"ID:\nsale-2025-11-nairobi\n-west-customers-batc\nh-1\nTOTAL: 1,000,000\nHOLD: credit\n(error_credit) for\n3m, next try in 30s\nSEGMENTS: 2,000,000\n\n" +
				"ID: short\nTOTAL: 1\nHOLD: no\nSEGMENTS: 2\n"},
	} {
		if diff := cmp.Diff(tt.want, render(t, g, tt.screen)); diff != "" {
			t.Errorf("%+v: (-want +got)\n%s", tt.screen, diff)
		}
	}
}

// On a terminal, no line of a table may be wider than the terminal, whatever the cells contain. No number
// may be shortened.
func TestTableFit_NoLineIsWiderThanTheScreen(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"a", "Nairobi", "sale-2025-11-nairobi-west-customers-batch-1", strings.Repeat("x", 128), "Ọlá", "王小明", "é", "\x1b[31mred", "tab\tbed", "two\nlines", ""}
	for range 300 {
		columns := 1 + random.IntN(9)
		g := Table{}
		for i := range columns {
			if random.IntN(3) == 0 {
				g.Right = append(g.Right, i)
			}
			if random.IntN(3) == 0 {
				g.Drop = append(g.Drop, i)
			}
			g.Header = append(g.Header, strings.Repeat("H", 1+random.IntN(11)))
		}
		if random.IntN(3) == 0 {
			g.Header = nil
		}
		for range 1 + random.IntN(4) {
			var row []string
			for i := range columns {
				cell := FormatInt(random.IntN(2_000_000))
				if !slices.Contains(g.Right, i) {
					for range random.IntN(4) {
						cell += " " + words[random.IntN(len(words))]
					}
				}
				row = append(row, cell)
			}
			g.Add(row...)
		}
		for _, width := range []int{20, 40, 79, 80, 132} {
			for _, unicode := range []bool{false, true} {
				out := render(t, g, Screen{Width: width, Terminal: true, Unicode: unicode})
				for line := range strings.SplitSeq(strings.TrimSuffix(out, "\n"), "\n") {
					if displayWidth(line) > width || strings.ContainsAny(line, "\t\x1b") {
						t.Fatalf("width %d: the line %q is %d wide, in\n%s", width, line, displayWidth(line), out)
					}
				}
				flat := strings.ReplaceAll(out, "\n", "")
				for _, row := range g.Rows {
					for _, i := range g.Right {
						if !slices.Contains(g.Drop, i) && !strings.Contains(flat, row[i]) {
							t.Fatalf("width %d: the number %s is missing in\n%s", width, row[i], out)
						}
					}
				}
			}
		}
	}
}

func TestCutMiddle(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		s     string
		width int
		want  string
	}{{"abcdefgh", 8, "abcdefgh"}, {"abcdefgh", 7, "abc…fgh"}, {"abcdefgh", 6, "abc…gh"}, {"王小明王小明", 6, "王…明"}, {"abc", 1, "…"}, {"", 0, ""}} {
		if got := CutMiddle(tt.s, tt.width); got != tt.want {
			t.Errorf("CutMiddle(%q, %d) = %q, want %q", tt.s, tt.width, got, tt.want)
		}
	}
}

func TestScreen_TimesAreLocalOnATerminalAndUTCElsewhere(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 28, 22, 4, 5, 6, time.UTC)
	nairobi := time.FixedZone("EAT", 3*3600)
	for want, s := range map[string]Screen{
		"2026-11-29 01:04:05 EAT": {Terminal: true, Zone: nairobi},
		"2026-11-28T22:04:05Z":    {Zone: nairobi},
	} {
		if got := s.Time(at); got != want || s.Time(time.Time{}) != "" {
			t.Errorf("%+v: got %q and %q for the zero time, want %q and nothing", s, got, s.Time(time.Time{}), want)
		}
	}
	if got := (Screen{Terminal: true, Zone: nairobi}).Minute(at); got != "2026-11-29 01:04" {
		t.Errorf("minute: got %q, want 2026-11-29 01:04", got)
	}
	if got := (Screen{}).Minute(at); got != "2026-11-28T22:04:05Z" {
		t.Errorf("minute without a terminal: got %q, want 2026-11-28T22:04:05Z", got)
	}
}
