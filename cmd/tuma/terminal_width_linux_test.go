package main

import (
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tuma-sms/tuma/internal/simulator"
)

// No table of the command line is wider than the terminal, even if an ID, a reason or a text is
// long.
func TestTerminal_NoLineIsWiderThanTheScreen(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	id := strings.Repeat("a-long-id.", 12) + "end"
	list := h.file("list.csv", mixedList)
	body := "Habari! " + strings.Repeat("Leo kuna punguzo la bei katika maduka yetu. ", 6) + "https://example.org/" + strings.Repeat("x", 60)
	if out, errOut, exit := h.run("send", "--id", id, "--via", "kobo-main", "--body", body, "--file", list, "--wait"); exit != exitNotAll {
		t.Fatalf("send: got exit %d and output %s%s, want exit 3", exit, out, errOut)
	}
	h.mustRun("hold", "kobo-main", "--reason", "waiting_for_the_finance_department")
	h.mustRun("send", "--id", "held", "--via", "kobo-main", "--body", "x", "--file", list)
	h.mustRun("optout", "add", "0712345678", "--sender", "ACME")
	long := regexp.MustCompile(`^\s*(\S+)$`) // a line of one word is not split, because it may be a command that the user copies
	for _, width := range []int{80, 60, 40, 24} {
		for _, args := range [][]string{{"list"}, {"status", id}, {"status", "held"}, {"report", id}, {"report", "held"}, {"accounts"}, {"optout", "list"},
			{"optout", "check", "0712345678"}, {"balance", "kobo-main"}, {"find", "0712345678"}} {
			lines, exit := h.runOnTerminal(width, args...)
			if exit != exitDone {
				t.Errorf("%q: got exit %d, want 0\n%s", args, exit, strings.Join(lines, "\n"))
			}
			for _, line := range lines {
				if utf8.RuneCountInString(line) > width && !long.MatchString(line) && !strings.HasPrefix(line, "tuma: ") && !strings.HasPrefix(line, "    tuma ") {
					t.Errorf("%q on %d columns: this line must not be %d wide\n%s", args, width, utf8.RuneCountInString(line), line)
				}
			}
		}
	}
}

func TestTerminal_TimesAreLocal(t *testing.T) {
	t.Parallel()
	h, _ := sentCampaign(t)
	created := h.status("sale").CreatedAt
	lines, _ := h.runOnTerminal(100, "list")
	nairobi := created.Add(3 * 60 * 60 * 1e9)
	if screen := strings.Join(lines, "\n"); !strings.Contains(screen, nairobi.Format("2006-01-02 15:04")) || !strings.Contains(screen, "sale") {
		t.Errorf("list on a terminal in Nairobi: got\n%s\nwant the time %s", screen, nairobi.Format("2006-01-02 15:04"))
	}
	lines, _ = h.runOnTerminal(100, "status", "sale")
	if screen := strings.Join(lines, "\n"); !strings.Contains(screen, nairobi.Format("2006-01-02 15:04:05")+" EAT") {
		t.Errorf("status on a terminal in Nairobi: got\n%s\nwant the time %s EAT", screen, nairobi.Format("2006-01-02 15:04:05"))
	}
	for _, args := range [][]string{{"list"}, {"status", "sale"}, {"status", "sale", "--json"}} {
		if out, _ := h.mustRun(args...); !strings.Contains(out, created.UTC().Format("2006-01-02T15:04:05")) {
			t.Errorf("%q without a terminal: got\n%s\nwant the time in UTC, %s", args, out, created.UTC())
		}
	}
}
