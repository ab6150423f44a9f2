package sms_test

import (
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/tuma-sms/tuma/sms"
)

func TestSegments(t *testing.T) {
	t.Parallel()
	a := func(n int) string { return strings.Repeat("a", n) }
	tests := []struct {
		name, body string
		segments   int
		units      int
		enc        sms.Encoding
	}{
		{"empty", "", 0, 0, sms.GSM7},
		{"one character", "a", 1, 1, sms.GSM7},
		{"one full message", a(160), 1, 160, sms.GSM7},
		{"one septet over", a(161), 2, 161, sms.GSM7},
		{"two full parts", a(306), 2, 306, sms.GSM7},
		{"two full parts and one", a(307), 3, 307, sms.GSM7},
		{"three full parts", a(459), 3, 459, sms.GSM7},
		{"euro fits", a(158) + "€", 1, 160, sms.GSM7},
		{"euro does not fit", a(159) + "€", 2, 161, sms.GSM7},
		{"escape pair at the end of the first part", a(151) + "€" + a(153), 2, 306, sms.GSM7},
		{"escape pair would straddle", a(152) + "€" + a(152), 3, 306, sms.GSM7},
		{"escape pair would straddle, room left", a(152) + "€" + a(151), 2, 305, sms.GSM7},
		{"only escapes, one message", strings.Repeat("{", 80), 1, 160, sms.GSM7},
		{"only escapes, two parts of 76", strings.Repeat("{", 152), 2, 304, sms.GSM7},
		{"only escapes, the odd septet is lost", strings.Repeat("{", 153), 3, 306, sms.GSM7},
		{"line ends", "a\r\nb\n", 1, 5, sms.GSM7},
		{"form feed", "\f", 1, 2, sms.GSM7},

		{"backtick", "`", 1, 1, sms.UCS2},
		{"tab", "\t", 1, 1, sms.UCS2},
		{"escape character", "\x1b", 1, 1, sms.UCS2},
		{"curly quote", "it’s", 1, 4, sms.UCS2},
		{"em dash", "a—b", 1, 3, sms.UCS2},
		{"small c cedilla", "ç", 1, 1, sms.UCS2},
		{"a circumflex", "â", 1, 1, sms.UCS2},
		{"naira", "₦500", 1, 4, sms.UCS2},
		{"Yoruba", "ẹ ọ ṣ", 1, 5, sms.UCS2},
		{"escapes count one in UCS-2", "{}’", 1, 3, sms.UCS2},
		{"full UCS-2", strings.Repeat("ẹ", 70), 1, 70, sms.UCS2},
		{"UCS-2 one over", strings.Repeat("ẹ", 71), 2, 71, sms.UCS2},
		{"two full UCS-2 parts", strings.Repeat("ẹ", 134), 2, 134, sms.UCS2},
		{"two full UCS-2 parts and one", strings.Repeat("ẹ", 135), 3, 135, sms.UCS2},
		{"emoji takes two", strings.Repeat("😀", 35), 1, 70, sms.UCS2},
		{"emoji, 33 a part", strings.Repeat("😀", 66), 2, 132, sms.UCS2},
		{"emoji, the odd unit is lost", strings.Repeat("😀", 67), 3, 134, sms.UCS2},
		{"surrogate pair would straddle", strings.Repeat("ẹ", 66) + "😀" + strings.Repeat("ẹ", 66), 3, 134, sms.UCS2},
		{"last character before the surrogates", "\uffff", 1, 1, sms.UCS2},
		{"first character with surrogates", "\U00010000", 1, 2, sms.UCS2},
		{"bytes that are not UTF-8", "a\xff\xfe", 1, 3, sms.UCS2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, enc := sms.Segments(tt.body)
			if n != tt.segments || enc != tt.enc {
				t.Errorf("Segments = %d, %v; want %d, %v", n, enc, tt.segments, tt.enc)
			}
			if got := sms.CodeUnits(tt.body); got != tt.units {
				t.Errorf("CodeUnits = %d; want %d", got, tt.units)
			}
			if got := sms.EncodingOf(tt.body); got != tt.enc {
				t.Errorf("EncodingOf = %v; want %v", got, tt.enc)
			}
		})
	}
}

func TestSegments_AlphabetOfEveryCharacter(t *testing.T) {
	t.Parallel()
	for r := range rune(0x11000) {
		body := string(r)
		n, units, enc := splitSegments(body)
		if gotN, gotEnc := sms.Segments(body); gotN != n || gotEnc != enc || sms.CodeUnits(body) != units {
			t.Errorf("%U: Segments = %d, %v, CodeUnits = %d; want %d, %v, %d", r, gotN, gotEnc, sms.CodeUnits(body), n, enc, units)
		}
	}
}

func TestEncoding_Names(t *testing.T) {
	t.Parallel()
	if sms.GSM7.String() != "GSM-7" || sms.UCS2.String() != "UCS-2" {
		t.Errorf("names of the encodings = %q, %q; want GSM-7, UCS-2", sms.GSM7, sms.UCS2)
	}
}

// These are the tables of 3GPP TS 23.038, sections 6.2.1 and 6.2.1.1, in the order of the codes.
// At the code of the escape character, 0x1B, the table has a zero byte, which encodeGSM7 skips.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x00ÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtension = "\f^{}\\[~]|€"
	gsmEscape    = 0x1B
)

// splitSegments encodes the whole body and splits it into segments, as a gateway does. Tests
// check that sms.Segments returns the same results as splitSegments.
func splitSegments(body string) (n, units int, enc sms.Encoding) {
	if septets, ok := encodeGSM7(body); ok {
		n = cut(len(septets), 160, 153, func(i int) bool { return septets[i] == gsmEscape })
		return n, len(septets), sms.GSM7
	}
	utf := utf16.Encode([]rune(body))
	n = cut(len(utf), 70, 67, func(i int) bool { return utf[i] >= 0xD800 && utf[i] < 0xDC00 })
	return n, len(utf), sms.UCS2
}

func encodeGSM7(body string) (septets []byte, ok bool) {
	basic := []rune(gsmBasic)
	for _, r := range body {
		code := -1
		for i, b := range basic {
			if b == r && i != gsmEscape {
				code = i
			}
		}
		switch {
		case code >= 0:
			septets = append(septets, byte(code))
		case strings.ContainsRune(gsmExtension, r):
			septets = append(septets, gsmEscape, 0)
		default:
			return nil, false
		}
	}
	return septets, true
}

// The function "cut" returns the number of segments that n units need. A segment must not end
// between the two units of a pair. The function opensPair(i) reports whether unit i is the first
// unit of a pair.
func cut(n, single, part int, opensPair func(i int) bool) (parts int) {
	if n == 0 {
		return 0
	}
	if n <= single {
		return 1
	}
	for start := 0; start < n; parts++ {
		end := min(start+part, n)
		if opensPair(end - 1) {
			end--
		}
		start = end
	}
	return parts
}

func FuzzSegments(f *testing.F) {
	for _, body := range []string{
		"", "a", strings.Repeat("a", 161), strings.Repeat("a", 152) + "€" + strings.Repeat("{", 153), strings.Repeat("😀", 67),
		strings.Repeat("ẹ", 66) + "😀ẹ", "a\xff", "\x1b", "`", "\U0010ffff", "\xed\xa0\x80",
	} {
		f.Add(body, uint8(1))
		f.Add(body, uint8(9))
	}
	f.Fuzz(func(t *testing.T, body string, times uint8) {
		body = strings.Repeat(body, int(times))
		n, units, enc := splitSegments(body)
		if gotN, gotEnc := sms.Segments(body); gotN != n || gotEnc != enc {
			t.Errorf("Segments(%q) = %d, %v; want %d, %v", body, gotN, gotEnc, n, enc)
		}
		if got := sms.CodeUnits(body); got != units {
			t.Errorf("CodeUnits(%q) = %d; want %d", body, got, units)
		}
	})
}

func BenchmarkSegments(b *testing.B) {
	for _, bm := range []struct{ name, body string }{
		{"gsm7/160", strings.Repeat("Habari Jane, ", 13)[:160]},
		{"gsm7/escapes/160", strings.Repeat("Bei: 20€ ", 16)},
		{"ucs2/160", strings.Repeat("a", 159) + "’"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = sms.Segments(bm.body)
			}
		})
	}
}
