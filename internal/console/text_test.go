package console

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestFormat_NumbersDurationsAndRates(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1000: "-1,000", -100: "-100"} {
		if got := FormatInt(n); got != want {
			t.Errorf("FormatInt(%d) = %s, want %s", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0s", -time.Hour: "0s", 1500 * time.Millisecond: "1s", 59 * time.Second: "59s", 61 * time.Second: "1m01s",
		90 * time.Minute: "1h30m", 47 * time.Hour: "47h00m", 75 * time.Hour: "3d03h",
	} {
		if got := FormatDuration(d); got != want {
			t.Errorf("FormatDuration(%s) = %s, want %s", d, got, want)
		}
	}
	for rate, want := range map[float64]string{0.25: "0.2/s", 9.9: "9.9/s", 12.6: "13/s", 2500: "2,500/s"} {
		if got := FormatRate(rate); got != want {
			t.Errorf("FormatRate(%v) = %s, want %s", rate, got, want)
		}
	}
	if got := OneLine("a\n b  c", 3); got != "a …" {
		t.Errorf("OneLine: got %q, want %q", got, "a …")
	}
}

func TestShare_AndBarsAsText(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		n, of int
		want  string
	}{{0, 10, "0.0 %"}, {1, 3, "33.3 %"}, {1, 1_000_000, "<0.1 %"}, {10, 10, "100.0 %"}, {0, 0, "0.0 %"}} {
		if got := Share(tt.n, tt.of); got != tt.want {
			t.Errorf("Share(%d, %d) = %s, want %s", tt.n, tt.of, got, tt.want)
		}
	}
	if got := Bar(1, 1_000_000, 10, false); got != "#" {
		t.Errorf("Bar of a small number: got %q, want #", got)
	}
	if got := Bar(50, 100, 10, true); got != "█████" {
		t.Errorf("Bar of half the largest number: got %q, want █████", got)
	}
	if diff := cmp.Diff([]string{"one two", "three", "fourteen"}, Wrap("one two three fourteen", 7)); diff != "" {
		t.Error(diff)
	}
	if got := WithoutControls("a\x1b[31mb\nc", 20); got != "a [31mb c" {
		t.Errorf("WithoutControls: got %q, want \"a [31mb c\"", got)
	}
	for locale, want := range map[string]bool{"en_KE.UTF-8": true, "C.utf8": true, "C": false, "": false} {
		if got := isUTF8(func(name string) (string, bool) { return locale, name == "LANG" }); got != want {
			t.Errorf("isUTF8 with the locale %q = %v; want %v", locale, got, want)
		}
	}
}

func TestReplaceControls_RemovesTerminalControls(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"plain é 😀": "plain é 😀", "\x1b[2Jgone": " [2Jgone", "a\u009bb": "a b", "tab\tand\nline": "tab and line", "\u202egnp.exe": " gnp.exe",
	} {
		if got := ReplaceControls(in); got != want {
			t.Errorf("ReplaceControls(%q) = %q, want the text without control characters", in, got)
		}
	}
}
