package sms

import (
	"strings"
	"testing"
)

func TestMSISDN_Forms(t *testing.T) {
	t.Parallel()
	tests := []struct {
		m                               MSISDN
		digits, e164, masked, inCountry string
	}{
		{254712345678, "254712345678", "+254712345678", "2547****5678", "KE"},
		{2348031234567, "2348031234567", "+2348031234567", "2348****4567", "NG"},
		{447400123456, "447400123456", "+447400123456", "4474****3456", "GB"},
		{14165550123, "14165550123", "+14165550123", "141****0123", "CA"},
		{12125550123, "12125550123", "+12125550123", "121****0123", "US"},
		{2250707123456, "2250707123456", "+2250707123456", "2250****3456", "CI"},
		{4551234567, "4551234567", "+4551234567", "455****567", "DK"},
		{25471234567, "25471234567", "+25471234567", "254****4567", "KE"},
		{870773111632, "870773111632", "+870773111632", "8707****1632", ""},
		{999712345678, "999712345678", "+999712345678", "9997****5678", ""},
		{0, "0", "+0", "****", ""},
		{1<<64 - 1, "18446744073709551615", "+18446744073709551615", "1844****1615", ""},
	}
	for _, tt := range tests {
		if got := tt.m.String(); got != tt.digits {
			t.Errorf("String() = %q; want %q", got, tt.digits)
		}
		if got := string(tt.m.AppendTo([]byte("to="))); got != "to="+tt.digits {
			t.Errorf("AppendTo() = %q; want %q", got, "to="+tt.digits)
		}
		if got := tt.m.E164(); got != tt.e164 {
			t.Errorf("E164() = %q; want %q", got, tt.e164)
		}
		if got := tt.m.Masked(); got != tt.masked {
			t.Errorf("%v.Masked() = %q; want %q", tt.m, got, tt.masked)
		}
		if got := tt.m.Country(); got != tt.inCountry {
			t.Errorf("%v.Country() = %q; want %q", tt.m, got, tt.inCountry)
		}
	}
}

func TestMask_ShowsNoMoreThanTheEnds(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                        "****",
		"1234":                    "****",
		"12345":                   "****5",
		"22345678":                "22****78",
		"0712345678":              "071****678",
		"+254 712-345-678":        "2547****5678",
		"0712345678,0722345678":   "0712****5678",
		"2.54712E+11":             "25****11",
		"Jane Otieno":             "****",
		"jane7@example.com\n":     "****",
		"\u0662\u0665\u0664 ٧١٢":  "****",
		strings.Repeat("1", 1000): "1111****1111",
	} {
		if got := Mask(in); got != want {
			t.Errorf("Mask(%q) = %q; want %q", in, got, want)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add("+254 712-345-678")
	f.Add("22345")
	f.Add("x")
	f.Fuzz(func(t *testing.T, s string) {
		head, tail, found := strings.Cut(Mask(s), "****")
		digits := onlyDigits(s[:min(len(s), 64)])
		if !found || len(head) > 4 || len(tail) > 4 || !strings.HasPrefix(digits, head) || !strings.HasSuffix(digits, tail) {
			t.Fatalf("Mask(%q) = %q, which is not a valid mask", s, head+"****"+tail)
		}
		if shown := len(head) + len(tail); shown > 0 && shown > len(digits)-4 {
			t.Errorf("Mask(%q) = %q hides fewer than four digits", s, head+"****"+tail)
		}
	})
}

func TestCallingCode(t *testing.T) {
	t.Parallel()
	for iso, want := range map[string]string{"KE": "254", "NG": "234", "US": "1", "JM": "1", "GB": "44", "ke": "", "": "", "XX": ""} {
		if got := CallingCode(iso); got != want {
			t.Errorf("CallingCode(%q) = %q; want %q", iso, got, want)
		}
	}
}
