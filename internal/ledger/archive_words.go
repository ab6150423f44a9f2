package ledger

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// archiveWords are texts that the JSON of most specs and snapshots contains. An archive holds one byte instead
// of each such text: firstWord plus the position of the text. Positions never change; add words at the end. If
// several words fit, packText takes the longest.
var archiveWords = []string{
	`{"v":"`, `","b":"","c":"t"`, `","f":"`, `,"cc":"`, `,"d":{"c":"`, `"},"sm":true,"pb":true,"pd":1}`, `","sm":true,"pb":true,"pd":1}`,
	`,"sm":true,"pb":true,"pd":1}`, `"},"sm":true,"rf":"`, `","pb":true,"pd":1}`, `"},"sm":true`, `,"sm":true`, `,"rf":"`, `,"pb":true`, `,"pd":`, `,"ev":true`,
	`,"tp":"00-`, `,"by":"`, `,"xi":`, `,"x":"`, `,"s":"`, `,"si":`, `,"u":"resend"`, `,"u":"keep"`, `,"tl":true`, `,"fl":true`, `{"f":"`, `{"b":"","c":"t"`, `{"cc":"`,
	`","a":[{"n":"`, `{"a":[{"n":"`, `","m":`, `,"b":`, `}]}`, `},{"n":"`, `}],"r":[{"match":"`, `","via":["`, `"]},{"match":"`, `"]}]}`, `,"r":true`, `,"h":true`,
	`","`, `":"`, `":`, `,"`, `"}`, `000000`, `000`, `KE`, `NG`, `UG`, `TZ`, `RW`, `254`, `256`, `255`, `234`, `+`, `@`, `main`, `api`, `{"b":""`, `","b":""`, `"},"sm":true,"pb":true,"pd":`,
}

// The bytes of a shortened text in an archive. A byte up to 127 is a byte of the text. From firstWord on, a byte
// stands for one of archiveWords. nameWord plus n stands for the n-th of the names that the text is likely to
// contain. plainByte is followed by a byte that is copied unchanged.
const (
	firstWord = 0x80
	nameWord  = 0xf0
	plainByte = 0xff
)

// packText shortens a text. names are at most eight texts that the text is likely to contain.
func packText(text string, names ...string) []byte {
	out := make([]byte, 0, len(text)/4+4)
	for text != "" {
		code, length := byte(0), 0
		for i, list := range [][]string{archiveWords, names} {
			for n, word := range list {
				if len(word) > length && strings.HasPrefix(text, word) {
					code, length = []byte{firstWord, nameWord}[i]+byte(n), len(word)
				}
			}
		}
		switch {
		case length > 0:
			out = append(out, code)
		case text[0] >= firstWord:
			out, length = append(out, plainByte, text[0]), 1
		default:
			out, length = append(out, text[0]), 1
		}
		text = text[length:]
	}
	return out
}

// unpackText returns the text that packText has shortened. ok is false if packText cannot have returned b.
func unpackText(b []byte, names ...string) (text string, ok bool) {
	var out strings.Builder
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c < firstWord:
			out.WriteByte(c)
		case c == plainByte:
			if i++; i == len(b) {
				return "", false
			}
			out.WriteByte(b[i])
		case c >= nameWord && int(c-nameWord) < len(names):
			out.WriteString(names[c-nameWord]) //nolint:gosec // the case checks the index
		case c < nameWord && int(c-firstWord) < len(archiveWords):
			out.WriteString(archiveWords[c-firstWord])
		default:
			return "", false
		}
	}
	return out.String(), true
}

// longestPart is the maximum number of digits after the point of a cost that packCost shortens.
const longestPart = 6

// packCost removes the cost and the currency from the end of the detail of a record, and encodes both in fewer bytes.
// The result "before" is the detail without these two fields. The result "cost" is nil if the detail does not end with
// a cost and a currency, or if readCost would not return the same bytes.
func packCost(detail string) (before string, cost []byte) {
	end := len(detail) - 5
	if end < 0 || detail[end] != tagCurrency || detail[end+1] != 3 {
		return detail, nil
	}
	currency := 0
	for _, c := range []byte(detail[end+2:]) {
		currency = currency*256 + int(c)
	}
	for size := 3; size <= maxWhole+1+longestPart && end-2-size >= 0; size++ {
		at := end - 2 - size
		if detail[at] != tagCost || int(detail[at+1]) != size {
			continue
		}
		whole, part, _ := strings.Cut(detail[at+2:end], ".")
		n, err := strconv.ParseUint(whole+part, 10, 63)
		if err != nil {
			return detail, nil
		}
		cost = binary.AppendUvarint([]byte{byte(len(part))}, n)
		cost = append(cost, byte(currency>>16), byte(currency>>8), byte(currency))
		if readCost(&reader{b: cost}) != detail[at:] {
			return detail, nil
		}
		return detail[:at], cost
	}
	return detail, nil
}

// readCost reads a cost that packCost has shortened. It returns the cost in the form in which a record holds it.
func readCost(r *reader) string {
	part, digits, currency := r.length(), strconv.FormatUint(r.uvarint(), 10), r.bytes(3)
	if r.bad || part < 1 || part > longestPart {
		r.bad = true
		return ""
	}
	digits = strings.Repeat("0", max(0, part+1-len(digits))) + digits
	point := len(digits) - part
	text := digits[:point] + "." + digits[point:]
	return string([]byte{tagCost, byte(len(text))}) + text + string([]byte{tagCurrency, byte(len(currency))}) + string(currency)
}
