package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
	"github.com/tuma-sms/tuma/producer"
)

func TestFind_ShowsEveryMessageToANumber(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	list := h.file("list.csv", "name,phone\nAnn,0712345678\nBen,0722000000\nAnn,+254 712 345 678\n")
	for id, body := range map[string]string{"sale": "Hi {{name}}, half price", "news": "We open at 9"} {
		if out, errOut, exit := h.run("send", "--id", id, "--via", "kobo-main", "--body", body, "--file", list, "--wait"); exit != exitDone {
			t.Fatalf("send: got exit %d and output %s%s, want exit 0", exit, out, errOut)
		}
	}
	out, errOut := h.mustRun("find", "0712-345-678", "--json")
	var r producer.FindResult
	if err := json.Unmarshal([]byte(out), &r); err != nil || errOut != "" {
		t.Fatalf("find --json: %v\n%s%s", err, out, errOut)
	}
	if len(r.Messages) != 4 || r.MSISDN != "254712345678" || r.Campaigns != 2 || r.Recipients != 6 {
		t.Fatalf("got %+v, want 4 messages in 2 campaigns", r)
	}
	texts := map[string]bool{}
	for _, m := range r.Messages {
		texts[m.Text] = true
		if m.Row == 1 && (m.Status != "accepted" || m.MessageID == "" || m.Account != "kobo-main" || m.UpdatedAt.IsZero()) || m.Row == 3 && (m.Status != "skipped" || m.Reason != "duplicate") {
			t.Errorf("got the message %+v, want row 1 accepted and row 3 a duplicate", m)
		}
	}
	if !texts["Hi Ann, half price"] || !texts["We open at 9"] {
		t.Errorf("got the texts %v, want those of both campaigns", texts)
	}
	out, _ = h.mustRun("find", "712345678", "--country", "KE", "--limit", "10")
	for _, want := range []string{"254712345678: 4 messages in 2 campaigns since ", "sale, row 1: accepted\n", "  text        Hi Ann, half price\n", "news, row 3: skipped\n",
		"  reason   duplicate\n", "  message ID  " + r.Messages[0].MessageID + "\n", "  input    +254 712 345 678\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("find does not show %q:\n%s", want, out)
		}
	}
	out, errOut = h.mustRun("find", "+254712345678", "--limit", "1")
	_, cursor, found := strings.Cut(errOut, "tuma: the search ended at --limit; there are older campaigns. To continue: tuma find 254712345678 --after ")
	if !found || !strings.Contains(out, "254712345678: 2 messages in 1 campaign since ") {
		t.Fatalf("find --limit 1: got\n%s%s\nwant the two messages of one campaign, and how to continue", out, errOut)
	}
	if out, errOut = h.mustRun("find", "254712345678", "--after", strings.TrimSpace(cursor)); !strings.Contains(out, "254712345678: 2 messages in 1 campaign since ") || errOut != "" {
		t.Errorf("find --after: got\n%s%s\nwant the two messages of the other campaign", out, errOut)
	}
	if out, _ = h.mustRun("find", "+254733000000"); !strings.HasPrefix(out, "254733000000: 0 messages in 2 campaigns since ") {
		t.Errorf("find of a number without messages: got %s, want 0 messages in 2 campaigns", out)
	}
	for _, args := range [][]string{{"n/a"}, {"0712345678", "--country", "GB"}, {"254712345678", "--after", "x"}, {"254712345678", "--since", "x"}, {}} {
		if out, _, exit := h.run(append([]string{"find"}, args...)...); exit != exitMisuse || out != "" {
			t.Errorf("find %q: got exit %d and output %s, want exit 2", args, exit, out)
		}
	}
}
