package sms

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Transliterate converts the body to GSM-7 if every character outside GSM-7 has another form with
// the same meaning. Examples are straight quotes for curly ones, hyphens for dashes, "..." for an
// ellipsis, plain spaces, "NGN" for ₦, and one accented character for a letter that is followed
// by an accent. The result "changed" is the number of characters that Transliterate replaced or
// removed.
//
// It returns the unchanged body and 0 in three cases: a character outside GSM-7 has no such form,
// the result would take more segments, or the result would be blank. Letters of other scripts,
// accents that GSM-7 lacks and emoji have no such form. Transliterate never replaces only some of
// the characters, because one remaining character outside GSM-7 makes the whole message UCS-2.
func Transliterate(body string) (out string, changed int) {
	if EncodingOf(body) == GSM7 {
		return body, 0
	}
	var b strings.Builder
	b.Grow(len(body))
	for i := 0; i < len(body); {
		r, size := utf8.DecodeRuneInString(body[i:])
		i += size
		if mark, n := utf8.DecodeRuneInString(body[i:]); n > 0 {
			if whole := composed(r, mark); whole != 0 {
				b.WriteRune(whole)
				i += n
				changed++
				continue
			}
		}
		if inGSM7(r) {
			b.WriteRune(r)
			continue
		}
		plain, ok := gsm7Form(r)
		if !ok || size == 1 && r == utf8.RuneError {
			return body, 0
		}
		b.WriteString(plain)
		changed++
	}
	before, _ := Segments(body)
	if after, _ := Segments(b.String()); after > before || strings.TrimSpace(b.String()) == "" {
		return body, 0 // a body that has only invisible characters must not become empty
	}
	return b.String(), changed
}

// inGSM7 reports whether GSM-7 contains r.
func inGSM7(r rune) bool {
	if r >= 0 && r < utf8.RuneSelf {
		return asciiSeptets[r] > 0
	}
	return septets(r) > 0
}

// gsm7Form returns the form of r in GSM-7 with the same meaning, and whether such a form
// exists. The form is empty for an invisible character.
func gsm7Form(r rune) (string, bool) {
	switch {
	case r >= 0xFF01 && r <= 0xFF5E: // full-width ASCII
		r -= 0xFF01 - '!'
		if inGSM7(r) {
			return string(r), true
		}
	case r >= 0x1D400 && r < 0x1D6A4 && unicode.IsLetter(r): // mathematical alphabets (bold, italic …) of 52 letters each
		n := (r - 0x1D400) % 52
		if n >= 26 {
			n += 'a' - 'A' - 26
		}
		return string('A' + n), true
	case r >= 0x1D7CE && r <= 0x1D7FF: // bold and other digits
		return string('0' + (r-0x1D7CE)%10), true
	}
	p, ok := plainForms[r]
	return p.text, ok
}

// The function "composed" returns the GSM-7 character for a letter followed by a combining accent,
// or 0 if GSM-7 has no such character. Some keyboards and file systems write an accented letter as
// these two characters.
func composed(letter, accent rune) rune {
	var letters, whole string
	switch accent {
	case '\u0300':
		letters, whole = "aeiou", "àèìòù"
	case '\u0301':
		letters, whole = "eE", "éÉ"
	case '\u0303':
		letters, whole = "nN", "ñÑ"
	case '\u0308':
		letters, whole = "aouAOU", "äöüÄÖÜ"
	case '\u030A':
		letters, whole = "aA", "åÅ"
	case '\u0327':
		letters, whole = "C", "Ç"
	default:
		return 0
	}
	i := strings.IndexRune(letters, letter)
	if i < 0 {
		return 0
	}
	return []rune(whole)[i]
}

// plainForm describes a character that GSM-7 lacks. The field "text" replaces the character. The
// field "name" names the character in messages to the user, such as "an em dash".
type plainForm struct{ text, name string }

const (
	invisible = "an invisible character"
	direction = "an invisible mark of the writing direction"
	exotic    = "a space of unusual width"
	hardSpace = "a non-breaking space"
	bullet    = "a bullet"
)

// plainForms holds the characters outside GSM-7 that have a GSM-7 form. gsm7Form also handles
// full-width and mathematical characters.
var plainForms = map[rune]plainForm{
	'`': {"'", "a backtick"}, '´': {"'", "an accent without a letter"},
	'‘': {"'", "a curly quote"}, '’': {"'", "a curly apostrophe"}, '‚': {"'", "a low quote"}, '‛': {"'", "a reversed quote"},
	'‹': {"'", "an angle quote"}, '›': {"'", "an angle quote"}, 'ʼ': {"'", "a phonetic apostrophe"},
	'ʻ': {"'", "a turned apostrophe"}, '′': {"'", "a prime"}, '‵': {"'", "a reversed prime"},
	'“': {`"`, "a curly quote"}, '”': {`"`, "a curly quote"}, '„': {`"`, "a low quote"}, '‟': {`"`, "a reversed quote"},
	'«': {`"`, "an angle quote"}, '»': {`"`, "an angle quote"}, '″': {`"`, "a double prime"},

	'‐': {"-", "a typographic hyphen"}, '‑': {"-", "a non-breaking hyphen"}, '‒': {"-", "a figure dash"}, '–': {"-", "an en dash"},
	'—': {"-", "an em dash"}, '―': {"-", "a horizontal bar"}, '−': {"-", "a minus sign"}, '⁃': {"-", "a hyphen bullet"},
	'﹘': {"-", "a small em dash"}, '﹣': {"-", "a small hyphen"},

	'…': {"...", "an ellipsis"}, '‥': {"..", "two dots in one"}, '‼': {"!!", "a double exclamation mark"}, '⁄': {"/", "a fraction slash"},
	'∕': {"/", "a division slash"}, '∗': {"*", "a mathematical asterisk"}, '×': {"x", "a multiplication sign"},
	'±': {"+/-", "a plus-minus sign"}, '≤': {"<=", "a less-or-equal sign"}, '≥': {">=", "a greater-or-equal sign"},
	'→': {"->", "an arrow"}, '←': {"<-", "an arrow"}, '¦': {"|", "a broken bar"},
	'•': {"*", bullet}, '‣': {"*", bullet}, '◦': {"*", bullet}, '▪': {"*", bullet}, '●': {"*", bullet}, '∙': {"*", bullet},
	'™': {"(TM)", "a trademark sign"}, '®': {"(R)", "a registered sign"}, '©': {"(C)", "a copyright sign"}, '№': {"No.", "a numero sign"},
	'ﬀ': {"ff", "a ligature"}, 'ﬁ': {"fi", "a ligature"}, 'ﬂ': {"fl", "a ligature"}, 'ﬃ': {"ffi", "a ligature"}, 'ﬄ': {"ffl", "a ligature"},

	'₦': {"NGN", "the naira sign"}, '₵': {"GHS", "the cedi sign"}, '₹': {"INR", "the rupee sign"}, '₺': {"TRY", "the lira sign"},
	'₽': {"RUB", "the rouble sign"}, '₴': {"UAH", "the hryvnia sign"}, '₫': {"VND", "the dong sign"}, '₱': {"PHP", "the peso sign"},

	'\t': {" ", "a tab"}, '\v': {"\n", "a vertical tab"}, '\u0085': {"\n", "a next-line character"},
	'\u2028': {"\n", "a line separator"}, '\u2029': {"\n", "a paragraph separator"},
	'\u00a0': {" ", hardSpace}, '\u202f': {" ", hardSpace}, '\u2007': {" ", hardSpace}, '\u2000': {" ", exotic}, '\u2001': {" ", exotic},
	'\u2002': {" ", exotic}, '\u2003': {" ", exotic}, '\u2004': {" ", exotic}, '\u2005': {" ", exotic}, '\u2006': {" ", exotic},
	'\u2008': {" ", exotic}, '\u2009': {" ", exotic}, '\u200a': {" ", exotic}, '\u205f': {" ", exotic}, '\u3000': {" ", exotic},

	'\u00ad': {"", "a soft hyphen"}, '\u200b': {"", invisible}, '\u2060': {"", invisible}, '\ufeff': {"", "a byte order mark"},
	// These characters join or separate emoji and letters of other scripts. GSM-7 has no
	// such letters and no emoji, so next to GSM-7 characters they have no meaning.
	'\u200c': {"", invisible}, '\u200d': {"", invisible}, '\ufe0e': {"", invisible}, '\ufe0f': {"", invisible},
	'\u200e': {"", direction}, '\u200f': {"", direction}, '\u061c': {"", direction}, '\u202a': {"", direction}, '\u202b': {"", direction},
	'\u202c': {"", direction}, '\u202d': {"", direction}, '\u202e': {"", direction}, '\u2066': {"", direction}, '\u2067': {"", direction},
	'\u2068': {"", direction}, '\u2069': {"", direction},
}
