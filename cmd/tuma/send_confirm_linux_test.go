package main

import (
	"bytes"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

func (h *fixture) confirmArgs(id, list string, more ...string) []string {
	return append([]string{"send", "--id", id, "--via", "kobo-main", "--body", "Hi {name}", "--class", "transactional", "--file", list}, more...)
}

func TestSendConfirm_ShowsTheCampaignAndAsks(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	list := h.file("confirm.csv", "phone,name\n0712345678,A\n08031234567,\n+2348031234567,C\n12,D\n")
	args := h.confirmArgs("sale", list, "--start-at", "2099-11-29 08:00", "--zone", "Africa/Nairobi")
	for types, exit := range map[string]int{"n\n": exitFailed, "\n": exitFailed, "\x04": exitFailed} {
		screen, out, got := h.runTyped(types, args...)
		if got != exit || out != "" || !strings.Contains(screen, "the campaign was not enqueued") {
			t.Errorf("answer %q: got exit %d, output %q and screen\n%s\nwant exit %d and nothing enqueued", types, got, out, screen, exit)
		}
		for _, want := range []string{"recipients", "segments", "cost", "account", "kobo-main", "sender", "ACME",
			"Sunday 29 November 2099 08:00 (EAT)", "2099-11-29T05:00:00Z", "06:00 (WAT) in NG", "which is not a merge field: write {{name}}",
			"send to 2 of 4 recipients (skipped: 2 invalid_number), although the text contains {name}? [y/N] "} {
			if !strings.Contains(screen, want) {
				t.Errorf("answer %q: the screen does not show %q:\n%s", types, want, screen)
			}
		}
		if strings.Count(screen, "[y/N]") != 1 {
			t.Errorf("answer %q: got %d questions, want one:\n%s", types, strings.Count(screen, "[y/N]"), screen)
		}
	}
	if n := len(h.campaigns()); n != 0 {
		t.Fatalf("got %d campaigns before the user has agreed, want 0", n)
	}
	if screen, out, exit := h.runTyped("y\n", args...); exit != exitDone || out != "sale\n" || h.status("sale").State != producer.Scheduled {
		t.Errorf("yes: got exit %d, output %q and screen\n%s\nwant a scheduled campaign", exit, out, screen)
	}
	for name, run := range map[string]func() (string, string, int){
		"a campaign that exists": func() (string, string, int) { return h.runTyped("", args...) },
		"--yes":                  func() (string, string, int) { return h.runTyped("", h.confirmArgs("yes", list, "--yes")...) },
		"--json":                 func() (string, string, int) { return h.runTyped("", h.confirmArgs("json", list, "--json")...) },
		"no terminal": func() (string, string, int) {
			out, errOut, exit := h.run(h.confirmArgs("program", list)...)
			return errOut, out, exit
		},
	} {
		if screen, out, exit := run(); exit != exitDone || out == "" || strings.Contains(screen, "[y/N]") {
			t.Errorf("%s: got exit %d, output %q and screen\n%s\nwant exit 0 and no question", name, exit, out, screen)
		}
	}
}

func TestSendConfirm_GuessIsPartOfTheQuestion(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	list := h.file("guess.csv", "phone,name\n0712345678,Ren\x8ee\n")
	screen, _, exit := h.runTyped("n\n", h.confirmArgs("guess", list, "--body", "Hi {name} {{name}}")...)
	if want := "send to 1 recipient, although the text contains {name} and the encoding windows-1252 is a guess? [y/N] "; exit != exitFailed || !strings.Contains(screen, want) {
		t.Errorf("got exit %d and screen\n%s\nwant the question %q", exit, screen, want)
	}
}

func TestSendConfirm_AnswerComesFromTheTerminalIfTheListIsPiped(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	piped := func(types string, withTerminal bool) (screen string, exit int) {
		keys, tty := terminal(t)
		cmd := exec.CommandContext(t.Context(), testBinary(t), "send", "--via", "kobo-main", "--body", "Hello", "--class", "transactional")
		cmd.Env = append(h.env, "TUMA_TEST_AS_TUMA=1")
		cmd.Stdin, cmd.Stderr = strings.NewReader("0712345678\n0712345679\n"), tty
		cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: withTerminal, Ctty: 2}
		if _, err := keys.WriteString(types); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		_ = tty.Close()
		var all bytes.Buffer
		_, _ = all.ReadFrom(keys) // ReadFrom returns when the process has exited, because its exit closes the terminal
		_ = cmd.Wait()
		return all.String(), cmd.ProcessState.ExitCode()
	}
	if screen, exit := piped("n\n", true); exit != exitFailed || !strings.Contains(screen, "send to 2 recipients? [y/N]") || len(h.campaigns()) != 0 {
		t.Errorf("no: got exit %d and screen\n%s\nwant exit 1, a question and no campaign", exit, screen)
	}
	if screen, exit := piped("", false); exit != exitMisuse || !strings.Contains(screen, "/dev/tty cannot be opened: use --file, or add --yes") || len(h.campaigns()) != 0 {
		t.Errorf("no controlling terminal: got exit %d and screen\n%s\nwant exit 2, one line with --yes and no campaign", exit, screen)
	}
	if screen, exit := piped("y\n", true); exit != exitDone || len(h.campaigns()) != 1 {
		t.Errorf("yes: got exit %d and screen\n%s\nwant exit 0 and one campaign", exit, screen)
	}
}

func TestCancel_AsksOnATerminal(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	list := h.file("cancel.csv", "phone\n0712345678\n0712345679\n")
	for _, id := range []string{"a", "b", "c"} {
		h.mustRun(h.confirmArgs(id, list, "--start-at", "in 2h")...)
	}
	const question = "cancel a (scheduled)? 2 of 2 recipients will not get the message; this cannot be undone [y/N] "
	if screen, _, exit := h.runTyped("n\n", "cancel", "a"); exit != exitFailed || !strings.Contains(screen, question) || h.status("a").State != producer.Scheduled {
		t.Errorf("no: got exit %d, state %s and screen\n%s\nwant exit 1, the question %q and an unchanged campaign", exit, h.status("a").State, screen, question)
	}
	if _, out, exit := h.runTyped("y\n", "cancel", "a"); exit != exitDone || out != "a is cancelled\n" || h.status("a").State != producer.Cancelled {
		t.Errorf("yes: got exit %d, output %q and state %s, want a cancelled campaign", exit, out, h.status("a").State)
	}
	for _, args := range [][]string{{"cancel", "a"}, {"cancel", "b", "--yes"}} {
		if screen, _, exit := h.runTyped("", args...); exit != exitDone || strings.Contains(screen, "[y/N]") {
			t.Errorf("tuma %v: got exit %d and screen\n%s\nwant exit 0 and no question", args, exit, screen)
		}
	}
	if out, errOut, exit := h.run("cancel", "c"); exit != exitDone || out != "c is cancelled\n" {
		t.Errorf("without a terminal: got exit %d and output %s%s, want a cancelled campaign", exit, out, errOut)
	}
}
