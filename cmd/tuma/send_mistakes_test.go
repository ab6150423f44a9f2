package main

import (
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// One run of tuma send reports all mistakes of a file, such as blank merge fields, each with its lines.
// This holds for a dry run, for a send with a campaign ID, and for a send without one.
func TestSend_AllMistakesOfAFileAtOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	list := "phone,branch,due\n0712345678,,5\n0712345679,\"Wote\ntown\",\n0712345680,,\n\n0712345681, ,1\n0712345682,,2\n"
	file, broken := h.file("due.csv", list), h.file("broken.csv", list+"0712345682,a,b,c\n")
	const blank = "branch: 4 rows blank, first 2, 5, 7; due: 2 rows blank, 3, 5: fill them in"
	for _, more := range [][]string{nil, {"--id", "x"}, {"--dry-run"}} {
		send := func(file string, body string) string {
			_, errOut, exit := h.run(append([]string{"send", "--via", "kobo-main", "--body", body, "--file", file}, more...)...)
			if exit != exitMisuse {
				t.Errorf("%v: exit %d, want 2", more, exit)
			}
			return errOut
		}
		if got := send(file, "{{due}} at {{branch}}"); !strings.Contains(got, "due.csv: blank fields: due: 2 rows blank, 3, 5; branch: 4 rows blank, first 2, 5, 7: fill them in") {
			t.Errorf("send %v: got %s, want the blank fields due and branch with their lines", more, got)
		}
		got := send(broken, "{{branch}} {{due}}")
		if !strings.Contains(got, "broken.csv: blank fields: "+blank) || !strings.Contains(got, "broken.csv:9: the row has 4 fields, but the header has 3") {
			t.Errorf("%v: %s; want both kinds of mistakes", more, got)
		}
	}
	if len(h.campaigns()) != 0 {
		t.Errorf("got campaigns %+v, want none", h.campaigns())
	}
}

// An error about a number that the user wrote shows the number in full, with its line.
func TestSend_OwnNumberIsNotMasked(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	file := h.file("short.csv", "sep=;\nphone;name\n+254 712 34;A\n0712 3;B\n")
	_, errOut, exit := h.run("send", "--via", "kobo-main", "--body", "Hi", "--file", file)
	if want := `parse number "+254 712 34": it has too few digits (`; exit != exitMisuse || !strings.Contains(errOut, want) || !strings.Contains(errOut, "short.csv:3)") {
		t.Errorf("exit %d and %s, want exit 2 and %s", exit, errOut, want)
	}
	good := h.file("good.csv", "phone\n0712345678\n")
	_, errOut, exit = h.run("send", "--via", "kobo-main", "--body", "Hi", "--file", good, "--test", "0712 34", "--yes")
	if want := `--test: parse number "0712 34": it has too few digits`; exit != exitMisuse || !strings.Contains(errOut, want) {
		t.Errorf("exit %d and %s, want exit 2 and %s", exit, errOut, want)
	}
	_, errOut, _ = h.run("optout", "import", h.file("stop.csv", "phone\n0712345678\n+254 712 34\n"))
	if want := `stop.csv:3: parse number "+254 712 34": it has too few digits`; !strings.Contains(errOut, want) {
		t.Errorf("%s, want %s", errOut, want)
	}
	_, errOut, exit = h.run("find", "0712 34")
	if want := `parse number "0712 34": it has too few digits`; exit != exitMisuse || !strings.Contains(errOut, want) {
		t.Errorf("find: exit %d and %s, want exit 2 and %s", exit, errOut, want)
	}
}

// The samples of a dry run name the lines of the recipient list.
func TestSend_DryRunNamesLines(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	file := h.file("lines.csv", "\nname,phone\n\"A\nB\",0712345678\n\nC,0712\nD,0733445566\n")
	out, _ := h.mustRun("send", "--via", "kobo-main", "--body", "Hi", "--file", file, "--dry-run")
	if !strings.Contains(out, "line 3, ") || !strings.Contains(out, "line 7, ") || strings.Contains(out, "row ") {
		t.Errorf("samples do not name the lines 3 and 7:\n%s", out)
	}
}
