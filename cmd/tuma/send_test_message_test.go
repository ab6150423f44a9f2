package main

import (
	"bytes"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

const (
	testPhone  = "0799000001"
	testMSISDN = 254799000001
)

// saleArgs returns the arguments of `tuma send` with three recipients and --test, followed by the
// arguments in the parameter "more".
func (h *fixture) saleArgs(more ...string) []string {
	return append([]string{"send", "--via", "kobo-main", "--body", "Half price", "--file", h.file("sale.csv", "phone\n0712345678\n0712345679\n0712345680\n"),
		"--test", testPhone}, more...)
}

// acceptedCounts returns how many messages the gateway has accepted: for the test number, and in total.
func (h *fixture) acceptedCounts() [2]int {
	return [2]int{h.gateway.Accepted(testMSISDN), int(h.gateway.Stats().Accepted)}
}

func TestSendTest_WithoutATerminalNeedsYes(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	refused := func(in, want string, args ...string) {
		t.Helper()
		out, errOut, exit := h.runWithInput(in, args...)
		if exit != exitMisuse || out != "" || strings.Count(errOut, "\n") != 1 || !strings.Contains(errOut, want) {
			t.Errorf("tuma %v: got exit %d, standard error %q and output %s; want exit 2, one line with %q and no output", args, exit, errOut, out, want)
		}
	}
	refused("", "cannot ask for confirmation without a terminal: add --yes", h.saleArgs()...)
	refused("0712345678\n", "because the recipients come from standard input", "send", "--via", "kobo-main", "--body", "Hello", "--test", testPhone)
	refused("", `--test: `, h.saleArgs("--test", "12345", "--yes")...)
	if len(h.campaigns()) > 0 || h.acceptedCounts() != [2]int{} {
		t.Fatalf("got campaigns %v and accepted messages %v, want none", h.campaigns(), h.acceptedCounts())
	}
	out, errOut := h.mustRun(h.saleArgs("--yes", "--json", "--wait")...)
	if !strings.Contains(out, `"accepted": 3`) || !strings.Contains(errOut, "was accepted by kobo-main") || h.acceptedCounts() != [2]int{1, 4} {
		t.Errorf("got accepted messages %v and output\n%s%s\nwant messages [1 4], and 3 accepted recipients", h.acceptedCounts(), out, errOut)
	}
}

func TestSendTest_RenderedForTheFirstSendableRecipient(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	send := []string{"send", "--via", "kobo-main", "--body", "Hi {{name}}", "--test", testPhone, "--yes",
		"--file", h.file("sale.csv", "phone,name\n0712345678,\n0712345679,Wanjiku\n")}
	if _, errOut, exit := h.run(send...); exit != exitMisuse || !strings.Contains(errOut, "field name is blank") || h.acceptedCounts() != [2]int{} {
		t.Errorf("got exit %d, accepted messages %v and standard error %s; want exit 2, no message and the blank field", exit, h.acceptedCounts(), errOut)
	}
	if _, errOut, exit := h.run(append(send, "--on-missing", "skip", "--start-at", "2020-01-01T00:00:00Z")...); exit != exitMisuse ||
		!strings.Contains(errOut, "is in the past") || h.acceptedCounts() != [2]int{} {
		t.Errorf("got exit %d, accepted messages %v and standard error %s; want exit 2, no message and that the start is in the past", exit, h.acceptedCounts(), errOut)
	}
	if _, errOut, exit := h.run(append(send, "--on-missing", "skip", "--wait")...); exit != exitNotAll || h.acceptedCounts() != [2]int{1, 2} {
		t.Errorf("got exit %d, accepted messages %v and standard error %s; want exit 3 and messages [1 2]", exit, h.acceptedCounts(), errOut)
	}
	if last := h.gateway.Gateway("kobo").LastAccepted(); last.Body != "Hi Wanjiku" {
		t.Errorf("the gateway received %+v, want body %q", last, "Hi Wanjiku")
	}
}

func TestSendTest_PausedTestIsCancelled(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	h.gateway.FailNext(1, "campaign")
	_, errOut, exit := h.run(h.saleArgs("--yes")...)
	if exit != exitFailed || !strings.Contains(errOut, "the test was not sent and is cancelled: paused by gateway:") || h.acceptedCounts() != [2]int{} {
		t.Errorf("got exit %d and standard error %s; want exit 1, no message and that the test was cancelled", exit, errOut)
	}
	if all := h.campaigns(); len(all) != 1 || all[0].State != producer.Cancelled {
		t.Errorf("got campaigns %+v, want one that is cancelled", all)
	}
}

func TestSendTest_CancelledIfNoWorkerSendsIt(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker().end(t)
	var looks atomic.Int64
	a := &app{in: strings.NewReader(""), env: map[string]string{}, now: func() time.Time {
		return time.Now().Add(time.Duration(looks.Add(1)) * testTimeout / 20)
	}}
	for _, pair := range h.env {
		name, value, _ := strings.Cut(pair, "=")
		a.env[name] = value
	}
	var out, errOut bytes.Buffer
	a.out, a.err = &out, &errOut
	root := newRoot(a)
	root.SetArgs(h.saleArgs("--yes"))
	err := root.ExecuteContext(t.Context())
	if exitStatus(err) != exitFailed || !strings.Contains(err.Error(), "the test was not sent and is cancelled: no worker serves account kobo-main") {
		t.Errorf("got exit %d, error %v and standard error\n%s\nwant exit 1 and that no worker serves the account", exitStatus(err), err, errOut.String())
	}
	if all := h.campaigns(); len(all) != 1 || all[0].State != producer.Cancelled {
		t.Errorf("got campaigns %+v, want one that is cancelled", all)
	}
}
