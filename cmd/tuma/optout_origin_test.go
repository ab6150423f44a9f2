package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
)

func TestOptOutRemove_ByOrigin(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	list := filepath.Join(t.TempDir(), "list.csv")
	if err := os.WriteFile(list, []byte(`msisdn,sender,origin,at
254712000001,all,gateway:at:406,2026-11-28T08:00:00Z
254712000002,ACME,gateway:at:406,2026-11-28T08:00:00Z
254712000003,ACME,gateway:at:UserInBlackList,2026-11-28T08:00:00Z
254712000004,ACME,gateway:at2:406,2026-11-28T08:00:00Z
254712000005,all,import,2026-11-28T08:00:00Z
`), 0o600); err != nil {
		t.Fatal(err)
	}
	h.mustRun("optout", "import", list)
	left := func(args ...string) string {
		t.Helper()
		out, _ := h.mustRun(append([]string{"optout", "list"}, args...)...)
		var numbers []string
		for line := range strings.Lines(out) {
			numbers = append(numbers, line[9:12])
		}
		slices.Sort(numbers)
		return strings.Join(numbers, " ")
	}
	for _, step := range []struct {
		args []string
		want string
	}{
		{[]string{"--origin", "gateway:at"}, "001 002 003"},
		{[]string{"--origin", "gateway:at:406"}, "001 002"},
		{[]string{"--origin", "gateway:at:406", "--sender", "acme"}, "002"},
		{[]string{"--origin", "gateway:a"}, ""},
		{nil, "001 002 003 004 005"},
	} {
		if got := left(step.args...); got != step.want {
			t.Errorf("optout list %q: got the numbers that end with %q, want %q", step.args, got, step.want)
		}
	}
	if out, _ := h.mustRun("optout", "remove", "--origin", "gateway:at:406"); out != "2 numbers of origin gateway:at:406 removed\n" {
		t.Errorf("optout remove: got %q, want 2 numbers removed", out)
	}
	if got := left(); got != "003 004 005" {
		t.Errorf("after the removal of one code: got %q, want 003 004 005", got)
	}
	if out, _ := h.mustRun("optout", "remove", "--origin", "gateway:at", "--sender", "ACME", "--json"); !strings.Contains(out, `"removed": 1`) {
		t.Errorf("optout remove --json: got %q, want 1 removed", out)
	}
	if got := left(); got != "004 005" {
		t.Errorf("after the removal of an account: got %q, want 004 005", got)
	}
	if _, errOut, exit := h.run("optout", "remove", "0712000004", "--origin", "gateway:at"); exit != exitMisuse || !strings.Contains(errOut, "--origin") {
		t.Errorf("numbers and --origin: got exit status %d and %q, want a usage error that names --origin", exit, errOut)
	}
}
