package main

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

// terminal opens a pseudo-terminal. The test writes the user's input to the file "keys", and reads from "keys" what
// the screen shows. The command under test reads and writes the file "tty".
func terminal(t testing.TB) (keys, tty *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = keys.Close() })
	var unlock, number uint32
	for request, value := range map[uintptr]*uint32{syscall.TIOCSPTLCK: &unlock, syscall.TIOCGPTN: &number} {
		if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, keys.Fd(), request, uintptr(unsafe.Pointer(value))); errno != 0 {
			t.Fatal(errno)
		}
	}
	if tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|syscall.O_NOCTTY, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tty.Close() })
	return keys, tty
}

// runTyped runs a command on a terminal. The parameter "types" is the text that the user types. The
// result "screen" is everything that the terminal shows: standard error and the echoed input.
func (c *cli) runTyped(types string, args ...string) (screen, out string, exit int) {
	c.t.Helper()
	keys, tty := terminal(c.t)
	if _, err := keys.WriteString(types); err != nil {
		c.t.Fatal(err)
	}
	shown := make(chan string)
	go func() {
		var all bytes.Buffer
		_, _ = all.ReadFrom(keys) // ReadFrom ends when tty is closed
		shown <- all.String()
	}()
	var o bytes.Buffer
	exit = run(c.t.Context(), args, tty, &o, tty, c.env)
	_ = tty.Close()
	return <-shown, o.String(), exit
}

// runOnTerminal runs a command whose standard output and standard error are a terminal of the given
// width, and returns the lines that the terminal shows.
func (c *cli) runOnTerminal(width int, args ...string) (lines []string, exit int) {
	c.t.Helper()
	keys, tty := terminal(c.t)
	size := [4]uint16{40, uint16(width)}
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, tty.Fd(), syscall.TIOCSWINSZ, uintptr(unsafe.Pointer(&size))); errno != 0 {
		c.t.Fatal(errno)
	}
	shown := make(chan string)
	go func() {
		var all bytes.Buffer
		_, _ = all.ReadFrom(keys) // ReadFrom returns when tty is closed
		shown <- all.String()
	}()
	exit = run(c.t.Context(), args, tty, tty, tty, append([]string{"LANG=C.UTF-8", "TERM=xterm", "TZ=Africa/Nairobi"}, c.env...))
	_ = tty.Close()
	return strings.Split(strings.TrimSuffix(strings.ReplaceAll(<-shown, "\r\n", "\n"), "\n"), "\n"), exit
}

func TestSendTest_SentFirstAndOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	for _, tt := range []struct {
		name, types string
		args        []string
		exit        int
		says        []string
		sent        [2]int
	}{
		{"no stops", "n\n", nil, exitFailed, []string{"sending a test to 0799000001", "was accepted by kobo-main; check the phone",
			"send to 3 recipients? [y/N] ", "the campaign was not enqueued"}, [2]int{1, 1}},
		{"an empty line stops, and the test is not sent again", "\n", nil, exitFailed, []string{"the same test was already sent to 0799000001",
			"--again sends it again", "the campaign was not enqueued"}, [2]int{1, 1}},
		{"Ctrl-D stops", "\x04", nil, exitFailed, []string{"tuma: the campaign was not enqueued\r\n"}, [2]int{1, 1}},
		{"yes sends", "y\n", []string{"--wait"}, exitDone, []string{"send to 3 recipients?", "done"}, [2]int{1, 4}},
		{"a campaign that was sent needs no test", "", nil, exitDone, []string{"already sent as c-"}, [2]int{1, 4}},
		{"--again sends another test", "y\n", []string{"--again", "--wait"}, exitDone, []string{"sending a test to 0799000001"}, [2]int{2, 8}},
		{"another ID sends another test", "n\n", []string{"--id", "mine"}, exitFailed, []string{"0799000001, with the ID mine.test-"}, [2]int{3, 9}},
		{"--yes asks nothing", "", []string{"--id", "mine", "--yes"}, exitDone, []string{"use another --id to send the test again", "enqueued 3 recipients"}, [2]int{3, 12}},
	} {
		screen, _, exit := h.runTyped(tt.types, h.saleArgs(tt.args...)...)
		for _, want := range tt.says {
			if !strings.Contains(screen, want) {
				t.Errorf("%s: the screen does not show %q", tt.name, want)
			}
		}
		if exit == exitDone && strings.Contains(tt.name, "--yes") {
			eventually(t, "it to be done", func() bool { return h.status("mine").State == producer.Done })
		}
		if got := h.acceptedCounts(); exit != tt.exit || got != tt.sent {
			t.Errorf("%s: got exit %d and accepted messages %v; want %d and %v\n%s", tt.name, exit, got, tt.exit, tt.sent, screen)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

func TestSendTest_QuestionCountsOnlySendableRecipients(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	if out, errOut, exit := h.run("optout", "add", "0712345680"); exit != exitDone {
		t.Fatalf("optout add: got exit %d and output %s%s, want exit 0", exit, out, errOut)
	}
	send := []string{"send", "--via", "kobo-main", "--body", "Hi {{name}}", "--on-missing", "skip", "--test", testPhone, "--file"}
	list := h.file("mixed.csv", "phone,name\n12,A\n0712345678,\n0712345679,B\n0712345680,C\n+254712345679,D\n0712345681,E\n")
	screen, _, exit := h.runTyped("y\n", append(send, list, "--wait")...)
	const question = "send to 2 of 6 recipients (skipped: 1 duplicate, 1 invalid_number, 1 missing_field, 1 opted_out)? [y/N] "
	if exit != exitNotAll || !strings.Contains(screen, question) || h.acceptedCounts() != [2]int{1, 3} {
		t.Errorf("got exit %d, accepted messages %v and screen\n%s\nwant exit 3, messages [1 3] and a question for 2 of 6 recipients", exit, h.acceptedCounts(), screen)
	}
	allOptedOut := h.file("all-opted-out.csv", "phone,name\n0712345680,C\n0712345680,C\n")
	screen, _, exit = h.runTyped("y\n", append(send, allOptedOut)...)
	if exit != exitMisuse || !strings.Contains(screen, "all-opted-out.csv: none of 2 recipients can get the message (2 opted_out)") || h.acceptedCounts() != [2]int{1, 3} {
		t.Errorf("got exit %d, accepted messages %v and screen\n%s\nwant exit 2, messages [1 3] and that none can be sent to", exit, h.acceptedCounts(), screen)
	}
}

func TestSendTest_RejectedTestEnqueuesNothing(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	// The gateway first accepts one message. So workers treat the rejection of the test as a fault
	// of its number, and not of the account.
	h.runWithInput("0711111111\n", "send", "--via", "kobo-main", "--body", "Hello", "--wait")
	gateway := h.gateway.Gateway("kobo")
	if err := gateway.SetReply(simulator.Reject, testMSISDN); err != nil {
		t.Fatal(err)
	}
	screen, _, exit := h.runTyped("y\n", h.saleArgs("--id", "sale")...)
	if exit != exitFailed || !strings.Contains(screen, "the test to 0799000001 was rejected (refused) (error_limit)") ||
		!strings.Contains(screen, "the campaign was not enqueued") || strings.Contains(screen, "[y/N]") || h.acceptedCounts() != [2]int{0, 1} {
		t.Errorf("got exit %d and screen\n%s\nwant exit 1, a rejected test and no question", exit, screen)
	}
	// When the gateway accepts the number, the test is sent again under another ID.
	if err := gateway.SetReply(simulator.Accept, testMSISDN); err != nil {
		t.Fatal(err)
	}
	if screen, _, exit := h.runTyped("y\n", h.saleArgs("--id", "sale", "--wait")...); exit != exitDone || h.acceptedCounts() != [2]int{1, 5} {
		t.Errorf("got exit %d, accepted messages %v and screen\n%s\nwant exit 0 and messages [1 5]", exit, h.acceptedCounts(), screen)
	}
}

func TestSendTest_UnknownTestNeedsConfirmation(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	server := httptest.NewServer(h.gateway)
	t.Cleanup(server.Close)
	h.cli = newCLI(t, `
redis: {url: "`+h.redis.URL()+`"}
accounts:
  kobo-main: {provider: qserve, base_url: "`+server.URL+`/qserve", username: demo, api_key: secret-word, sender: ACME, timeout: 2s}
default_country: KE
windows: off
`)
	h.startWorker()
	h.gateway.FailNext(1, "accept_close")
	_, errOut, exit := h.run(h.saleArgs("--yes")...)
	if exit != exitFailed || !strings.Contains(errOut, "the test ended as unknown, but --yes continues only after an accepted test") {
		t.Errorf("got exit %d and standard error %s, want exit 1 and a note that the test ended as unknown", exit, errOut)
	}
	screen, _, exit := h.runTyped("y\n", h.saleArgs("--wait")...)
	if exit != exitDone || !strings.Contains(screen, "the same test was already sent to 0799000001") || !strings.Contains(screen, "is unknown (") || h.acceptedCounts() != [2]int{1, 4} {
		t.Errorf("got exit %d, accepted messages %v and screen\n%s\nwant exit 0, messages [1 4] and that the same test was sent before", exit, h.acceptedCounts(), screen)
	}
}
