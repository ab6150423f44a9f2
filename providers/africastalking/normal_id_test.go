package africastalking

import (
	"strings"
	"testing"
)

func TestNormalID_CaseAndLeadingZeros(t *testing.T) {
	t.Parallel()
	const id = "ATXid_00a1b2c3d4e5f60718293a4b5c6d7e8f"
	for _, text := range []string{id, strings.ToUpper(id), "atxid_" + id[6:], "ATXid_A1B2C3D4E5F60718293A4B5C6D7E8F", " " + id + " "} {
		if got := messageID(text); got != id {
			t.Errorf("%q: got %q, want %q", text, got, id)
		}
	}
	for _, text := range []string{"ATXid_1", "ATXid_", "AbC", "ATXid_zza1b2c3d4e5f60718293a4b5c6d7e8f", id + "0"} {
		if got := messageID(text); got != text {
			t.Errorf("%q: got %q, want it unchanged", text, got)
		}
	}
}
