package main

import (
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/internal/simulator"
)

func TestKeys_CreateListRevoke(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	out, errOut := h.mustRun("keys", "create", "--name", "shop", "--scopes", "send,read", "--accounts", "kobo-main", "--daily", "50000", "--expires-in", "90d")
	secret := strings.TrimSpace(out)
	id := strings.Split(secret, "_")[1]
	if !strings.HasPrefix(secret, "tuma_") || len(secret) < 50 || !strings.Contains(errOut, id) || strings.Contains(errOut, secret) {
		t.Errorf("got %q and %q; want the key alone on standard output", out, errOut)
	}
	list, _ := h.mustRun("keys", "list")
	if !strings.Contains(list, id) || !strings.Contains(list, "50,000") || strings.Contains(list, secret) {
		t.Errorf("the list is\n%s; want the ID and the limit, without the key", list)
	}
	if out, _ := h.mustRun("keys", "list", "--json"); !strings.Contains(out, `"accounts": [`) || strings.Contains(out, "hash") {
		t.Errorf("the list in JSON is %s; want the accounts, and no hash", out)
	}
	h.mustRun("keys", "revoke", id)
	if _, errOut, exit := h.run("keys", "revoke", id); exit != exitMisuse || strings.Count(errOut, "\n") != 1 {
		t.Errorf("the second revoke: exit %d and %s; want exit 2 and one line", exit, errOut)
	}
	if out, _ := h.mustRun("audit"); !strings.Contains(out, "key.create  "+id) || !strings.Contains(out, "key.revoke  "+id) || strings.Contains(out, secret) {
		t.Errorf("the audit log is\n%s; want both changes", out)
	}
	if out, _ := h.mustRun("audit", "--json"); strings.Count(out, "\n") != 2 {
		t.Errorf("the audit log in JSON is\n%s; want two lines", out)
	}
}

func TestKeys_MistakesAtOnce(t *testing.T) {
	t.Parallel()
	h := newFixture(t, simulator.Options{})
	_, errOut, exit := h.run("keys", "create", "--scopes", "all", "--daily", "-1")
	for _, want := range []string{"name", `scope "all"`, "negative"} {
		if exit != exitMisuse || !strings.Contains(errOut, want) {
			t.Errorf("got exit %d and %s; want exit 2 and %q", exit, errOut, want)
		}
	}
	if _, errOut, exit := h.run("keys", "create", "--name", "x", "--scopes", "read", "--expires-in", "soon"); exit != exitMisuse || !strings.Contains(errOut, "--expires-in") {
		t.Errorf("got exit %d and %s; want exit 2 and the flag", exit, errOut)
	}
}
