package redistest

import (
	"os/exec"
	"testing"
)

// Missing begins the message of every test that was skipped because there is no
// redis-server; `make test` counts these lines and says how many tests did not run.
const Missing = "needs redis-server:"

const install = `install Redis 7.0 or newer (or set REDIS_SERVER to a redis-server or valkey-server):
  Debian, Ubuntu   apt-get install -y redis-server
  Fedora, RHEL     dnf install -y redis
  macOS            brew install redis
  Alpine           apk add redis`

// find says which redis-server to run: $REDIS_SERVER, else the one on PATH.
// Without one the test ends here.
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
	// The one skip of this house: without a Redis the tests that need none can still be run.
	t.Skipf("%s %v\n%s", Missing, err, install)
	return ""
}
