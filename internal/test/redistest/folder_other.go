//go:build !linux

package redistest

import "testing"

// folder returns a new folder for the files of one server.
func folder(t testing.TB) string {
	t.Helper()
	return t.TempDir()
}
