package ledger

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// structWords returns the names of a record's fields in capitals, as prelude.lua writes positions.
func structWords(record any) (out []string) {
	for f := range reflect.TypeOf(record).Fields() {
		out = append(out, strings.ToUpper(f.Name))
	}
	return out
}

func TestGenerationHasThePositionsOfThePrelude(t *testing.T) {
	t.Parallel()
	prelude := mustSource("prelude")
	for first, c := range map[string]struct {
		record any
		from   string // the name of the first position in prelude.lua
		rest   string
		prefix string
		at     int
	}{
		"open":    {generationRecord{}, "STATE", `local (STATE[A-Z_, ]+) = ([\d, ]+)\n`, "", 1},
		"settled": {settledRecord{}, "T_UUID", `local (T_UUID[A-Z_, ]+) = ([\d, ]+)\n`, "T_", 2},
	} {
		m := regexp.MustCompile(c.rest).FindStringSubmatch(prelude)
		if m == nil {
			t.Fatalf("%s: no positions in prelude.lua", first)
		}
		names, numbers := strings.Split(m[1], ", "), strings.Split(m[2], ", ")
		var want, at []string
		for i, n := range structWords(c.record) {
			want, at = append(want, c.prefix+n), append(at, itoa(c.at+i))
		}
		if !slices.Equal(names, want) || !slices.Equal(numbers, at) {
			t.Errorf("%s: prelude.lua has %v = %v, want %v = %v", first, names, numbers, want, at)
		}
	}
	numbers := regexp.MustCompile(`NUMBERS = \{[^}]*\}, \{([A-Z, ]+)\}`).FindStringSubmatch(prelude)
	if numbers == nil {
		t.Fatal("no list of numbers in prelude.lua")
	}
	r, _ := splitGeneration(strings.Join(structWords(generationRecord{}), " "))
	if got := strings.Join(r.numbers(), ", "); got != numbers[1] {
		t.Errorf("the numbers of a record are %s; in prelude.lua they are %s", got, numbers[1])
	}
	comment := strings.Join(strings.Fields(strings.ReplaceAll(mustSource("settle_and_claim"), "--", "")), " ")
	if words := strings.ToLower(strings.Join(structWords(generationRecord{}), ", ")); !strings.Contains(comment, words) {
		t.Errorf("settle_and_claim.lua does not list the words of the record: %s", words)
	}
}

func TestGenerationParsesWhatItFormats(t *testing.T) {
	t.Parallel()
	const text = "s tok 1 2 3 4 5 0 6 key login 7 8 9"
	open, settled, err := parseGeneration(text)
	if err != nil || settled != nil || open.String() != text || open.Rev != "6" || open.Claims != "9" {
		t.Errorf("parseGeneration(%q) = %+v, %v, %v; want the open generation of that text", text, open, settled, err)
	}
	if _, settled, err := parseGeneration("t key 7 half 2 0.1:3 by"); err != nil || settled == nil || *settled != (settledRecord{"key", "7", "half", "2", "0.1:3", "by"}) {
		t.Errorf("a settled record is parsed as %+v, %v; want its words and no error", settled, err)
	}
	for _, bad := range []string{"", "s", "x" + text[1:], "s tok 1 2 3 4 5 0 6 key login 7 8", "s tok 1 2 x 4 5 0 6 key login 7 8 9"} {
		if _, _, err := parseGeneration(bad); err == nil {
			t.Errorf("parseGeneration(%q) returned no error, want one", bad)
		}
	}
}
