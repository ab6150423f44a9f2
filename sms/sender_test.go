package sms_test

import (
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/sms"
)

func TestValidateSender(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, sender        string
		alphaMax, digitsMax int
		want                string
	}{
		{"a name", "ACME", 11, 16, ""},
		{"a name of exactly the limit", "ConectMedia", 11, 16, ""},
		{"a name that begins with digits", "254sms", 11, 16, ""},
		{"every punctuation mark", "A&B_C-D.E F", 11, 16, ""},
		{"a number", "12345678901234", 11, 16, ""},
		{"a number of exactly the limit", "1234567890123456", 11, 16, ""},
		{"a short code", "22345", 11, 16, ""},
		{"the plus does not count", "+1234567890123456", 11, 16, ""},
		{"no published limit", "ACMECOMPANYLTD16", 0, 0, ""},
		{"a limit above the usual", "ACMECOMPANYLIMITED", 20, 0, ""},

		{"empty", "", 11, 16, "sender is empty: use a registered name or a number"},
		{"too long", "ACMECOMPANYLTD", 11, 16, `sender "ACMECOMPANYLTD" has 14 characters, the gateway takes at most 11`},
		{"too many digits", "12345678901234567", 11, 16, `sender 1234****4567 has 17 digits, the gateway takes at most 16`},
		{"digits have their own limit", "254712345678", 16, 11, `sender 2547****5678 has 12 digits, the gateway takes at most 11`},
		{"no published limit, still too long", "ACMECOMPANYLTD-17", 0, 0,
			`sender "ACMECOMPANYLTD-17" has 17 characters, no gateway takes more than 16`},
		{"no published limit, still too many digits", "12345678901234567", 0, 0,
			`sender 1234****4567 has 17 digits, no gateway takes more than 16`},
		{"not ASCII", "ACMÉ", 11, 16, `sender "ACMÉ" has the character 'É': use letters A to Z, digits, space and . - _ &`},
		{"not printable", "AC\nME", 11, 16, `sender "AC\nME" has the character '\n': use letters A to Z, digits, space and . - _ &`},
		{"an escaped character", "[ACME]", 11, 16, `sender "[ACME]" has the character '[': use letters A to Z, digits, space and . - _ &`},
		{"not UTF-8", "AC\xff", 11, 16, `sender "AC\xff" has the character '` + "\uFFFD" + `': use letters A to Z, digits, space and . - _ &`},
		{"a plus and letters", "+ACME", 11, 16, `sender "+ACME" has the character '+': use letters A to Z, digits, space and . - _ &`},
		{"a plus alone", "+", 11, 16, `sender "+" has the character '+': use letters A to Z, digits, space and . - _ &`},
		{"a leading space", " ACME", 11, 16, `sender " ACME" begins or ends with a space: remove it`},
		{"a trailing space", "ACME ", 11, 16, `sender "ACME " begins or ends with a space: remove it`},
		{"a space alone", " ", 11, 16, `sender " " begins or ends with a space: remove it`},
		{"neither name nor number", "254-712", 11, 16, `sender "254-712" must be a name with at least one letter, or a number of digits only`},
		{"a body in the wrong place", strings.Repeat("Hello ", 1000) + "x", 11, 16,
			`sender "Hello Hello Hello Hello Hello He" has 6001 characters, the gateway takes at most 11`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := ""
			if err := sms.ValidateSender(tt.sender, tt.alphaMax, tt.digitsMax); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("ValidateSender(%q, %d, %d) = %q; want %q", tt.sender, tt.alphaMax, tt.digitsMax, got, tt.want)
			}
		})
	}
}
