package sms_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/sms"
)

func TestTransliterate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, in, want string
		changed        int
	}{
		{"nothing to do", "Pay KES 500 {now} €5", "Pay KES 500 {now} €5", 0},
		{"empty", "", "", 0},
		{"curly quotes", "It’s ‘new’ and “big”", `It's 'new' and "big"`, 5},
		{"other quotes", "«a» „b“ ‹c› d` e´ 5′ 6″", `"a" "b" 'c' d' e' 5' 6"`, 10},
		{"dashes", "9–5 — call 0700‑123−4", "9-5 - call 0700-123-4", 4},
		{"ellipsis", "Wait…", "Wait...", 1},
		{"spaces", "KES\u00a0500\u2009only\u3000now\tgo", "KES 500 only now go", 4},
		{"what cannot be seen", "\ufeff\u202a0712\u200b345\u00ad678\u202c", "0712345678", 5},
		{"bullets", "• one\n• two", "* one\n* two", 2},
		{"naira and cedi", "₦5,000 or ₵50", "NGN5,000 or GHS50", 2},
		{"signs", "A™ B® C© №5 2×3 ±1 → go", "A(TM) B(R) C(C) No.5 2x3 +/-1 -> go", 7},
		{"letters and accents apart", "Jose\u0301 Nin\u0303o u\u0308ber C\u0327a A\u030A", "José Niño über Ça Å", 5},
		{"full-width", "ＳＡＬＥ５０％", "SALE50%", 7},
		{"bold letters", "𝗦𝗔𝗟𝗘 𝟱𝟬", "SALE 50", 6},
		{"ligatures", "oﬃce ﬁle", "office file", 2},
		{"line ends", "a\u2028b\u0085c", "a\nb\nc", 2},
		{"a sign and its shape", "©\ufe0f 2026", "(C) 2026", 2},

		{"an emoji keeps all", "It’s on 😀", "It’s on 😀", 0},
		{"an emoji of signs keeps all", "I ❤\ufe0f it’s", "I ❤\ufe0f it’s", 0},
		{"other scripts keep all", "Привет – world", "Привет – world", 0},
		{"dotted letters keep all", "Ẹ káàbọ̀ – o", "Ẹ káàbọ̀ – o", 0},
		{"accents that GSM-7 lacks keep all", "façade – naïve", "façade – naïve", 0},
		{"an accent on what has none", "x\u0301’", "x\u0301’", 0},
		{"bytes that are not UTF-8 keep all", "a’\xff", "a’\xff", 0},
		{"an unassigned bold letter keeps all", "\U0001D455’", "\U0001D455’", 0},
		{"never more segments", strings.Repeat("₦", 70), strings.Repeat("₦", 70), 0},
		{"as many segments", strings.Repeat("₦", 53), strings.Repeat("NGN", 53), 53},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, changed := sms.Transliterate(tt.in)
			if got != tt.want || changed != tt.changed {
				t.Errorf("Transliterate(%q) = %q, %d; want %q, %d", tt.in, got, changed, tt.want, tt.changed)
			}
		})
	}
}

func FuzzTransliterate(f *testing.F) {
	for _, s := range []string{"", "It’s", "It’s 😀", "₦₦…", "e\u0301\u0301", "\xff’", "ＡＢ｀", "𝗔\U0001D455", "C\u0327\u200b\u0327", "a\u200b\u030A", "\u200b", "\u200b "} {
		f.Add(s, uint8(1))
		f.Add(s, uint8(70))
	}
	f.Fuzz(func(t *testing.T, body string, times uint8) {
		body = strings.Repeat(body, int(times))
		before, enc := sms.Segments(body)
		got, changed := sms.Transliterate(body)
		after, plain := sms.Segments(got)
		switch {
		case after > before:
			t.Errorf("%q has %d segments, but transliterated to %q it has %d", body, before, got, after)
		case changed == 0 && got != body, changed > 0 && (plain != sms.GSM7 || enc != sms.UCS2):
			t.Errorf("Transliterate(%q) = %q, %d; want the same body and 0, or a GSM-7 form of a UCS-2 body", body, got, changed)
		case changed > utf8.RuneCountInString(body):
			t.Errorf("changed = %d; want at most %d, the characters of %q", changed, utf8.RuneCountInString(body), body)
		}
		if again, changed := sms.Transliterate(got); again != got || changed > 0 {
			t.Errorf("Transliterate(%q) = %q, but Transliterate changes this result again, to %q", body, got, again)
		}
		c, ok := sms.ExplainUCS2(body)
		if ok != (enc == sms.UCS2) {
			t.Fatalf("ExplainUCS2(%q): ok = %v; want %v", body, ok, !ok)
		}
		if ok && (c.Count < 1 || c.Kinds < 1 || c.Kinds > c.Count || c.Count > c.Characters || c.Segments != before || c.Without > c.Segments) {
			t.Errorf("ExplainUCS2(%q) = %+v; want 1 <= Kinds <= Count <= Characters, %d Segments, and Without at most Segments", body, c, before)
		}
		if ok && changed > 0 != (c.Transliterated > 0) {
			t.Errorf("ExplainUCS2(%q) = %+v, but Transliterate changes %d characters", body, c, changed)
		}
		_ = c.String()
	})
}

func TestWhy_NamesTheCharacterThatCosts(t *testing.T) {
	t.Parallel()
	x := func(n int) string { return strings.Repeat("x", n) }
	tests := []struct {
		name, body string
		want       sms.UCS2Cause
		text       string
		few        bool
	}{
		{"a curly apostrophe", "It’s " + x(80), sms.UCS2Cause{First: '’', At: 3, Count: 1, Kinds: 1, Characters: 85, Segments: 2, Without: 1, Transliterated: 1},
			"UCS-2 because of ’ (U+2019, a curly apostrophe) at character 3", true},
		{"several", "‘a’ – ‘" + x(100), sms.UCS2Cause{First: '‘', At: 1, Count: 4, Kinds: 3, Characters: 107, Segments: 2, Without: 1, Transliterated: 1},
			"UCS-2 because of ‘ (U+2018, a curly quote) at character 1, and 3 more", true},
		{"an emoji", x(80) + "😀", sms.UCS2Cause{First: '😀', At: 81, Count: 1, Kinds: 1, Characters: 81, Segments: 2, Without: 1, Untransliterable: '😀', UntransliterableAt: 81},
			"UCS-2 because of 😀 (U+1F600, an emoji or symbol) at character 81", true},
		{"an emoji among quotes", "‘a’ 😀" + x(80), sms.UCS2Cause{First: '‘', At: 1, Count: 3, Kinds: 3, Characters: 85, Segments: 2, Without: 1, Untransliterable: '😀', UntransliterableAt: 5},
			"UCS-2 because of ‘ (U+2018, a curly quote) at character 1, and 2 more", true},
		{"an accent apart", "Jose\u0301" + x(70), sms.UCS2Cause{First: '\u0301', At: 5, Count: 1, Kinds: 1, Characters: 75, Segments: 2, Without: 1, Transliterated: 1},
			"UCS-2 because of U+0301 (an accent written after its letter) at character 5", true},
		{"nothing to gain", "It’s", sms.UCS2Cause{First: '’', At: 3, Count: 1, Kinds: 1, Characters: 4, Segments: 1, Without: 1, Transliterated: 1},
			"UCS-2 because of ’ (U+2019, a curly apostrophe) at character 3", false},
		{"another language", strings.Repeat("Привет ", 15), sms.UCS2Cause{First: 'П', At: 1, Count: 90, Kinds: 6, Characters: 105, Segments: 2, Without: 1, Untransliterable: 'П', UntransliterableAt: 1},
			"UCS-2 because of П (U+041F, a Cyrillic letter) at character 1, and 89 more", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, ok := sms.ExplainUCS2(tt.body)
			if !ok || got != tt.want || got.String() != tt.text || got.Few() != tt.few {
				t.Errorf("ExplainUCS2 = %+v, %v, %q, few %v; want %+v, %q, few %v", got, ok, got, got.Few(), tt.want, tt.text, tt.few)
			}
		})
	}
	if c, ok := sms.ExplainUCS2("Pay €5 {now}"); ok {
		t.Errorf("ExplainUCS2 of a GSM-7 body = %v; want ok = false", c)
	}
}

func TestDescribeRune(t *testing.T) {
	t.Parallel()
	for r, want := range map[rune]string{
		'’': "’ (U+2019, a curly apostrophe)", '\u00a0': "U+00A0 (a non-breaking space)", '\u200b': "U+200B (an invisible character)",
		'\u0301': "U+0301 (an accent written after its letter)", '₦': "₦ (U+20A6, the naira sign)", 'ẹ': "ẹ (U+1EB9, a Latin letter)",
		'ع': "ع (U+0639, an Arabic letter)", '٣': "٣ (U+0663, an Arabic digit)", '\x1b': "U+001B (a control character)", '`': "` (U+0060, a backtick)",
		'Ａ': "Ａ (U+FF21, another form of A)", '𝗦': "𝗦 (U+1D5E6, another form of S)", '\ufffd': "U+FFFD (an invalid character)",
		'☎': "☎ (U+260E, an emoji or symbol)", '🏾': "🏾 (U+1F3FE, an emoji or symbol)", '÷': "÷ (U+00F7, a character outside the SMS alphabet)",
	} {
		if got := sms.DescribeRune(r); got != want {
			t.Errorf("DescribeRune(%U) = %q; want %q", r, got, want)
		}
	}
}

func TestSegments_GatewayLimitsCountWhatIsPaidFor(t *testing.T) {
	t.Parallel()
	const kobo, textConnect, segments = 905, 459, 3
	for _, tt := range []struct {
		name, unit      string
		n               int
		chars, segments int
		fits            bool
	}{
		{"459 letters", "a", 459, textConnect, segments, true},
		{"460 letters", "a", 460, textConnect, segments, false},
		{"228 braces, a septet of each part lost", "{", 228, textConnect, segments, true},
		{"229 braces, and 458 septets", "{", 229, textConnect, segments, false},
		{"201 dotted letters", "ẹ", 201, textConnect, segments, true},
		{"202 dotted letters", "ẹ", 202, textConnect, segments, false},
		{"99 emoji, a unit of each part lost", "😀", 99, textConnect, segments, true},
		{"100 emoji", "😀", 100, textConnect, segments, false},
		{"905 letters", "a", 905, kobo, 0, true},
		{"906 letters", "a", 906, kobo, 0, false},
		{"452 euros", "€", 452, kobo, 0, true},
		{"453 euros", "€", 453, kobo, 0, false},
		{"905 dotted letters", "ẹ", 905, kobo, 0, true},
		{"453 emoji", "😀", 453, kobo, 0, false},
		{"no limit", "ẹ", 5000, 0, 0, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			l := sms.Measure(strings.Repeat(tt.unit, tt.n))
			if got := l.Fits(tt.chars, tt.segments); got != tt.fits {
				t.Errorf("%+v.Fits(%d, %d) = %v; want %v", l, tt.chars, tt.segments, got, tt.fits)
			}
		})
	}
}

func BenchmarkTransliterate(b *testing.B) {
	for _, bm := range []struct{ name, body string }{
		{"gsm7/160", strings.Repeat("Habari Jane, ", 13)[:160]},
		{"curly/160", strings.Repeat("It’s ", 32)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = sms.Transliterate(bm.body)
			}
		})
	}
}

func ExampleTransliterate() {
	body := "Don’t miss it – “Black Friday”: all for ₦5,000… Order before 6 pm and get it today."
	fmt.Println(sms.Segments(body))
	if why, ok := sms.ExplainUCS2(body); ok {
		fmt.Println(why)
	}
	plain, changed := sms.Transliterate(body)
	fmt.Println(plain, changed)
	fmt.Println(sms.Segments(plain))
	// Output:
	// 2 UCS-2
	// UCS-2 because of ’ (U+2019, a curly apostrophe) at character 4, and 5 more
	// Don't miss it - "Black Friday": all for NGN5,000... Order before 6 pm and get it today. 6
	// 1 GSM-7
}
