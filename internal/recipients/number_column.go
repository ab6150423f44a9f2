package recipients

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/tuma-sms/tuma/sms"
)

// numberColumns are the names of the number column that contain none of the phoneWords. Each name
// has the form that sms.FieldKey returns.
var numberColumns = []string{"number", "to", "recipient", "recipientnumber"}

// NumberColumns lists the usual names of the number column, for error messages.
const NumberColumns = "msisdn, phone, number, mobile, to or recipient"

// phoneWords are the words for a telephone or for a telephone number in English, Swahili, French
// and Portuguese, without accents.
var phoneWords = []string{
	"msisdn", "phone", "mobile", "tel", "telephone", "cell", "cellphone", "gsm", "whatsapp", "simu", "rununu", "telefone", "portable",
}

// numberWords are the words that people add to one of the phoneWords.
var numberWords = []string{"number", "numbers", "no", "nos", "num", "nr", "nbr", "nambari", "namba", "numero", "ya", "de"}

// isNumberColumn reports whether a header cell names a column of phone numbers. It ignores the
// numberWords and the digits in the cell. The last remaining word must be one of the phoneWords.
// Examples are "Customer Phone", "Mobile No.", "phone_number", "PhoneNo", "Simu 2" and "Nambari ya
// simu". "Phone model" and "Account number" are other columns.
func isNumberColumn(cell string) bool {
	if slices.Contains(numberColumns, sms.FieldKey(cell)) {
		return true
	}
	words := wordsOf(cell)
	for len(words) > 0 && slices.Contains(numberWords, words[len(words)-1]) {
		words = words[:len(words)-1]
	}
	if len(words) == 0 {
		return false
	}
	last := words[len(words)-1]
	if len(words) > 1 && slices.Contains(phoneWords, words[len(words)-2]+last) {
		return true // WhatsApp
	}
	if slices.Contains(phoneWords, last) {
		return true
	}
	for _, w := range [...]string{"numbers", "number", "no", "num", "nr"} {
		if word, ok := strings.CutSuffix(last, w); ok && slices.Contains(phoneWords, word) {
			return true // one word: phonenumber, mobileno
		}
	}
	return false
}

// wordsOf splits a header cell into its words, in lower case and without accents. A word ends at a
// character that is not a letter. It also ends before a capital letter that follows a small
// letter.
func wordsOf(cell string) (words []string) {
	var word strings.Builder
	end := func() {
		if word.Len() > 0 {
			words = append(words, word.String())
			word.Reset()
		}
	}
	small := false
	for _, r := range norm.NFD.String(cell) {
		switch {
		case unicode.Is(unicode.Mn, r):
			continue // drop the accent
		case !unicode.IsLetter(r):
			end()
		default:
			if unicode.IsUpper(r) && small {
				end()
			}
			word.WriteRune(unicode.ToLower(r))
		}
		small = unicode.IsLower(r)
	}
	end()
	return words
}
