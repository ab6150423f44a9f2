package console

import "testing"

func TestParseAmount_AddsUpExactly(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"0.80": "0.80", "1": "1.00", "1234567.5": "1,234,567.50", "0.000001": "0.000001", "12.345": "12.345", "0": "0.00"} {
		if got, ok := ParseAmount(in); !ok || got.String() != want {
			t.Errorf("ParseAmount(%q) = %s, %v; want %s, true", in, got, ok, want)
		}
	}
	for _, in := range []string{"", ".5", "-1", "1e3", "1.2345678", "1,000", "KES 1", "1.2.3", "9999999999999"} {
		if got, ok := ParseAmount(in); ok {
			t.Errorf("ParseAmount(%q) = %s, true; want false", in, got)
		}
	}
	var sum Amount
	for range 1_000_000 {
		each, _ := ParseAmount("0.8")
		sum += each
	}
	if sum.String() != "800,000.00" {
		t.Errorf("sum of a million times 0.8: got %s, want 800,000.00", sum)
	}
}
