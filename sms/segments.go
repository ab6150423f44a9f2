package sms

import "unicode/utf8"

// Segments returns the number of segments in which an SMS with this body is sent and
// billed. It also returns the encoding.
//
// It follows 3GPP TS 23.038 and 23.040. A single segment holds 160 septets in GSM-7 or
// 70 UTF-16 code units in UCS-2. A longer message has segments of 153 septets or 67 code
// units, because each segment needs a header. Some characters take two septets
// (^{}\[~]|€ and form feed) or two code units (such as emoji). Such a character is not
// split between segments. A byte that is not valid UTF-8 counts as U+FFFD. An empty body
// has 0 segments.
func Segments(body string) (n int, enc Encoding) {
	l := Measure(body)
	return l.Segments, l.Encoding
}

// EncodingOf returns the encoding that the body needs. One character outside GSM-7
// makes the whole message UCS-2. An empty body is GSM-7.
func EncodingOf(body string) Encoding {
	_, _, enc := measure(body)
	return enc
}

// CodeUnits returns the length of the body as gateways count it. In GSM-7 that is the
// number of septets, and a character of the extension table counts as two. In UCS-2 it
// is the number of UTF-16 code units.
func CodeUnits(body string) int {
	units, _, _ := measure(body)
	return units
}

// Length holds the lengths of a body that matter for the limits and the bill of a gateway.
type Length struct {
	// Encoding is the encoding that the body needs. It is the result of EncodingOf.
	Encoding Encoding
	// Units is the number of septets or UTF-16 code units. It is the result of CodeUnits.
	Units int
	// Segments is the number of segments. It is the result of the function Segments.
	Segments int
}

// Measure returns the encoding, code units and segments of a body. It is cheaper than
// calling EncodingOf, CodeUnits and Segments.
func Measure(body string) Length {
	l := Length{}
	l.Units, l.Segments, l.Encoding = measure(body)
	if l.Units <= alphabets[l.Encoding].single {
		l.Segments = min(l.Units, 1)
	}
	return l
}

// Fits reports whether the body is within a gateway's limits. A limit of 0 or less means
// no limit. Fits compares maxChars with Units, so a character of GSM-7's extension table
// and an emoji count as two. If a gateway's documentation only mentions "characters",
// the gateway may count such a character as one. In that case two is the safe choice.
func (l Length) Fits(maxChars, maxSegments int) bool {
	return (maxChars <= 0 || l.Units <= maxChars) && (maxSegments <= 0 || l.Segments <= maxSegments)
}

// Encoding is the character encoding of an SMS.
type Encoding uint8

// The encodings.
const (
	// GSM7 is the GSM 7-bit default alphabet with its extension table.
	GSM7 Encoding = iota
	// UCS2 is UTF-16, which can encode every character.
	UCS2
)

// String returns "GSM-7" or "UCS-2".
func (e Encoding) String() string {
	if e == GSM7 {
		return "GSM-7"
	}
	return "UCS-2"
}

// alphabets has the number of septets or UTF-16 code units that fit into one segment. The field
// "single" is for a message of one segment. The field "part" is for each segment of a longer message,
// without its header.
var alphabets = [...]struct{ single, part int }{GSM7: {160, 153}, UCS2: {70, 67}}

// measure returns the encoding and the number of septets or UTF-16 code units. The result
// "parts" is the number of segments of a message that does not fit into one segment.
func measure(body string) (units, parts int, enc Encoding) {
	if units, parts, ok := measureGSM7(body); ok {
		return units, parts, GSM7
	}
	units, parts = measureUCS2(body)
	return units, parts, UCS2
}

// measureGSM7 is the part of the function "measure" for a body in GSM-7. The result "ok" is
// false if the body has a character outside GSM-7.
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

// measureUCS2 is the part of the function "measure" for a body in UCS-2.
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

// septets returns the number of septets of a non-ASCII character, or 0 if GSM-7 does not
// contain the character.
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

// asciiSeptets holds the number of septets of each ASCII character, or 0 if GSM-7 does
// not contain the character. GSM-7 contains line feed, carriage return, form feed and
// every printable ASCII character except the backtick.
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
