package main

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/inbox"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

func TestInbox_PrintsMessagesInOrder(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	box := inbox.New(script.NewRunner(h.redis.Client(), script.Durability{}), 0, 0)
	for _, m := range []inbox.Message{
		{Account: "at", ID: "1", From: "254711000001", To: "20414", Text: "STOP", Word: inbox.Stop, At: time.Now()},
		{Account: "tc", ID: "1", From: "447400123456", Text: "line one\nline two\x1b[31m <b>"},
		{Account: "at", ID: "2", From: "MPESA", Text: "ok"},
	} {
		if _, err := box.Take(t.Context(), m, nil); err != nil {
			t.Fatal(err)
		}
	}
	out, errOut := h.mustRun("inbox")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 3 || errOut != "" {
		t.Fatalf("inbox prints\n%s%s\nwant three lines", out, errOut)
	}
	for i, want := range []string{"  at  254711000001 > 20414  [stop]  STOP", "  tc  447400123456  line one line two [31m <b>", "  at  MPESA  ok"} {
		if !strings.HasSuffix(lines[i], want) {
			t.Errorf("line %d is %q; want it to end with %q", i, lines[i], want)
		}
	}
	out, _ = h.mustRun("inbox", "--json", "--account", "at")
	var got []producer.Inbound
	for line := range strings.Lines(out) {
		var m producer.Inbound
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("line %s: %v", line, err)
		}
		got = append(got, m)
	}
	if len(got) != 2 || got[0].Text != "STOP" || got[0].Word != "stop" || got[1].ID != "2" || got[0].StoredAt.IsZero() || !got[1].At.IsZero() {
		t.Fatalf("inbox --json --account at: %+v; want the two messages of at", got)
	}
	if out, _ = h.mustRun("inbox", "--json", "--after", got[0].Cursor); strings.Count(out, "\n") != 2 {
		t.Errorf("inbox --after the first message prints\n%swant two lines", out)
	}
	if out, _, exit := h.run("inbox", "--after", "yesterday"); exit != exitMisuse || out != "" {
		t.Errorf("inbox --after yesterday: exit %d, output %s; want exit 2", exit, out)
	}
}

func TestEvents_PrintsIncomingMessagesWithoutTheirText(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	box := inbox.New(script.NewRunner(h.redis.Client(), script.Durability{}), 0, 0)
	for _, m := range []inbox.Message{
		{Account: "at", ID: "1", From: "254711000001", To: "20414", Text: "STOP", Word: inbox.Stop},
		{Account: "at", ID: "2", From: "a\x1b[31m", Text: "hello"},
	} {
		if _, err := box.Take(t.Context(), m, nil); err != nil {
			t.Fatal(err)
		}
	}
	out, _ := h.mustRun("events")
	if strings.Count(out, "inbound.received  at  ") != 2 || strings.ContainsAny(out, "\x1b") || strings.Contains(out, "hello") {
		t.Errorf("events prints\n%swant two lines without texts and control characters", out)
	}
	out, _ = h.mustRun("events", "--json")
	var first producer.Event
	if err := json.Unmarshal([]byte(strings.SplitAfter(out, "\n")[0]), &first); err != nil || first.Word != "stop" {
		t.Fatalf("events --json prints %s, error %v", out, err)
	}
	if out, _ = h.mustRun("events", "--json", "--after", first.Cursor); strings.Count(out, "\n") != 1 {
		t.Errorf("events --after the first event prints\n%swant one line", out)
	}
	if _, _, exit := h.run("events", "--after", "yesterday"); exit != exitMisuse {
		t.Errorf("events --after yesterday: exit %d; want 2", exit)
	}
}
