package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

func TestMessage_SendAndStatus(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{Texts: true})
	h.startWorker()
	send := []string{"message", "send", "--via", "kobo-main", "--to", "0712345678", "--country", "KE", "--body", "Your code is 1234", "--id", "otp-1", "--ref", "order 7"}
	out, _ := h.mustRun(append(send, "--wait", "--json")...)
	var st producer.MessageStatus
	if err := json.Unmarshal([]byte(out), &st); err != nil || st.Status != "accepted" || st.To != "254712345678" || st.Ref != "order 7" || st.Account != "kobo-main" || st.MessageID == "" {
		t.Errorf("got %s (%v), want an accepted message", out, err)
	}
	if out, _ := h.mustRun(send...); out != "otp-1\n" {
		t.Errorf("the same command again printed %q, want the ID", out)
	}
	if n := h.gateway.Stats().Accepted; n != 1 {
		t.Errorf("the gateway has accepted %d messages, want 1", n)
	}
	eventually(t, "the text to be deleted", func() bool {
		out, _ := h.mustRun("message", "status", "otp-1", "--json")
		return strings.Contains(out, `"body": ""`)
	})
	out, _ = h.mustRun("message", "status", "otp-1")
	for _, want := range []string{"message     otp-1\n", "ref         order 7\n", "to          254712345678\n", "status      accepted\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("the status is\n%s; want a line %q", out, want)
		}
	}
	if out, _ := h.mustRun("results", "otp-1"); !strings.Contains(out, ",order 7,") || !strings.Contains(out, ",1,") {
		t.Errorf("results are\n%s; want the reference and one segment", out)
	}
	if out, _ := h.mustRun("list"); strings.Contains(out, "otp-1") {
		t.Errorf("the list is\n%s; want no message", out)
	}
	if out, _ := h.mustRun("list", "--all"); !strings.Contains(out, "otp-1") {
		t.Errorf("the list of everything is\n%s; want the message", out)
	}
	kept := []string{"message", "send", "--via", "kobo-main", "--to", "0712345679", "--country", "KE", "--body", "Braces {{x}} stay", "--id", "kept", "--keep-body", "--wait"}
	h.mustRun(kept...)
	if out, _ := h.mustRun("message", "status", "kept", "--json"); !strings.Contains(out, "Braces {{x}} stay") {
		t.Errorf("got %s, want the text unchanged", out)
	}
	if got := h.gateway.Gateway("kobo").Text(254712345679); got != "Braces {{x}} stay" {
		t.Errorf("the gateway got %q", got)
	}
}

func TestMessage_MistakesAtOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	_, errOut, exit := h.run("message", "send", "--class", "urgent", "--expires-in", "soon")
	for _, want := range []string{"--to is missing", "--body is missing", "--class: ", "--expires-in: "} {
		if exit != exitMisuse || !strings.Contains(errOut, want) {
			t.Errorf("got exit %d and %s; want exit 2 and %q", exit, errOut, want)
		}
	}
	if _, errOut, exit := h.run("message", "status", "none"); exit != exitMisuse || strings.Count(errOut, "\n") != 1 {
		t.Errorf("an unknown message: exit %d, %s; want exit 2 and one line", exit, errOut)
	}
}

// A rejected message ends --wait with exit status 3. The text of the message is deleted, so the message
// cannot be retried.
func TestMessage_RejectedIsNotRetriedWithoutItsText(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	if err := h.gateway.Gateway("kobo").SetReply(simulator.Reject, 254712345678); err != nil {
		t.Fatal(err)
	}
	_, errOut, exit := h.run("message", "send", "--via", "kobo-main", "--to", "0712345678", "--country", "KE", "--body", "Hello", "--id", "m", "--wait")
	if exit != exitNotAll {
		t.Errorf("got exit %d and %s, want exit 3", exit, errOut)
	}
	eventually(t, "the text to be deleted", func() bool {
		out, _ := h.mustRun("message", "status", "m", "--json")
		return strings.Contains(out, `"body": ""`)
	})
	if _, errOut, exit := h.run("retry", "m", "--rejected", "--yes"); exit != exitFailed || !strings.Contains(errOut, "send a new message") {
		t.Errorf("the retry: got exit %d and %s; want exit 1 and what to do", exit, errOut)
	}
}
