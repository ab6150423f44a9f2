package recipients

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A list that has no byte order mark and is not valid UTF-8 is read as Windows-1252. Guess must
// report this guess.
func TestGuess_EncodingIsReported(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		text     string
		encoding string
		want     Guess
	}{
		"an old Macintosh's file":   {text: "phone,name\n1,A\n2,Ren\x8ee\n3,No\x91l\n", want: Guess{Encoding: "windows-1252", Line: 3, Value: "RenŽe"}},
		"Windows-1252":              {text: "phone,name\n1,Ren\xe9e\n", want: Guess{Encoding: "windows-1252", Line: 2, Value: "Renée"}},
		"the encoding is named":     {text: "phone,name\n1,Ren\xe9e\n", encoding: "windows-1252"},
		"Macintosh is named":        {text: "phone,name\n1,Ren\x8ee\n", encoding: "macintosh"},
		"UTF-8":                     {text: "phone,name\n1,Renée\n"},
		"ASCII":                     {text: "phone,name\n1,Rene\n"},
		"a byte order mark":         {text: "\xef\xbb\xbfphone,name\n1,Renée\n"},
		"only in a column not read": {text: "phone,name,town\n1,A,K\xe9\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := listOf(tt.text, Options{Name: "list.csv", Encoding: tt.encoding, Fields: []string{"name"}})
			for range 2 { // a second reading gives the same guess
				for _, err := range l.All() {
					if err != nil {
						t.Fatal(err)
					}
				}
				if diff := cmp.Diff(tt.want, l.Guess()); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

// The function Begins must refuse every list whose reading would fail before the first recipient. It must accept
// every other list.
func TestBegins_ChecksTheFirstRows(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		head string
		o    Options
		bad  bool
	}{
		"right":                     {"phone,name\n0712345678,A\n071", Options{Format: CSV}, false},
		"bare numbers":              {"0712345678\n0712345679\n", Options{}, false},
		"no column of numbers":      {"name,city\nA,Nairobi\n", Options{Format: CSV}, true},
		"a missing field":           {"phone,name\n0712345678,A\n", Options{Format: CSV, Fields: []string{"first"}}, true},
		"a cut header":              {"phone,na", Options{Format: CSV}, false},
		"a header and no row yet":   {"phone,name\n", Options{Format: CSV}, false},
		"blank lines":               {"\n\n\n", Options{Format: CSV}, false},
		"broken JSON lines":         {"phone\n0712345678\n", Options{Format: JSONL}, true},
		"JSON lines, the last cut":  {"{\"phone\":\"0712345678\"}\n{\"pho", Options{Format: JSONL}, false},
		"a later row has a mistake": {"phone,name\n0712345678,A\n0712345679,\"A\"B\n", Options{Format: CSV}, false},
		"UTF-16":                    {"\xff\xfen\x00a\x00m\x00e\x00\n\x00A\x00\n\x00", Options{Format: CSV}, false},
	} {
		x.o.Name = "body"
		if err := Begins([]byte(x.head), x.o); (err != nil) != x.bad {
			t.Errorf("%s: %v", name, err)
		}
	}
}
