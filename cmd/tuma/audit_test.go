package main

import (
	"encoding/json"
	"os/user"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/audit"
	"github.com/tuma-sms/tuma/internal/simulator"
)

// entries returns the audit log of the fixture.
func (h *fixture) entries() (all []audit.Entry) {
	h.t.Helper()
	out, _ := h.mustRun("audit", "--json")
	for line := range strings.Lines(out) {
		var e audit.Entry
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			h.t.Fatal(err)
		}
		all = append(all, e)
	}
	return all
}

// TestAudit_HasEveryCommandThatChangesSomething runs the commands in order. Each command that changes something
// has one entry in the audit log. The other commands have no entry.
func TestAudit_HasEveryCommandThatChangesSomething(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	h.startWorker()
	list := h.file("list.txt", "254712345001\n254712345002\n")
	steps := []struct{ run, what, object, detail string }{
		{"send --id later --via kobo-main --body Hello --start-at 2099-01-01T00:00:00Z --file " + list, "campaign.create", "later", "2 recipients"},
		{"send --id later --via kobo-main --body Hello --start-at 2099-01-01T00:00:00Z --file " + list, "", "", ""}, // again
		{"reschedule later 2099-01-02T03:04:05Z", "campaign.reschedule", "later", "2099-01-02T03:04:05Z"},
		{"pause later", "campaign.pause", "later", ""},
		{"resume later", "campaign.resume", "later", ""},
		{"cancel later --yes", "campaign.cancel", "later", ""},
		{"purge later --yes", "campaign.purge", "later", ""},
		{"hold kobo-main --reason maintenance", "account.hold", "kobo-main", "maintenance"},
		{"release kobo-main", "account.release", "kobo-main", ""},
		{"rate kobo-main 80/s", "account.rate", "kobo-main", "80/s"},
		{"rate kobo-main default", "account.rate", "kobo-main", "default"},
		{"optout add 254712345003", "optout.add", "", "1 numbers"},
		{"optout import " + list + " --sender ACME", "optout.add", "ACME", "2 numbers"},
		{"optout remove 254712345003", "optout.remove", "", "1 numbers"},
		{"optout remove --origin import --sender ACME", "optout.remove", "ACME", "2 numbers of origin import"},
		{"status later", "", "", ""},
		{"optout list", "", "", ""},
		{"message send --via kobo-main --to 254712345004 --body Hello --wait", "", "", ""},
	}
	who := ""
	if u, err := user.Current(); err == nil {
		who = u.Username + "@"
	}
	for _, s := range steps {
		before := len(h.entries())
		_, errOut, exit := h.run(strings.Fields(s.run)...)
		if exit != exitDone && s.what != "" {
			t.Fatalf("%s: got exit %d and %s", s.run, exit, errOut)
		}
		after := h.entries()[before:]
		switch {
		case s.what == "" && len(after) > 0:
			t.Errorf("%s: got %+v, want no entry", s.run, after)
		case s.what != "" && len(after) != 1:
			t.Errorf("%s: got %d entries, want one", s.run, len(after))
		case s.what != "":
			if e := after[0]; e.What != s.what || e.Object != s.object || e.Detail != s.detail || !strings.HasPrefix(e.Who, who) || e.At.IsZero() {
				t.Errorf("%s: got %+v, want %s, %q, %q by %s", s.run, e, s.what, s.object, s.detail, who)
			}
		}
	}
	if out, _ := h.mustRun("audit"); strings.Contains(out, "2547") {
		t.Errorf("the audit log has a number:\n%s", out)
	}
}
