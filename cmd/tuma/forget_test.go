package main

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/forget"
	"github.com/tuma-sms/tuma/internal/inbox"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/simulator"
)

// gone is the number that the tests forget.
const gone = "254712345001"

// newForgetting returns a fixture that has the number `gone` in several places: in two ended campaigns, an open
// campaign, a message, the inbox and a suppression list.
func newForgetting(t *testing.T) *fixture {
	t.Helper()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	list := h.file("list.csv", "number,name\n254712345000,Achieng\n"+gone+",Wanjiku\n0712345001,Wanjiku\n254712345002,Otieno\n")
	for id, body := range map[string]string{"plain": "Hello", "named": "Hello {{name}}"} {
		h.mustRun("send", "--id", id, "--via", "kobo-main", "--body", body, "--file", list, "--wait", "--yes")
	}
	h.mustRun("send", "--id", "later", "--via", "kobo-main", "--body", "Hello", "--file", list, "--start-at", "2099-01-01T00:00:00Z")
	h.mustRun("message", "send", "--id", "code", "--via", "kobo-main", "--to", gone, "--body", "Code 4711", "--ref", "Wanjiku-7", "--keep-body", "--wait")
	box := inbox.New(script.NewRunner(h.redis.Client(), script.Durability{}), 0, 0)
	_, err1 := box.Take(t.Context(), inbox.Message{Account: "at", ID: "1", From: gone, Text: "Hello"}, nil)
	_, err2 := box.Take(t.Context(), inbox.Message{Account: "at", ID: "2", From: "254712345002", Text: "Hello"}, nil)
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	h.mustRun("optout", "add", gone)
	return h
}

func TestForget_RemovesAPersonAndSaysWhatStays(t *testing.T) {
	t.Parallel()
	h := newForgetting(t)
	counts, _ := h.mustRun("status", "named", "--json")
	run := func(args ...string) (r forget.Result) {
		t.Helper()
		out, _ := h.mustRun(append([]string{"forget", "0712345001", "--json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	want := func(step string, r forget.Result, rows, inbound, events int) {
		t.Helper()
		if r.Rows != rows || r.Inbound != inbound || r.Events != events || !slices.Equal(r.Open, []string{"later"}) || !slices.Equal(r.Lists, []string{"*"}) || len(r.NoRetry)+len(r.Unreadable) > 0 {
			t.Errorf("%s: got %+v, want %d rows, %d messages and %d events, and the open campaign and the list named", step, r, rows, inbound, events)
		}
	}
	want("dry run", run("--dry-run"), 5, 1, 2)
	want("the first run", run("--ref", "request-17"), 5, 1, 2)
	want("the second run", run(), 0, 0, 0)
	var found struct{ Messages []struct{ Campaign string } }
	if out, _ := h.mustRun("find", gone, "--json"); json.Unmarshal([]byte(out), &found) != nil || len(found.Messages) != 2 || found.Messages[0].Campaign != "later" {
		t.Errorf("find still finds %s; want only the two rows of the campaign that has not begun", out)
	}
	for _, id := range []string{"plain", "named"} {
		out, _ := h.mustRun("results", id, "--format", "csv")
		if strings.Contains(out, "12345001") || !strings.Contains(out, "254712345000") || !strings.Contains(out, "254712345002") || strings.Count(out, "forgotten") != 2 {
			t.Errorf("results of %s:\n%s\nwant the two other numbers and two forgotten rows", id, out)
		}
	}
	after, _ := h.mustRun("status", "named", "--json")
	out, _ := h.mustRun("message", "status", "code", "--json")
	if after != counts || strings.Contains(out, "12345001") || strings.Contains(out, "4711") || strings.Contains(out, "Wanjiku") {
		t.Errorf("the status was\n%sand is\n%swant the same; the message is %s, want no number, text and reference", counts, after, out)
	}
	if out, _ := h.mustRun("inbox"); strings.Contains(out, gone) || !strings.Contains(out, "254712345002") {
		t.Errorf("the inbox is\n%s; want the message of the other number", out)
	}
	if out, _ := h.mustRun("audit"); !strings.Contains(out, "number.forget  request-17  5 rows in 3 campaigns") || strings.Contains(out, "12345001") {
		t.Errorf("the audit log is\n%s; want the counts and the reference, without the number", out)
	}
	h.mustRun("cancel", "later", "--yes")
	if r := run(); r.Rows != 2 || len(r.Open) > 0 {
		t.Errorf("after the end: got %+v, want the two rows of the open campaign removed", r)
	}
}

func TestForget_ContinuesAfterABound(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	for _, id := range []string{"a", "b", "c"} {
		h.mustRun("message", "send", "--id", id, "--via", "kobo-main", "--to", "254712345001", "--body", "Hello", "--wait")
	}
	rows, after := 0, ""
	for range 3 {
		out, _ := h.mustRun("forget", "254712345001", "--max-campaigns", "1", "--json", "--after", after)
		var r struct {
			Rows int
			Next string
		}
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		rows, after = rows+r.Rows, r.Next
	}
	if rows != 3 || after != "" {
		t.Errorf("got %d rows and the cursor %q after three runs, want 3 and none", rows, after)
	}
	for _, args := range [][]string{{"forget", "12"}, {"forget", "254712345001", "--after", "x"}, {"forget", "254712345001", "--max-campaigns", "0"}} {
		if _, errOut, exit := h.run(args...); exit != exitMisuse {
			t.Errorf("%v: got exit %d and %s, want 2", args, exit, errOut)
		}
	}
}
