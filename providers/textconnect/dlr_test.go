package textconnect

import (
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/providers"
)

func TestParseCredits_Amounts(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]float64{
		"1234": 1234, "0": 0, " 12.50\r\n": 12.5, "1,234.5": 1234.5, "7\nYour credits": 7, "\n 3": 3,
	} {
		if got, ok := parseCredits([]byte(body)); !ok || got != want {
			t.Errorf("%q: got %v %v, want the credits of the case and true", body, got, ok)
		}
	}
	for _, body := range []string{"", "\n", "-1", "-0", "-501", "-0.5", "1,23", "1e5", "inf", "7 credits", "credits\n7", "<html>", "£7", "[7]"} {
		if got, ok := parseCredits([]byte(body)); ok || got != 0 {
			t.Errorf("%q: got %v, want no credits", body, got)
		}
	}
}

func TestParseState_Words(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]providers.MessageStatus{
		"Sent": {State: "Sent"}, "PENDING": {State: "PENDING"}, "delivered": {State: "delivered", Final: true, Delivered: true},
		"Failed": {State: "Failed", Final: true}, "Command_Rejected": {State: "Command_Rejected", Final: true},
	} {
		if got, ok := parseState(word); !ok || got != want {
			t.Errorf("%q: got %+v %v, want the status of the case and true", word, got, ok)
		}
	}
	for _, word := range []string{"", " Sent", "Sent ", "Sent!", "undelivered", "Delivered 1", "1", "-503", "<html>"} {
		if got, ok := parseState(word); ok || got != (providers.MessageStatus{}) {
			t.Errorf("%q: got %+v, want no status", word, got)
		}
	}
}

// FuzzParseCredits checks that parseCredits accepts only a line of digits, commas and points.
func FuzzParseCredits(f *testing.F) {
	for _, seed := range []string{"1234", " 12.50\n", "1,234.5", "-501\nUnknown Username/Password", ""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		credits, ok := parseCredits(body)
		line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
		line = strings.TrimSpace(line)
		if ok && (credits < 0 || line == "" || strings.Trim(line, "0123456789.,") != "") || !ok && credits != 0 {
			t.Fatalf("%q: got the credits %v and ok %v, want a number from the body, or 0 and false", body, credits, ok)
		}
		if digits := line != "" && strings.Trim(line, "0123456789") == ""; digits && len(line) < 300 && !ok {
			t.Fatalf("%q: not understood, want a number", body)
		}
	})
}

// FuzzParseState checks that a known word becomes the state, and that only the word "delivered" sets
// Delivered. For an unknown word in a row, the state must be short and not final.
func FuzzParseState(f *testing.F) {
	for _, seed := range []string{"Sent", "DELIVERED", "undeliverable", "Command_Failed", "-503", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, word string) {
		report, ok := parseState(word)
		if !ok {
			if report != (providers.MessageStatus{}) {
				t.Fatalf("%q: not understood, but got %+v, want an empty status", word, report)
			}
		} else if report.State != word || report.Delivered != strings.EqualFold(word, "delivered") || report.Delivered && !report.Final {
			t.Fatalf("%q: got %+v, want the word as state, and delivered only for that word", word, report)
		}
		row := rowState(word)
		if len(row.State) > 64 || !ok && (row.Final || row.Delivered) {
			t.Fatalf("%q in a list: got %+v, want a short state that is not final if it is unknown", word, row)
		}
	})
}
