package redistest

import (
	"os/exec"
	"testing"
)

// Missing begins the message of every test that is skipped because redis-server is not installed. `make test` counts
// these messages and reports how many tests did not run.
const Missing = "needs redis-server:"

const install = `install Redis 7.0 or newer (or set REDIS_SERVER to a redis-server or valkey-server):
  Debian, Ubuntu   apt-get install -y redis-server
  Fedora, RHEL     dnf install -y redis
  macOS            brew install redis
  Alpine           apk add redis`

// The function "find" returns the path of redis-server. The path is $REDIS_SERVER or, if this variable is empty, the
// redis-server on PATH. If the server is missing, the function skips the test. But if REDIS_SERVER is set or
// TUMA_REQUIRE_REDIS is 1, it fails the test.
func find(t testing.TB, getenv func(string) string) string {
	t.Helper()
	name := getenv("REDIS_SERVER")
	if name == "" {
		name = "redis-server"
	}
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if getenv("TUMA_REQUIRE_REDIS") == "1" || getenv("REDIS_SERVER") != "" {
		t.Fatalf("%s %v\n%s", Missing, err, install)
	}
	// This is the only skip in this repository. Without a redis-server, all other tests can still run.
	t.Skipf("%s %v\n%s", Missing, err, install)
	return ""
}
