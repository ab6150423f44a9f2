package sms_test

import (
	"slices"
	"testing"

	"github.com/tuma-sms/tuma/sms"
)

func TestPlaceholders(t *testing.T) {
	t.Parallel()
	columns := []string{"name", "firstname", "balance"}
	isColumn := func(key string) bool { return slices.Contains(columns, key) }
	for _, tt := range []struct {
		name, body string
		want       []string
	}{
		{"one brace", "Hi {name}, pay", []string{"{name}"}},
		{"square brackets", "Hi [First Name]", []string{"[First Name]"}},
		{"two brackets", "Hi ((name)) and [[name]]", []string{"((name))", "[[name]]"}},
		{"percent signs", "Hi %name%", []string{"%name%"}},
		{"angle brackets", "Hi <name> and <<FIRST_NAME>>", []string{"<name>", "<<FIRST_NAME>>"}},
		{"dollar", "Hi ${name}", []string{"${name}"}},
		{"mail merge of a word processor", "Hi «name»", []string{"«name»"}},
		{"number signs", "Hi #name#", []string{"#name#"}},
		{"spaces inside", "Hi { Name }", []string{"{ Name }"}},
		{"each once, in order", "[balance] {name} [balance]", []string{"[balance]", "{name}"}},
		{"beside a merge field", "{{name}} owes {balance}", []string{"{balance}"}},
		{"no such column", "Hi {town}, [STOP], 5% of 10%", nil},
		{"a merge field", "Hi {{name}}, {{ name | [name] }}", nil},
		{"a word in brackets", "Write your (name) on it", nil},
		{"percent as a sign", "5% name 10%", nil},
		{"not closed", "Hi {name", nil},
		{"over two lines", "Hi {na\nme}", nil},
		{"empty", "", nil},
		{"an opening brace that is not closed", "{{name", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := sms.Placeholders(tt.body, isColumn); !slices.Equal(got, tt.want) {
				t.Errorf("Placeholders(%q) = %q; want %q", tt.body, got, tt.want)
			}
		})
	}
}

// A merge field in brackets must not count as a placeholder of another system.
func TestPlaceholders_MergeFieldInBrackets(t *testing.T) {
	t.Parallel()
	isColumn := func(key string) bool { return key == "name" }
	for _, body := range []string{"[{{name}}]", "<{{name|you}}>", "%{{ name }}%", "(({{name:upper}}))"} {
		if got := sms.Placeholders(body, isColumn); len(got) > 0 {
			t.Errorf("Placeholders(%q) = %q, want none", body, got)
		}
	}
}
