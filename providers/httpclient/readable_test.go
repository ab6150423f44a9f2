package httpclient

import (
	"strings"
	"testing"
)

func TestReadable_RemovesWhatSurroundsAReply(t *testing.T) {
	t.Parallel()
	const html = "<br />\n<b>Warning</b>:  mysqli_connect(): (HY000/2002): Connection refused in <b>/srv/api.php</b> on line <b>9</b><br />\n"
	for name, tc := range map[string]struct{ body, contentType, want string }{
		"nothing":                       {"error_user\n", "", "error_user\n"},
		"empty":                         {"", "text/html", ""},
		"a byte order mark":             {"\ufeff{}", "", "{}"},
		"only a byte order mark":        {"\ufeff", "", ""},
		"UTF-16, little endian":         {"\xff\xfeo\x00k\x00", "text/plain", "ok"},
		"UTF-16, big endian":            {"\xfe\xff\x00o\x00k", "text/plain", "ok"},
		"UTF-16 by its label":           {"o\x00k\x00", "text/plain; charset=UTF-16LE", "ok"},
		"Latin-1 by its label":          {"Ren\xe9e", "text/plain; charset=ISO-8859-1", "Renée"},
		"UTF-8 with a wrong label":      {"Renée", "text/plain; charset=ISO-8859-1", "Renée"},
		"an unknown label":              {"Ren\xe9e", "text/plain; charset=koi8-u", "Ren\xe9e"},
		"an invalid Content-Type":       {"{}", ";;", "{}"},
		"a diagnostic before it":        {html + `{"code":"201"}`, "", `{"code":"201"}`},
		"a diagnostic after it":         {`{"code":"201"}` + html, "", `{"code":"201"}`},
		"three diagnostics before it":   {strings.Repeat(html, 3) + "sent", "", "sent"},
		"text diagnostics":              {"\nNotice: Undefined variable: x in /a.php on line 3\n\nDeprecated: y in /a.php on line 4\n3509592", "", "3509592"},
		"only a diagnostic":             {html, "", ""},
		"a diagnostic inside":           {`{"text":"Warning: a in /b on line 3"}`, "", `{"text":"Warning: a in /b on line 3"}`},
		"a fatal error":                 {"<br />\n<b>Fatal error</b>:  x in <b>/a</b> on line <b>1</b><br />\n", "", "<br />\n<b>Fatal error</b>:  x in <b>/a</b> on line <b>1</b><br />\n"},
		"a page that begins alike":      {"<b>Warning</b>: maintenance", "", "<b>Warning</b>: maintenance"},
		"a text that begins alike":      {"Warning: no credit", "", "Warning: no credit"},
		"an odd number of UTF-16 bytes": {"\xff\xfeo\x00k", "", "o\ufffd"},
	} {
		if got := string(readable([]byte(tc.body), tc.contentType)); got != tc.want {
			t.Errorf("%s: got %q, want %q", name, got, tc.want)
		}
	}
}

// FuzzReadable checks that the function "readable" adds no text to a reply. If a reply needs no
// decoding, the result must be a part of the reply.
func FuzzReadable(f *testing.F) {
	for _, seed := range []string{"\ufeff{}", "\xff\xfe", "<b>Notice</b>: a on line <b>1</b>", "Warning: a on line 2\nsent"} {
		f.Add([]byte(seed), "text/plain; charset=utf-16")
		f.Add([]byte(seed), "")
	}
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		got := string(readable(body, contentType))
		if again := string(readable([]byte(got), "")); len(again) > len(got) {
			t.Errorf("%q became %q, and then %q, want nothing added", body, got, again)
		}
		if contentType == "" && !strings.HasPrefix(string(body), "\xff\xfe") && !strings.HasPrefix(string(body), "\xfe\xff") && !strings.Contains(string(body), got) {
			t.Errorf("%q became %q, want a part of it", body, got)
		}
	})
}
