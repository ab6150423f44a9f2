package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tuma-sms/tuma/deploy/gobuild"
)

// filesOf returns the names and contents of the files in a folder.
func filesOf(t *testing.T, dir string) (names []string, contents map[string][]byte) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	contents = map[string][]byte{}
	for _, entry := range entries {
		body, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		names, contents[entry.Name()] = append(names, entry.Name()), body
	}
	return names, contents
}

// The function "list" returns the output of a program. It fails the test if the program is not
// installed.
func list(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("needs %s: %v\napt-get install -y tar dpkg", name, err)
	}
	said, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, said)
	}
	return string(said)
}

// TestRelease builds the files for one system twice. Both builds must have the same bytes. An archive
// or a package must hold the files that its user expects.
func TestRelease(t *testing.T) {
	release, err := gobuild.Read(t.Context(), "../..", "v9.8.7")
	if err != nil {
		t.Fatal(err)
	}
	if release.Root, err = filepath.Abs(release.Root); err != nil {
		t.Fatal(err)
	}
	build := func() string {
		work, out := t.TempDir(), t.TempDir()
		shared, err := documents(t.Context(), release, work)
		if err != nil {
			t.Fatal(err)
		}
		binary, err := release.Binary(t.Context(), "linux", "amd64", "", work)
		if err != nil {
			t.Fatal(err)
		}
		if err := pack(t.Context(), release, "linux", "amd64", binary, shared, out); err != nil {
			t.Fatal(err)
		}
		if err := packages(release, "amd64", binary, shared, out); err != nil {
			t.Fatal(err)
		}
		if err := checksums(out); err != nil {
			t.Fatal(err)
		}
		return out
	}
	out := build()
	names, first := filesOf(t, out)
	want := []string{"SHA256SUMS", "tuma-9.8.7-1.x86_64.rpm", "tuma_9.8.7_amd64.deb", "tuma_9.8.7_linux_amd64.cdx.json", "tuma_9.8.7_linux_amd64.tar.gz"}
	if !slices.Equal(names, want) {
		t.Errorf("got the files %v, want %v", names, want)
	}
	if _, second := filesOf(t, build()); !bytes.Equal(first["SHA256SUMS"], second["SHA256SUMS"]) {
		t.Errorf("got the checksums\n%sand in a second build\n%s, want the same", first["SHA256SUMS"], second["SHA256SUMS"])
	}
	archived := list(t, "tar", "-tzf", filepath.Join(out, "tuma_9.8.7_linux_amd64.tar.gz"))
	for _, name := range []string{"bin/tuma", "share/man/man1/tuma-send.1", "share/bash-completion/completions/tuma", "share/doc/tuma/LICENSE"} {
		if !strings.Contains(archived, "tuma_9.8.7_linux_amd64/"+name+"\n") {
			t.Errorf("the archive has no %s, want it:\n%s", name, archived)
		}
	}
	installed := list(t, "dpkg-deb", "--contents", filepath.Join(out, "tuma_9.8.7_amd64.deb"))
	for _, name := range []string{"/usr/bin/tuma", "/usr/lib/systemd/system/tuma-worker.service", "/usr/share/man/man1/tuma-worker.1.gz", "/usr/share/zsh/site-functions/_tuma", "/etc/tuma/"} {
		if !strings.Contains(installed, "."+name+"\n") {
			t.Errorf("the deb has no %s, want it:\n%s", name, installed)
		}
	}
}

// TestUnit checks the unit file with systemd itself, which prints a line for each unknown key.
func TestUnit(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatalf("needs systemd-analyze: %v\napt-get install -y systemd", err)
	}
	unit, err := os.ReadFile("../systemd/tuma-worker.service")
	if err != nil {
		t.Fatal(err)
	}
	// This machine has neither the program nor its man page.
	text := strings.Replace(string(unit), "ExecStart=/usr/bin/tuma worker", "ExecStart=/bin/true worker", 1)
	text = strings.Replace(text, "Documentation=man:tuma-worker(1)\n", "", 1)
	verify := func(text string) string {
		path := filepath.Join(t.TempDir(), "tuma-worker.service")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		said, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", path).CombinedOutput()
		if err != nil && len(said) == 0 {
			t.Fatal(err)
		}
		return string(said)
	}
	if said := verify(text); said != "" {
		t.Errorf("got the complaints %q, want none", said)
	}
	if said := verify(strings.Replace(text, "ProtectSystem=", "ProtectSystm=", 1)); said == "" {
		t.Error("got no complaint about a misspelt key, want one: the check checks nothing")
	}
}
