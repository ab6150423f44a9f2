package inbox

import (
	"strings"
	"unicode"
)

// The values of Message.Word.
const (
	// Stop marks an opt-out word.
	Stop = "stop"
	// Start marks an opt-in word.
	Start = "start"
)

// Words has the words with which subscribers opt out and opt in.
type Words struct {
	// Stop has the opt-out words. Start has the opt-in words. Upper and lower case do not matter.
	Stop, Start []string
}

// DefaultWords returns the words that apply if the configuration has no words.
func DefaultWords() Words {
	return Words{
		Stop:  []string{"STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "CANCEL", "OPTOUT", "ACHA", "SITISHA"},
		Start: []string{"START", "UNSTOP", "ANZA"},
	}
}

// Of compares a whole text with the words. It returns Stop for an opt-out word, Start for an opt-in
// word, and "" for any other text. Case does not matter, nor do white space and punctuation around
// the word.
func (w Words) Of(text string) string {
	word := Bare(text)
	if word == "" {
		return ""
	}
	for _, s := range w.Stop {
		if Bare(s) == word {
			return Stop
		}
	}
	for _, s := range w.Start {
		if Bare(s) == word {
			return Start
		}
	}
	return ""
}

// Bare returns a text in the form in which words are compared. This form is in upper case, with
// single spaces, and without white space and punctuation around it.
func Bare(text string) string {
	text = strings.TrimFunc(text, func(r rune) bool {
		return unicode.IsSpace(r) || unicode.IsPunct(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r)
	})
	return strings.ToUpper(strings.Join(strings.Fields(text), " "))
}
