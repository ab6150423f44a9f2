package main

import (
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion_NamesTheTagOrTheCommit(t *testing.T) {
	t.Parallel()
	const commit = "177aebf9c0de00112233445566778899aabbccdd"
	built := " " + runtime.Version() + " " + runtime.GOOS + "/" + runtime.GOARCH
	info := func(module string, settings ...string) *debug.BuildInfo {
		b := &debug.BuildInfo{Main: debug.Module{Path: "github.com/tuma-sms/tuma", Version: module}}
		for i := 0; i+1 < len(settings); i += 2 {
			b.Settings = append(b.Settings, debug.BuildSetting{Key: settings[i], Value: settings[i+1]})
		}
		return b
	}
	for name, c := range map[string]struct {
		linker string
		info   *debug.BuildInfo
		want   string
	}{
		"make build at a tag": {"v0.1.0", info("v0.1.0", "vcs.revision", commit, "vcs.time", "2026-11-28T09:46:13Z", "vcs.modified", "false"),
			"tuma v0.1.0" + built + " commit 177aebf9c0de 2026-11-28T09:46:13Z"},
		"make build with changes": {"v0.1.0-3-g177aebf9c0de-dirty", info("v0.1.1-0.20261128094613-177aebf9c0de+dirty", "vcs.modified", "true"),
			"tuma v0.1.0-3-g177aebf9c0de-dirty" + built},
		"go install of a tag": {"", info("v0.1.0"), "tuma v0.1.0" + built},
		"go build at a commit": {"", info("v0.1.1-0.20261128094613-177aebf9c0de", "vcs.revision", commit),
			"tuma v0.1.1-0.20261128094613-177aebf9c0de" + built + " commit 177aebf9c0de"},
		"go build with changes": {"", info("v0.1.0+dirty", "vcs.modified", "true"), "tuma v0.1.0-dirty" + built},
		"a commit alone":        {"", info("(devel)", "vcs.revision", commit), "tuma 177aebf9c0de" + built + " commit 177aebf9c0de"},
		"a commit with changes": {"", info("(devel)", "vcs.revision", commit, "vcs.modified", "true"), "tuma 177aebf9c0de-dirty" + built + " commit 177aebf9c0de"},
		"no repository":         {"", info("(devel)"), "tuma devel" + built},
		"no build information":  {"", nil, "tuma devel" + built},
	} {
		if got := versionLine(c.linker, c.info); got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestVersion_CommandPrintsOneLine(t *testing.T) {
	t.Parallel()
	out, _ := newCLI(t, "").mustRun("version")
	if !regexp.MustCompile(`^tuma \S+ go\S+ \w+/\w+( commit [0-9a-f]{12}( \S+)?)?\n$`).MatchString(out) {
		t.Errorf("tuma version printed %q, want one line: release, Go version, platform and commit", out)
	}
}

// TestVersion_SetByMakeBuild checks that the Makefile sets the variable "version" of this package. The
// linker ignores a variable that does not exist, so no build fails if the names differ.
func TestVersion_SetByMakeBuild(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("make"); err != nil {
		t.Fatal("this test needs make: apt-get install -y make")
	}
	for _, target := range []string{"build", "cross"} {
		out, err := exec.CommandContext(t.Context(), "make", "-n", "-C", "../..", target, "VERSION=v9.8.7").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "-X main.version=v9.8.7") {
			t.Errorf("make -n %s: got error %v and output\n%s\nwant -X main.version=v9.8.7", target, err, out)
		}
	}
}
