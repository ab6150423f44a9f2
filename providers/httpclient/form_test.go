package httpclient

import (
	"net/url"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/sms"
)

func TestAppendField_EqualsTheStandardLibrary(t *testing.T) {
	t.Parallel()
	var all strings.Builder
	for c := range 256 {
		all.WriteByte(byte(c))
	}
	for name, value := range map[string]string{
		"nothing": "", "letters": "Hello", "signs": "a&b=c+d %/?#~-_.*'()", "lines": "a\r\nb\tc", "GSM": "@£$¥èéùì€{}[]|^\\~",
		"UCS-2": "漢😀₦", "bytes": all.String(), "broken UTF-8": "a\xff\xc3",
	} {
		if got, want := string(AppendEscaped([]byte("x="), value)), "x="+url.QueryEscape(value); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		form := AppendField(AppendField(nil, "first", value), "second", value)
		if got, want := string(form), "first="+url.QueryEscape(value)+"&second="+url.QueryEscape(value); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
		read, err := url.ParseQuery(string(form))
		if err != nil || len(read) != 2 || read.Get("first") != value || read.Get("second") != value {
			t.Errorf("%s: read back as %q with the error %v, want the same value in both fields", name, read, err)
		}
	}
}

func TestAppendNumbers_JoinsAndEscapes(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		before, prefix string
		to             []sms.MSISDN
		want           string
	}{
		{"", "", nil, "to="},
		{"", "", []sms.MSISDN{254712345678}, "to=254712345678"},
		{"a=1", "", []sms.MSISDN{254712345678}, "a=1&to=254712345678"},
		{"a=1", "", []sms.MSISDN{254712345678, 2348030000000, 1}, "a=1&to=254712345678%2C2348030000000%2C1"},
		{"", "+", []sms.MSISDN{254712345678, 2348030000000}, "to=%2B254712345678%2C%2B2348030000000"},
		{"", "", []sms.MSISDN{1<<64 - 1, 0}, "to=18446744073709551615%2C0"},
	} {
		if got := string(AppendNumbers([]byte(tc.before), "to", tc.prefix, tc.to)); got != tc.want {
			t.Errorf("got %q, want %q", got, tc.want)
		}
	}
}

func TestFormSize_IsLargeEnough(t *testing.T) {
	t.Parallel()
	long := make([]sms.MSISDN, 500)
	for i := range long {
		long[i] = 999_999_999_999_999 // E.164's longest
	}
	for name, tc := range map[string]struct {
		to    []sms.MSISDN
		texts []string
	}{
		"nothing":     {nil, nil},
		"one":         {long[:1], []string{"Hello"}},
		"escaped":     {long[:1], []string{strings.Repeat("%", 1000), strings.Repeat("😀", 100), ""}},
		"many":        {long, []string{"ACME", strings.Repeat("₦", 905)}},
		"many, plain": {long, []string{"x"}},
	} {
		names := len("to=")
		for range tc.texts {
			names += len("&text=")
		}
		size := FormSize(names, tc.to, tc.texts...)
		form := make([]byte, 0, size)
		form = AppendNumbers(form, "to", "+", tc.to)
		for _, text := range tc.texts {
			form = AppendField(form, "text", text)
		}
		if len(form) > size || cap(form) != size {
			t.Errorf("%s: the form has %d bytes, FormSize returned %d; want at least as many, all allocated at once", name, len(form), size)
		}
	}
}

func TestAppendField_DoesNotAllocate(t *testing.T) {
	value := strings.Repeat("Hello & é ", 50)
	to := []sms.MSISDN{254712345678, 2348030000000}
	room := make([]byte, 0, 4096)
	if n := testing.AllocsPerRun(20, func() { AppendNumbers(AppendField(room, "a", value), "to", "+", to) }); n > 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func FuzzAppendEscaped(f *testing.F) {
	for _, seed := range []string{"", "Hello", "a&b=c+d %", "é€漢😀", "\x00\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if got := string(AppendEscaped(nil, value)); got != url.QueryEscape(value) {
			t.Fatalf("%q: got %q, want the result of url.QueryEscape", value, got)
		}
	})
}
