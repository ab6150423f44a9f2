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

	"github.com/tuma-sms/tuma/internal/sandbox"
	"github.com/tuma-sms/tuma/producer"
)

// terminal opens a pseudo-terminal: what a person types goes into keys, and what the
// screen shows is read from there, too.
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

// typed is run at a terminal at which a person types this; what it shows, errors among
// it, comes as one text.
func (c *cli) runTyped(types string, args ...string) (screen, out string, exit int) {
	c.t.Helper()
	keys, tty := terminal(c.t)
	if _, err := keys.WriteString(types); err != nil {
		c.t.Fatal(err)
	}
	shown := make(chan string)
	go func() {
		var all bytes.Buffer
		_, _ = all.ReadFrom(keys) // ends when the other side is closed
		shown <- all.String()
	}()
	var o bytes.Buffer
	exit = run(c.t.Context(), args, tty, &o, tty, c.env)
	_ = tty.Close()
	return <-shown, o.String(), exit
}

func TestATestGoesFirstAndOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t, sandbox.Options{})
	h.startWorker()
	for _, tt := range []struct {
		name, types string
		args        []string
		exit        int
		says        []string
		sent        [2]int
	}{
		{"no is no", "n\n", nil, exitFailed, []string{"sending to 0799000001 first", "was accepted by kobo-main; look at the phone",
			"send to 3 recipients? [y/N] ", "nothing of the campaign was enqueued"}, [2]int{1, 1}},
		{"so is nothing, and the test is not sent again", "\n", nil, exitFailed, []string{"the same was sent to 0799000001 before", "--again sends it again",
			"nothing of the campaign was enqueued"}, [2]int{1, 1}},
		{"so is Ctrl-D", "\x04", nil, exitFailed, []string{"tuma: nothing of the campaign was enqueued\r\n"}, [2]int{1, 1}},
		{"yes sends", "y\n", []string{"--wait"}, exitDone, []string{"send to 3 recipients?", "done"}, [2]int{1, 4}},
		{"what is sent needs no test", "", nil, exitDone, []string{"already sent as c-"}, [2]int{1, 4}},
		{"again tests again", "y\n", []string{"--again", "--wait"}, exitDone, []string{"sending to 0799000001 first"}, [2]int{2, 8}},
		{"another ID too", "n\n", []string{"--id", "mine"}, exitFailed, []string{"first, as mine.test-"}, [2]int{3, 9}},
		{"with --yes nobody is asked", "", []string{"--id", "mine", "--yes"}, exitDone, []string{"another --id sends it again", "enqueued 3 recipients"}, [2]int{3, 12}},
	} {
		screen, _, exit := h.runTyped(tt.types, h.saleArgs(tt.args...)...)
		for _, want := range tt.says {
			if !strings.Contains(screen, want) {
				t.Errorf("%s: it does not say %q", tt.name, want)
			}
		}
		if exit == exitDone && strings.Contains(tt.name, "--yes") {
			eventually(t, "it to be done", func() bool { return h.status("mine").State == producer.Done })
		}
		if got := h.acceptedCounts(); exit != tt.exit || got != tt.sent {
			t.Errorf("%s: exit %d, sent %v; want %d and %v\n%s", tt.name, exit, got, tt.exit, tt.sent, screen)
		}
		if t.Failed() {
			t.FailNow()
		}
	}
}

func TestWhoIsLeftOutIsNotAskedAbout(t *testing.T) {
	t.Parallel()
	h := newFixture(t, sandbox.Options{})
	h.startWorker()
	if out, errOut, exit := h.run("optout", "add", "0712345680"); exit != exitDone {
		t.Fatal(out, errOut)
	}
	send := []string{"send", "--via", "kobo-main", "--body", "Hi {{name}}", "--on-missing", "skip", "--test", testPhone, "--file"}
	list := h.file("mixed.csv", "phone,name\n12,A\n0712345678,\n0712345679,B\n0712345680,C\n+254712345679,D\n0712345681,E\n")
	screen, _, exit := h.runTyped("y\n", append(send, list, "--wait")...)
	const question = "send to 2 of 6 recipients (left out: 1 duplicate, 1 invalid_number, 1 missing_field, 1 opted_out)? [y/N] "
	if exit != exitNotAll || !strings.Contains(screen, question) || h.acceptedCounts() != [2]int{1, 3} {
		t.Errorf("exit %d, sent %v\n%s", exit, h.acceptedCounts(), screen)
	}
	nobody := h.file("nobody.csv", "phone,name\n0712345680,C\n0712345680,C\n")
	screen, _, exit = h.runTyped("y\n", append(send, nobody)...)
	if exit != exitMisuse || !strings.Contains(screen, "nobody.csv: none of its 2 recipients can be sent to (2 opted_out)") || h.acceptedCounts() != [2]int{1, 3} {
		t.Errorf("exit %d, sent %v\n%s", exit, h.acceptedCounts(), screen)
	}
}

func TestAfterATestThatIsRefusedNothingGoes(t *testing.T) {
	t.Parallel()
	h := newFixture(t, sandbox.Options{})
	h.startWorker()
	// Something is accepted first, so that a refusal is the number's.
	h.runWithInput("0711111111\n", "send", "--via", "kobo-main", "--body", "Hello", "--wait")
	desk := h.gateway.Desk("kobo")
	if err := desk.Say(sandbox.Reject, testMSISDN); err != nil {
		t.Fatal(err)
	}
	screen, _, exit := h.runTyped("y\n", h.saleArgs("--id", "sale")...)
	if exit != exitFailed || !strings.Contains(screen, "the test to 0799000001 was rejected (refused) (error_limit)") ||
		!strings.Contains(screen, "nothing of the campaign was enqueued") || strings.Contains(screen, "[y/N]") || h.acceptedCounts() != [2]int{0, 1} {
		t.Errorf("exit %d\n%s", exit, screen)
	}
	// Once the gateway takes it, the test is made anew.
	if err := desk.Say(sandbox.Accept, testMSISDN); err != nil {
		t.Fatal(err)
	}
	if screen, _, exit := h.runTyped("y\n", h.saleArgs("--id", "sale", "--wait")...); exit != exitDone || h.acceptedCounts() != [2]int{1, 5} {
		t.Errorf("exit %d, sent %v\n%s", exit, h.acceptedCounts(), screen)
	}
}

func TestWhetherATestOfUnknownOutcomeIsEnoughIsForThePersonToSay(t *testing.T) {
	t.Parallel()
	h := newFixture(t, sandbox.Options{})
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
	if exit != exitFailed || !strings.Contains(errOut, "the test ended unknown, and --yes goes on only if it is accepted") {
		t.Errorf("exit %d, %s", exit, errOut)
	}
	screen, _, exit := h.runTyped("y\n", h.saleArgs("--wait")...)
	if exit != exitDone || !strings.Contains(screen, "the same was sent to 0799000001 before") || !strings.Contains(screen, "is unknown (") || h.acceptedCounts() != [2]int{1, 4} {
		t.Errorf("exit %d, sent %v\n%s", exit, h.acceptedCounts(), screen)
	}
}
