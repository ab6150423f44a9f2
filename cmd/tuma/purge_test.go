package main

import (
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

func TestPurge_OnlyAfterTheEnd(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	list := h.file("list.csv", "phone\n0712345678\n0712345679\n")
	send := []string{"send", "--id", "sale", "--via", "kobo-main", "--body", "Hello", "--class", "transactional", "--file", list}
	h.mustRun(append(send, "--start-at", "in 2h")...)
	if _, errOut, exit := h.run("purge", "sale"); exit != exitFailed || !strings.Contains(errOut, "tuma cancel sale") || strings.Count(errOut, "\n") != 1 {
		t.Errorf("before the end: got exit %d and standard error %s; want exit 1 and one line that names tuma cancel", exit, errOut)
	}
	h.mustRun("reschedule", "sale", "now")
	eventually(t, "the campaign to be done", func() bool { return h.status("sale").State == producer.Done })
	if out, _ := h.mustRun("purge", "sale"); out != "sale is purged\n" {
		t.Errorf("got output %q, want sale is purged", out)
	}
	for _, args := range [][]string{{"status", "sale"}, {"results", "sale"}, {"purge", "sale"}} {
		if _, errOut, exit := h.run(args...); exit != exitMisuse || !strings.Contains(errOut, "sale") {
			t.Errorf("%s after the purge: got exit %d and standard error %s, want exit 2", args, exit, errOut)
		}
	}
	if out, _ := h.mustRun("find", "0712345678", "--country", "KE"); strings.Contains(out, "sale") {
		t.Errorf("find after the purge: got output %q, want no row of the campaign", out)
	}
	if n := h.gateway.Stats().Accepted; n != 2 {
		t.Errorf("the gateway has accepted %d messages, want 2", n)
	}
}
