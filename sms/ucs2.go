package sms

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// UCS2Cause describes which characters make a body UCS-2, and how many segments this
// costs. Positions are counted in characters from 1.
type UCS2Cause struct {
	// First is the first character outside GSM-7, and At is its position.
	First rune
	At    int
	// Count is the number of characters outside GSM-7. Kinds is the number of different
	// characters among them. Characters is the number of all characters of the body.
	Count, Kinds, Characters int
	// The field "Segments" is the number of segments of the body. The field "Without" is the
	// number of segments that the body would have if each character outside GSM-7 were a
	// GSM-7 character of one septet.
	Segments, Without int
	// Transliterated is the number of segments after Transliterate, or 0 if Transliterate
	// would not change the body.
	Transliterated int
	// Untransliterable is the first character for which Transliterate has no GSM-7 form,
	// and UntransliterableAt is its position. Both are 0 if every character has such a
	// form.
	Untransliterable   rune
	UntransliterableAt int
}

// ExplainUCS2 finds the characters that make a body UCS-2. The result "ok" is false if
// the body is GSM-7.
func ExplainUCS2(body string) (c UCS2Cause, ok bool) {
	if EncodingOf(body) == GSM7 {
		return UCS2Cause{}, false
	}
	seen := map[rune]struct{}{}
	var plain strings.Builder
	for _, r := range body {
		c.Characters++
		if inGSM7(r) {
			plain.WriteRune(r)
			continue
		}
		plain.WriteByte('x')
		if c.Count++; c.Count == 1 {
			c.First, c.At = r, c.Characters
		}
		seen[r] = struct{}{}
		if _, has := gsm7Form(r); !has && c.Untransliterable == 0 {
			c.Untransliterable, c.UntransliterableAt = r, c.Characters
		}
	}
	c.Kinds = len(seen)
	c.Segments, _ = Segments(body)
	c.Without, _ = Segments(plain.String())
	if out, changed := Transliterate(body); changed > 0 {
		c.Transliterated, _ = Segments(out)
		c.Untransliterable, c.UntransliterableAt = 0, 0
	}
	return c, true
}

// Few reports whether the body takes more segments only because of a few characters
// outside GSM-7. "A few" means at most three characters, or at most a tenth of the
// body. If Few returns true, a program should warn the user.
func (c UCS2Cause) Few() bool {
	return c.Without < c.Segments && (c.Count <= 3 || c.Count*10 <= c.Characters)
}

// String describes the first character outside GSM-7, its position and the number of further
// characters outside GSM-7:
// "UCS-2 because of ’ (U+2019, a curly apostrophe) at character 12, and 2 more".
func (c UCS2Cause) String() string {
	s := fmt.Sprintf("UCS-2 because of %s at character %d", DescribeRune(c.First), c.At)
	if c.Count > 1 {
		s += fmt.Sprintf(", and %d more", c.Count-1)
	}
	return s
}

// DescribeRune returns a character with its code point and its name in words:
// "’ (U+2019, a curly apostrophe)". For a blank, invisible or combining character it
// returns only the code point and the name: "U+00A0 (a non-breaking space)".
func DescribeRune(r rune) string {
	name := runeName(r)
	if !unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.Is(unicode.M, r) || r == utf8.RuneError {
		return fmt.Sprintf("%U (%s)", r, name)
	}
	return fmt.Sprintf("%c (%U, %s)", r, r, name)
}

// runeName returns the name of a character with its article. For a character without a
// name it returns a description of the character's kind.
func runeName(r rune) string {
	if p, ok := plainForms[r]; ok {
		return p.name
	}
	plain, isPlain := gsm7Form(r)
	switch {
	case r == utf8.RuneError:
		return "an invalid character"
	case isPlain:
		return fmt.Sprintf("another form of %s", plain)
	case unicode.IsLetter(r):
		return scriptOf(r) + " letter"
	case unicode.Is(unicode.M, r):
		return "an accent written after its letter"
	case unicode.IsDigit(r):
		return scriptOf(r) + " digit"
	case unicode.Is(unicode.So, r), unicode.Is(unicode.Sk, r) && r > 0xFFFF, r > 0xFFFF:
		return "an emoji or symbol"
	case unicode.IsControl(r):
		return "a control character"
	}
	return "a character outside the SMS alphabet"
}

// scriptOf returns an article and the name of a writing system: "an Arabic".
func scriptOf(r rune) string {
	for name, table := range unicode.Scripts {
		if name == "Common" || name == "Inherited" || !unicode.Is(table, r) {
			continue
		}
		article := "a "
		if strings.ContainsRune("AEIOU", rune(name[0])) {
			article = "an "
		}
		return article + strings.ReplaceAll(name, "_", " ")
	}
	return "a"
}
