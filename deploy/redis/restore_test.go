package redis

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/tuma-sms/tuma/deploy/deploytest"
)

// installation is a Tuma whose parts run as processes. All commands use the tuma.yaml of the
// folder "dir". The field "sandbox" is the address of the sandbox.
type installation struct {
	t            *testing.T
	dir, sandbox string
}

// newInstallation starts the sandbox and writes a tuma.yaml with an account at a gateway without idempotency
// keys, and a second account for markers.
func newInstallation(t *testing.T) *installation {
	t.Helper()
	in := &installation{t: t, dir: t.TempDir(), sandbox: deploytest.FreeAddress(t)}
	deploytest.Start(t, in.dir, nil, deploytest.Tuma(t), "sandbox", "--listen", in.sandbox)
	deploytest.Wait(t, "the sandbox", func() bool { return deploytest.Listens(in.sandbox) })
	text := fmt.Sprintf(`accounts:
  at: {provider: africastalking, base_url: 'http://%[1]s/africastalking', username: any, api_key: any, rate: 100/s, burst: 1, max_recipients: 10, sender: ACME}
  marker: {provider: kobo, base_url: 'http://%[1]s/kobo', user: any, pass: any, sender: ACME}
default_country: NG
windows: off
`, in.sandbox)
	if err := os.WriteFile(filepath.Join(in.dir, "tuma.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return in
}

// The method "must" runs a tuma command with the Redis at an address. It fails the test if the command fails.
func (in *installation) must(redis string, args ...string) string {
	in.t.Helper()
	out, status := deploytest.Run(in.t, in.dir, []string{"TUMA_REDIS_URL=redis://" + redis}, deploytest.Tuma(in.t), args...)
	if status != 0 {
		in.t.Fatalf("tuma %v: status %d: %s", args, status, out)
	}
	return out
}

// The method "worker" starts a worker and waits until it is ready.
func (in *installation) worker(redis string) *deploytest.Process {
	in.t.Helper()
	probes := deploytest.FreeAddress(in.t)
	p := deploytest.Start(in.t, in.dir, []string{"TUMA_REDIS_URL=redis://" + redis}, deploytest.Tuma(in.t), "worker", "--listen", probes)
	deploytest.Wait(in.t, "a ready worker", func() bool { return in.get("http://"+probes+"/readyz") == "ok\n" })
	return p
}

func (in *installation) get(url string) string {
	request, err := http.NewRequestWithContext(in.t.Context(), http.MethodGet, url, nil)
	if err != nil {
		in.t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer func() { _ = response.Body.Close() }()
	body, _ := io.ReadAll(response.Body)
	return string(body)
}

// The method "stats" returns how many messages the sandbox has accepted, and how many of them are duplicates.
func (in *installation) stats() (accepted, duplicates int) {
	in.t.Helper()
	var got struct{ Accepted, Duplicates int }
	if err := json.Unmarshal([]byte(in.get("http://"+in.sandbox+"/_sandbox/stats")), &got); err != nil {
		in.t.Fatal(err)
	}
	return got.Accepted, got.Duplicates
}

// The method "accepted" returns how many recipients of a campaign have the status "accepted".
func (in *installation) accepted(redis, id string) int {
	in.t.Helper()
	var got struct{ Accepted int }
	if err := json.Unmarshal([]byte(in.must(redis, "status", id, "--json")), &got); err != nil {
		in.t.Fatal(err)
	}
	return got.Accepted
}

// restore starts a Redis with the content of a backup, and then switches AOF on.
func (in *installation) restore(backup string) (address string) {
	in.t.Helper()
	dir := in.t.TempDir()
	content, err := os.ReadFile(backup)
	if err != nil {
		in.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "dump.rdb"), content, 0o600); err != nil {
		in.t.Fatal(err)
	}
	address = deploytest.FreeAddress(in.t)
	_, port, _ := net.SplitHostPort(address)
	deploytest.Start(in.t, dir, nil, deploytest.Tool(in.t, "redis-server", "redis-server"), "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--appendonly", "no")
	deploytest.Wait(in.t, "the restored Redis", func() bool { return deploytest.Listens(address) })
	cli := deploytest.Tool(in.t, "redis-cli", "redis-tools")
	if out, _ := deploytest.Run(in.t, dir, nil, cli, "-p", port, "CONFIG", "SET", "appendonly", "yes"); !strings.Contains(out, "OK") {
		in.t.Fatalf("appendonly: %s", out)
	}
	return address
}

// TestRestore follows the section "Backup and restore" of docs/operations.md. The test restores a Redis from a
// backup that was made in the middle of a campaign. With this Redis, the accounts are held at first, and Tuma
// sends nothing until the test releases them. Then Tuma repeats the messages that were sent after the backup.
func TestRestore(t *testing.T) {
	t.Parallel()
	in := newInstallation(t)
	cli := deploytest.Tool(t, "redis-cli", "redis-tools")
	old := deploytest.Redis(t, "--appendonly", "yes", "--repl-diskless-sync-delay", "0")
	worker := in.worker(old)
	var numbers strings.Builder
	const total = 400
	for i := range total {
		fmt.Fprintf(&numbers, "23480311%05d\n", i)
	}
	if err := os.WriteFile(filepath.Join(in.dir, "list.csv"), []byte("phone\n"+numbers.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	in.must(old, "send", "--id", "c", "--via", "at", "--body", "Hello.", "--file", "list.csv", "--yes")
	deploytest.Wait(t, "a campaign that has begun", func() bool { return in.accepted(old, "c") >= 50 })
	in.must(old, "rate", "at", "10/s") // at this rate the campaign is still being sent when the backup is made
	backup := filepath.Join(in.dir, "backup.rdb")
	oldHost, oldPort, _ := net.SplitHostPort(old)
	if out, status := deploytest.Run(t, in.dir, nil, cli, "-h", oldHost, "-p", oldPort, "--rdb", backup); status != 0 {
		t.Fatalf("backup: %s", out)
	}
	in.must(old, "rate", "at", "default")
	deploytest.Wait(t, "the end of the campaign", func() bool { return in.accepted(old, "c") == total })
	worker.Stop(t, syscall.SIGTERM)

	restored := in.restore(backup)
	before := in.accepted(restored, "c")
	if before < 50 || before >= total {
		t.Fatalf("the backup has %d accepted recipients, want some of %d", before, total)
	}

	in.must(restored, "hold", "at")
	in.must(restored, "hold", "marker")
	in.must(restored, "pause", "c")
	in.worker(restored)
	in.must(restored, "release", "marker")
	if err := os.WriteFile(filepath.Join(in.dir, "one.csv"), []byte("phone\n08039999999\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	in.must(restored, "send", "--via", "marker", "--body", "Marker.", "--file", "one.csv", "--yes", "--wait")
	if accepted, duplicates := in.stats(); accepted != total+1 || duplicates != 0 {
		t.Fatalf("the sandbox has %d messages and %d duplicates, want %d and none: the held ledger sent something", accepted, duplicates, total+1)
	}
	if now := in.accepted(restored, "c"); now != before {
		t.Errorf("the paused campaign has %d accepted recipients, want %d as in the backup", now, before)
	}

	// As docs/operations.md warns, the restored campaign now repeats the messages that were sent after the backup.
	in.must(restored, "rate", "at", "default")
	in.must(restored, "release", "at")
	in.must(restored, "resume", "c")
	deploytest.Wait(t, "the end of the restored campaign", func() bool { return in.accepted(restored, "c") == total })
	if _, duplicates := in.stats(); duplicates < total-before-100 || duplicates > total-before {
		t.Errorf("got %d duplicates, want about the %d messages that were sent after the backup", duplicates, total-before)
	}
}
