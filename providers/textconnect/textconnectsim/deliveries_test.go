package textconnectsim_test

import (
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/providers/textconnect/textconnectsim"
)

// TestReport_EachMessageHasItsStatus checks that four answers of the gateway give every message the same
// status: the reports Messages, FailedMessages and Usage, and the status of a single message.
func TestReport_EachMessageHasItsStatus(t *testing.T) {
	t.Parallel()
	s, ask := tcServer(t)
	for name, value := range map[string]string{"report_fail": "0.3", "report_lost": "0.1"} {
		if known, err := textconnectsim.Of(s).SetOption(name, value); !known || err != nil {
			t.Fatalf("set %s: got known %t and the error %v, want a known option", name, known, err)
		}
	}
	var to []string
	for i := range 200 {
		to = append(to, strconv.Itoa(447860000000+i))
	}
	ids := strings.Split(ask(tcSend(to...)), ",")
	if len(ids) != len(to) {
		t.Fatalf("got %d ids, want %d", len(ids), len(to))
	}
	zone, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	report := func(kind string) [][]string {
		t.Helper()
		at := func(d time.Duration) string { return time.Now().Add(d).In(zone).Format("20060102150405") }
		got, err := csv.NewReader(strings.NewReader(ask(tcAct("Report", "ReportType", kind, "From", at(-time.Hour), "To", at(time.Hour))))).ReadAll()
		if err != nil {
			t.Fatalf("report %s: got the error %v, want none", kind, err)
		}
		return got[1:]
	}
	counts := map[string]int{}
	rows := report("Messages")
	if len(rows) != len(to) {
		t.Fatalf("got %d rows, want %d", len(rows), len(to))
	}
	failed := 0
	for i, r := range rows {
		state := r[4]
		counts[state]++
		if r[0] != ids[i] || r[2] != to[i] || (r[7] != "") != (state == "Delivered") {
			t.Errorf("got the row %q, want %s to %s, with a delivery date only if delivered", r, ids[i], to[i])
		}
		if got := ask(tcAct("CheckMessageStatus", "MessageID", r[0])); got != state {
			t.Errorf("message %s: the status is %q, and the report has %q", r[0], got, state)
		}
		if state != "Delivered" && state != "Sent" {
			failed++
		}
	}
	if d := counts["Delivered"]; d < 96 || d > 156 || counts["Sent"] < 6 || counts["Sent"] > 40 || len(counts) != 7 {
		t.Errorf("got %v, want about 126 delivered, 20 sent, and 54 that failed for five reasons", counts)
	}
	if got := report("FailedMessages"); len(got) != failed || slices.ContainsFunc(got, func(r []string) bool { return r[4] == "Delivered" || r[4] == "Sent" }) {
		t.Errorf("report of failed messages: got %d rows, want the %d that failed", len(got), failed)
	}
	for _, r := range report("Usage") {
		if strconv.Itoa(counts[r[0]]) != r[1] {
			t.Errorf("report of usage: got %q, want %d", r, counts[r[0]])
		}
	}
}
