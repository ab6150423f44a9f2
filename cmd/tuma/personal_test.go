package main

import (
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/sandbox"
)

const guests = "First Name;Phone;Points\r\nAmina;0712345678;7\r\nJuma;0712345679;7\r\n;0712345680;7\r\nZuri;0712345681;\r\n"

func TestMergeFieldsFromAFileToThePhone(t *testing.T) {
	t.Parallel()
	h := newHouse(t, sandbox.Options{Texts: true})
	h.work()
	file := h.file("guests.csv", guests)
	send := func(id, body string, more ...string) (out, errOut string, exit int) {
		return h.run(append([]string{"send", "--id", id, "--via", "kobo-main", "--body", body, "--file", file, "--wait"}, more...)...)
	}
	for body, want := range map[string]string{
		"Habari {{name}}":                       "{{name}}, but the header has no column of that name",
		"Habari {{first name}}":                 "guests.csv:4: the field firstname is blank",
		"Habari {{first name|you}}, {{points}}": "guests.csv:5: the field points is blank",
		"Habari {{first name":                   "not closed",
		"Habari {{first name:shout}}":           "no filter",
	} {
		if out, errOut, exit := send("never", body); exit != exitMisuse || out != "" || !strings.Contains(errOut, want) {
			t.Errorf("%s: exit %d, %s%s", body, exit, out, errOut)
		}
	}
	if _, errOut, exit := send("never", "Habari {{points}}", "--on-missing", "guess"); exit != exitMisuse || !strings.Contains(errOut, "fail, skip or default") {
		t.Errorf("--on-missing guess: exit %d, %s", exit, errOut)
	}
	if len(h.campaigns()) != 0 {
		t.Fatalf("refused, and yet there is %+v", h.campaigns())
	}
	text := func(number uint64) string { return h.gateway.Desk("kobo").Text(number) }

	t.Run("skip", func(t *testing.T) {
		if _, errOut, exit := send("skip", "Habari {{FIRST-NAME:upper}}, {{points}} points", "--on-missing", "skip"); exit != exitNotAll {
			t.Fatalf("exit %d, %s", exit, errOut)
		}
		if st := h.status("skip"); st.Accepted != 2 || st.Reasons["missing_field"] != 2 || st.Calls != 2 {
			t.Errorf("status %+v", st)
		}
		if got := text(254712345678) + text(254712345680) + text(254712345681); got != "Habari AMINA, 7 points" {
			t.Errorf("sent %q", got)
		}
		out, _ := h.must("results", "skip", "--status", "skipped", "--format", "jsonl")
		if !strings.Contains(out, `"reason":"missing_field"`) || !strings.Contains(out, `"code":"firstname"`) || !strings.Contains(out, `"code":"points"`) {
			t.Errorf("results: %s", out)
		}
	})
	t.Run("default", func(t *testing.T) {
		if _, errOut, exit := send("default", "Points: {{points}}", "--on-missing", "default"); exit != 0 {
			t.Fatalf("exit %d, %s", exit, errOut)
		}
		if st := h.status("default"); st.Accepted != 4 || st.Calls != 2 || st.Segments != 4 {
			t.Errorf("status %+v", st)
		}
		if got := text(254712345679) + "|" + text(254712345681); got != "Points: 7|Points: " {
			t.Errorf("sent %q", got)
		}
	})
	t.Run("the content is the ID", func(t *testing.T) {
		enqueue := func(content string) (out, errOut string) {
			return h.must("send", "--via", "kobo-main", "--body", "Habari {{first name|there}}", "--file", h.file("more.csv", content))
		}
		first, _ := enqueue(guests)
		if again, errOut := enqueue(guests); again != first || !strings.Contains(errOut, "already sent") {
			t.Errorf("the same again is %s%s", again, errOut)
		}
		if other, _ := enqueue(strings.Replace(guests, "Amina", "Amani", 1)); other == first {
			t.Errorf("with another name it is %s too", other)
		}
		if same, _ := enqueue(strings.ReplaceAll(guests, ";7", ";8")); same != first {
			t.Errorf("with other points, which the text does not have, it is %s", same)
		}
	})
}
