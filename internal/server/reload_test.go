package server

import (
	"net/http"
	"slices"
	"testing"

	"github.com/tuma-sms/tuma/providers"
)

// After a reload only the new secrets open the doors. A configuration with a mistake changes nothing.
func TestReload_NewSecrets(t *testing.T) {
	t.Parallel()
	r := newRig(t, nil)
	open := func(secret providers.Secret) bool {
		t.Helper()
		w := r.post("/callbacks/acme/"+string(secret)+"/optout", "senderId", "ACME", "phoneNumber", "+254712345678")
		if w.Code != http.StatusOK && w.Code != http.StatusNotFound {
			t.Errorf("status %d", w.Code)
		}
		return w.Code == http.StatusOK
	}
	if !open(firstSecret) || open(secondSecret) {
		t.Fatal("before the reload the first secret must be the only one")
	}
	next := r.server.cfg
	next.Accounts = slices.Clone(next.Accounts)
	next.Accounts[1].Secrets = []providers.Secret{secondSecret}
	r.ok(r.server.Reload(next))
	if open(firstSecret) || !open(secondSecret) {
		t.Error("after the reload the second secret must be the only one")
	}
	wrong := next
	wrong.Accounts = slices.Clone(next.Accounts)
	wrong.Accounts[1].Secrets = []providers.Secret{"short"}
	if err := r.server.Reload(wrong); err == nil {
		t.Error("a secret that is too short was taken")
	}
	if open(firstSecret) || !open(secondSecret) {
		t.Error("a reload with a mistake changed the secrets")
	}
}
