package console

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FormatInt formats a number with thousands separators: 1,234,567.
func FormatInt(n int) string {
	s := strconv.Itoa(n)
	start := 0
	if n < 0 {
		start = 1
	}
	for i := len(s) - 3; i > start; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Plural formats a number and a noun: "1 recipient", "2 recipients".
func Plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return FormatInt(n) + " " + thing + "s"
}

// FormatRate formats a rate per second. A rate below 10 has one decimal. A higher rate is an
// integer.
func FormatRate(rate float64) string {
	if rate >= 10 {
		return FormatInt(int(rate+0.5)) + "/s"
	}
	return strconv.FormatFloat(rate, 'f', 1, 64) + "/s"
}

// FormatDuration formats a duration in its two largest units.
func FormatDuration(d time.Duration) string {
	switch {
	case d < time.Second:
		return "0s"
	case d < time.Minute:
		return d.Truncate(time.Second).String()
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd%02dh", int(d.Hours())/24, int(d.Hours())%24)
}

// FormatTime formats a time as RFC 3339 in UTC, to the second. The result for the zero time is an
// empty string.
func FormatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// OneLine joins the lines of a text. The parameter "limit" is the maximum length of the result in
// characters.
func OneLine(s string, limit int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > limit {
		return string(r[:max(limit-1, 0)]) + "…"
	}
	return s
}

// Wrap breaks a text between words into lines. The parameter "width" is the maximum width of a
// line in characters. A word that is longer gets a separate line.
func Wrap(text string, width int) (lines []string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case displayWidth(line)+1+displayWidth(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// WithoutControls replaces control characters in a gateway's text, because they may be commands to
// a terminal. It joins the text to one line. The parameter "limit" is the maximum length of the
// line in characters.
func WithoutControls(s string, limit int) string {
	return OneLine(strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s), limit)
}

// ReplaceControls replaces control characters by spaces, because they may be commands to a
// terminal.
func ReplaceControls(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' {
			return ' '
		}
		return r
	}, s)
}

// Bar returns a bar for the value n. The length of the bar for the value "largest" is the
// parameter "width", in characters. Each bar has at least one character. If blocks is true, the
// bar consists of block characters, and otherwise of the character #.
func Bar(n, largest, width int, blocks bool) string {
	mark := "#"
	if blocks {
		mark = "█"
	}
	return strings.Repeat(mark, max(1, (n*width+largest/2)/max(largest, 1)))
}

// Share formats n as a percentage of total.
func Share(n, total int) string {
	if n > 0 && n*2000 < total {
		return "<0.1 %"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(max(total, 1)))
}

// Tally formats counts, the largest first: "3 too_short, 1 empty".
func Tally(counts map[string]int) string {
	words := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		if d := counts[b] - counts[a]; d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	parts := make([]string, len(words))
	for i, w := range words {
		parts[i] = FormatInt(counts[w]) + " " + w
	}
	return strings.Join(parts, ", ")
}

// WriteJSON writes v as indented JSON.
func WriteJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}
