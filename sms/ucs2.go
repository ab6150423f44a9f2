package sms

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Cause is why a body is UCS-2, and what that costs.
type UCS2Cause struct {
	// First is the first character outside GSM-7; At is where it stands, in
	// characters from 1.
	First rune
	At    int
	// Count is how many characters are outside GSM-7, of Characters in all; Kinds is
	// how many different ones.
	Count, Kinds, Characters int
	// Segments is what the body takes. Without is what it would take if each of those
	// characters were one of GSM-7.
	Segments, Without int
	// Transliterated is what it takes after Transliterate; 0 if that cannot help.
	Transliterated int
	// Keeps is the first character that Transliterate has no other form for, and
	// KeepsAt where it stands; 0 if there is none.
	Untransliterable   rune
	UntransliterableAt int
}

// Why says what makes a body UCS-2; ok is false if nothing does.
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

// Few reports whether a few characters only, a tenth or less of all or no more than
// three, make the body take more segments than it would without them: then a person
// should be told.
func (c UCS2Cause) Few() bool {
	return c.Without < c.Segments && (c.Count <= 3 || c.Count*10 <= c.Characters)
}

// String names the first of the characters, where it is, and how many more there
// are: "UCS-2 because of ’ (U+2019, a curly apostrophe) at character 12, and 2 more".
func (c UCS2Cause) String() string {
	s := fmt.Sprintf("UCS-2 because of %s at character %d", DescribeRune(c.First), c.At)
	if c.Count > 1 {
		s += fmt.Sprintf(", and %d more", c.Count-1)
	}
	return s
}

// DescribeRune shows a character with its code point and what it is, in words:
// "’ (U+2019, a curly apostrophe)". One that cannot be seen is not shown.
func DescribeRune(r rune) string {
	name := runeName(r)
	if !unicode.IsGraphic(r) || unicode.IsSpace(r) || unicode.Is(unicode.M, r) || r == utf8.RuneError {
		return fmt.Sprintf("%U (%s)", r, name)
	}
	return fmt.Sprintf("%c (%U, %s)", r, r, name)
}

func runeName(r rune) string {
	if p, ok := plainForms[r]; ok {
		return p.name
	}
	plain, isPlain := gsm7Form(r)
	switch {
	case r == utf8.RuneError:
		return "a character that could not be read"
	case isPlain:
		return fmt.Sprintf("another form of %s", plain)
	case unicode.IsLetter(r):
		return scriptOf(r) + " letter"
	case unicode.Is(unicode.M, r):
		return "an accent that stands behind its letter"
	case unicode.IsDigit(r):
		return scriptOf(r) + " digit"
	case unicode.Is(unicode.So, r), unicode.Is(unicode.Sk, r) && r > 0xFFFF, r > 0xFFFF:
		return "an emoji or symbol"
	case unicode.IsControl(r):
		return "a control character"
	}
	return "a sign that is not in the SMS alphabet"
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
