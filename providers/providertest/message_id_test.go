package providertest

import "testing"

func TestHasID(t *testing.T) {
	t.Parallel()
	const id = "ATXid_00a1b2c3"
	for reply, want := range map[string]bool{
		`{"id":"ATXid_00a1b2c3"}`: true,
		`{"id":"atXID_00A1B2C3"}`: true,
		`{"id":"ATXid_a1b2c3"}`:   true,
		`{"id":"ATXid_00a1b2c4"}`: false,
		`{"id":"ATXid_"}`:         false,
		"":                        false,
	} {
		if got := hasID([]byte(reply), id); got != want {
			t.Errorf("hasID of %s: got %v, want %v", reply, got, want)
		}
	}
	for _, id := range []string{"ATXid_000", "123"} {
		if hasID([]byte("ATXid_45"), id) {
			t.Errorf("hasID of %s: got true for a reply without it, want false", id)
		}
	}
}
