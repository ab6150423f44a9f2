package main

import (
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

func TestTextNotes_ExplainSegments(t *testing.T) {
	t.Parallel()
	x := strings.Repeat("x", 80)
	const quote = "a message takes 2 segments, UCS-2 because of ’ (U+2019, a curly apostrophe) at character 3"
	const emoji = "😀 (U+1F600, an emoji or symbol) at character "
	for _, tt := range []struct {
		name, body    string
		transliterate bool
		want          string
	}{
		{"GSM-7", "It's " + x, false, ""},
		{"GSM-7 to transliterate", "It's " + x, true, ""},
		{"a quote", "It’s " + x, false, quote + "; with --transliterate the number of segments is 1"},
		{"a quote transliterated", "It’s " + x, true, "transliterated 1 character: the message has 1 segment in GSM-7 instead of 2 in UCS-2"},
		{"a quote that costs nothing", "It’s", false, ""},
		{"an emoji", x + "😀", false, "a message takes 2 segments, UCS-2 because of " + emoji + "81; without this character the number of segments is 1"},
		{"a quote and an emoji", "It’s " + x + "😀", false, quote + ", and 1 more; without these characters the number of segments is 1"},
		{"a quote and an emoji to transliterate", "It’s " + x + "😀", true,
			quote + ", and 1 more; not transliterated: GSM-7 has no equivalent of " + emoji + "86"},
		{"naira signs that would take more", strings.Repeat("₦", 70), true,
			"a message takes 1 segment, UCS-2 because of ₦ (U+20A6, the naira sign) at character 1, and 69 more; not transliterated: the transliterated text would take more segments"},
		{"another language", strings.Repeat("Привет ", 20), false, ""},
		{"a field and a quote", "It’s {{name}}", false,
			"every message is UCS-2 because of ’ (U+2019, a curly apostrophe) at character 3; --transliterate replaces such characters where GSM-7 has an equivalent"},
		{"a field and a quote transliterated", "It’s {{name}}", true, ""},
		{"a field and an emoji to transliterate", "{{name}} 😀", true, "every message is UCS-2 because of " + emoji +
			"10; not transliterated: GSM-7 has no equivalent of " + emoji + "10"},
		{"a field and another language", "Привет {{name}}", false, ""},
		{"no template", "It’s {{", false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(textNotes(producer.Campaign{Body: tt.body, Transliterate: tt.transliterate}), "\n")
			if got != tt.want {
				t.Errorf("got  %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestSend_TransliteratesTheText(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	file := h.file("list.csv", "phone,name\n0712345678,O’Neill\n0712345679,Ada\n0712345680,Ọláníyì\n")
	body := "It’s on, {{name}} – " + strings.Repeat("x", 60)
	h.mustRun("send", "--id", "straight", "--via", "kobo-main", "--body", body, "--file", file, "--transliterate", "--wait")
	if st := h.status("straight"); st.Accepted != 3 || st.Segments != 4 {
		t.Errorf("got %d accepted and %d segments; want 3 and 4, because one name keeps its message UCS-2", st.Accepted, st.Segments)
	}
	_, errOut := h.mustRun("send", "--id", "curly", "--via", "kobo-main", "--body", body, "--file", file, "--wait")
	if st := h.status("curly"); st.Segments != 6 || !strings.Contains(errOut, "UCS-2 because of ’ (U+2019, a curly apostrophe) at character 3") {
		t.Errorf("got %d segments, want 6 and a note on the curly apostrophe: %s", st.Segments, errOut)
	}
}
