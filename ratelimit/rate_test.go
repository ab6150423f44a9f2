package ratelimit

import (
	"math"
	"strings"
	"testing"
)

func TestParseRate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		in     string
		want   Rate
		string string
	}{
		{"50/s", 50, "50/s"},
		{"600/m", 10, "10/s"},
		{"0", Unlimited, "0"},
		{"1/m", 1.0 / 60, "1/m"},
		{"100/m", 100.0 / 60, "100/m"},
		{"0.5/s", 0.5, "30/m"},
		{"2.5/m", 2.5 / 60, "0.041666666666666664/s"},
		{"1000000/s", 1e6, "1000000/s"},
		{".25/s", 0.25, "15/m"},
		{"007/s", 7, "7/s"},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			t.Parallel()
			got, err := ParseRate(tt.in)
			if err != nil || got != tt.want {
				t.Fatalf("ParseRate = %v, %v; want %v", float64(got), err, float64(tt.want))
			}
			if got.String() != tt.string {
				t.Errorf("String = %q, want %q", got, tt.string)
			}
		})
	}
}

func TestParseRate_Refuses(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		"", "50", "/s", "/", "50/h", "50/", "50 /s", " 50/s", "50/s ", "50/S", "50/s/s", "-1/s", "+1/s", "1e3/s", "0x10/s", "1_0/s",
		"inf/s", "NaN/s", "1.2.3/s", "./s", "0/s", "0/m", "0.0", "00", "1000001/s", "0.01/m", "٣/s", strings.Repeat("9", 400) + "/s",
	} {
		if got, err := ParseRate(in); err == nil {
			t.Errorf("ParseRate(%q) = %v, want an error", in, got)
		} else if got != 0 || !strings.HasPrefix(err.Error(), "parse rate ") {
			t.Errorf("ParseRate(%q) = %v, %v; want 0 and an error that begins with parse rate", in, got, err)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	for _, s := range []string{"50/s", "600/m", "0", "0.5/s", "2.5/m", "1e3/s", "/", "0.016666666666666666/s", "59999999/m", "0.06/m"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseRate(s)
		if err != nil {
			return
		}
		if !r.valid() || math.IsNaN(float64(r)) || (r == Unlimited) != (s == "0") {
			t.Fatalf("ParseRate(%q) = %v; want a valid rate, and 0 only for the text 0", s, float64(r))
		}
		again, err := ParseRate(r.String())
		if err != nil || again != r {
			t.Fatalf("ParseRate(%q) = %v, which String writes as %q and ParseRate then reads as %v, error %v; want the same rate", s, float64(r), r, float64(again), err)
		}
		if b := DefaultBurst(r); b < 1 || b > MaxTokens {
			t.Fatalf("DefaultBurst(%v) = %d; want 1 to %d", r, b, MaxTokens)
		}
	})
}

func TestDefaultBurst(t *testing.T) {
	t.Parallel()
	for rate, want := range map[Rate]int{Unlimited: 1, 1.0 / 60: 1, 1: 1, 14: 1, 15: 2, 50: 5, 1000: 100, maxRate: MaxTokens} {
		if got := DefaultBurst(rate); got != want {
			t.Errorf("DefaultBurst(%v) = %d, want %d", rate, got, want)
		}
	}
}
