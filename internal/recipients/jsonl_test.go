package recipients

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A line is ambiguous if its object has two members with the same name, or an escape that stands
// for no character. The error must name the line.
func TestJSONL_AmbiguousObjects(t *testing.T) {
	t.Parallel()
	const first = `{"phone":"0712345678","name":"A"}` + "\n"
	for name, tt := range map[string]struct{ line, want string }{
		"one name in two cases":       {`{"phone":"0722345678","Name":"B","NAME":"C"}`, `the object has two members of one name, "Name" and "NAME": remove one`},
		"one name twice":              {`{"phone":"0722345678","name":"B","name":"C"}`, `the object has two members of one name, "name" and "name"`},
		"two numbers":                 {`{"phone":"0722345678","PHONE":"0733345678","name":"B"}`, `the object has two members of one name, "phone" and "PHONE"`},
		"one name with marks":         {`{"phone":"0722345678","first name":"B","first_name":"C"}`, `two members of one name, "first name" and "first_name"`},
		"null character":              {`{"phone":"0722345678","name":"B\u0000"}`, `the line has \u0000`},
		"null character in a name":    {`{"phone":"0722345678","name\u0000":"B"}`, `the line has \u0000`},
		"high half alone":             {`{"phone":"0722345678","name":"\ud83d!"}`, `the line has \ud83d, which is half of a character`},
		"low half alone":              {`{"phone":"0722345678","name":"\uDE00"}`, `the line has \uDE00, which is half of a character`},
		"halves in the wrong order":   {`{"phone":"0722345678","name":"\uDE00\ud83d"}`, `the line has \uDE00`},
		"half at the end of the line": {`{"phone":"0722345678","name":"\ud83d`, `the line has \ud83d`},
		"text after the object":       {`{"phone":"0722345678"} {}`, `there is text after the object`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := readAll(listOf(first+tt.line+"\n", Options{Name: "list.jsonl", Fields: []string{"name"}}))
			if err == nil || !strings.HasPrefix(err.Error(), "list.jsonl:2: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error = %v; want line 2 and %q", err, tt.want)
			}
		})
	}
}

func TestJSONL_MembersInAnyOrder(t *testing.T) {
	t.Parallel()
	text := `{"First Name":"A","phone":"1"}` + "\n" + `{"PHONE":"2","first_name":"\ud83d\ude00\\u0000","other":{"phone":"9","Phone":"8"}}` + "\n"
	for range 20 { // the order of a map is random, so a fault that depends on it is not visible in every run
		got, _, err := readAll(listOf(text, Options{Name: "list.jsonl", Fields: []string{"firstname"}}))
		if diff := cmp.Diff([]string{"1|A", `2|😀\u0000`}, got); err != nil || diff != "" {
			t.Fatalf("error %v %s", err, diff)
		}
	}
}
