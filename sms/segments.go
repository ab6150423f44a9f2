package sms

import "unicode/utf8"

// Segments returns how many parts an SMS with this body is sent and billed as,
// and the alphabet it needs, exactly as 3GPP TS 23.038 and 23.040 have it: one
// part of 160 septets or 70 UTF-16 units, or parts of 153 or 67. Neither an
// escape pair (^{}\[~]|€ and form feed, two septets each) nor a surrogate pair
// is split between parts. A byte that is not UTF-8 counts as U+FFFD. An empty
// body has no segments.
func Segments(body string) (n int, enc Encoding) {
	l := Measure(body)
	return l.Segments, l.Encoding
}

// EncodingOf returns the alphabet the body needs. One character outside GSM-7
// makes the whole message UCS-2; an empty body is GSM-7.
func EncodingOf(body string) Encoding {
	_, _, enc := measure(body)
	return enc
}

// Units returns the length of the body as gateways count it: in septets if it
// is GSM-7, an escaped character counting two, else in UTF-16 code units.
func CodeUnits(body string) int {
	units, _, _ := measure(body)
	return units
}

// Length is how long a body is, as it is sent and paid for.
type Length struct {
	// Encoding is the alphabet, Units its septets or UTF-16 units, and Segments the
	// parts; see Units and Segments.
	Encoding Encoding
	Units    int
	Segments int
}

// Measure returns the encoding, units and segments of a body, in one pass.
func Measure(body string) Length {
	l := Length{}
	l.Units, l.Segments, l.Encoding = measure(body)
	if l.Units <= alphabets[l.Encoding].single {
		l.Segments = min(l.Units, 1)
	}
	return l
}

// Fits reports whether a gateway takes it that has these limits; 0 is no limit.
// Characters are units: an escaped character of GSM-7 counts two, and so does an
// emoji. Where a gateway's page says no more than "characters", that is the safe
// side.
func (l Length) Fits(maxChars, maxSegments int) bool {
	return (maxChars <= 0 || l.Units <= maxChars) && (maxSegments <= 0 || l.Segments <= maxSegments)
}

// Encoding is the alphabet an SMS is sent in.
type Encoding uint8

// The encodings.
const (
	// GSM7 is the GSM 7-bit default alphabet with its extension table.
	GSM7 Encoding = iota
	// UCS2 is UTF-16, for everything GSM7 cannot say.
	UCS2
)

// String returns "GSM-7" or "UCS-2".
func (e Encoding) String() string {
	if e == GSM7 {
		return "GSM-7"
	}
	return "UCS-2"
}

// alphabets holds how many septets or UTF-16 units a lone message has room for,
// and each part of a longer one, its header taken off.
var alphabets = [...]struct{ single, part int }{GSM7: {160, 153}, UCS2: {70, 67}}

// measure counts septets or UTF-16 units, and how many parts they fill if the
// message does not fit one.
func measure(body string) (units, parts int, enc Encoding) {
	if units, parts, ok := measureGSM7(body); ok {
		return units, parts, GSM7
	}
	units, parts = measureUCS2(body)
	return units, parts, UCS2
}

// measureGSM7 gives up at the first character outside the alphabet.
func measureGSM7(body string) (units, parts int, ok bool) {
	room := 0
	for i := 0; i < len(body); {
		var cost int
		if c := body[i]; c < utf8.RuneSelf {
			cost = int(asciiSeptets[c])
			i++
		} else {
			r, size := utf8.DecodeRuneInString(body[i:])
			cost = septets(r)
			i += size
		}
		if cost == 0 {
			return 0, 0, false
		}
		if units += cost; room < cost {
			parts++
			room = alphabets[GSM7].part
		}
		room -= cost
	}
	return units, parts, true
}

func measureUCS2(body string) (units, parts int) {
	room := 0
	for _, r := range body {
		cost := 1
		if r > 0xFFFF {
			cost = 2
		}
		if units += cost; room < cost {
			parts++
			room = alphabets[UCS2].part
		}
		room -= cost
	}
	return units, parts
}

// septets returns what a character beyond ASCII costs in GSM-7; 0 if it is not in it.
func septets(r rune) int {
	switch r {
	case '£', '¥', 'è', 'é', 'ù', 'ì', 'ò', 'Ç', 'Ø', 'ø', 'Å', 'å',
		'Δ', 'Φ', 'Γ', 'Λ', 'Ω', 'Π', 'Ψ', 'Σ', 'Θ', 'Ξ', 'Æ', 'æ', 'ß', 'É',
		'¤', '¡', 'Ä', 'Ö', 'Ñ', 'Ü', '§', '¿', 'ä', 'ö', 'ñ', 'ü', 'à':
		return 1
	case '€':
		return 2
	}
	return 0
}

// asciiSeptets is the same for ASCII: all that can be printed but the backtick,
// and line feed, carriage return and form feed.
var asciiSeptets = func() (cost [utf8.RuneSelf]uint8) {
	for c := ' '; c <= '~'; c++ {
		cost[c] = 1
	}
	for _, c := range "^{}\\[~]|\f" {
		cost[c] = 2
	}
	cost['\n'], cost['\r'], cost['`'] = 1, 1, 0
	return cost
}()
