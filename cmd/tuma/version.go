package main

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"
)

// version is the release. The Makefile sets version with -X main.version=v1.2.3. In a binary that go
// install or go build made, version is empty, and the build information of the binary names the
// release.
var version string

func newVersion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Version prints the release, the Go version and platform of the build, and the
commit and its time if the binary contains them. A build between two releases
prints a pseudo-version or a commit instead of a release. The ending "-dirty"
means that the source had changes that were not committed.`,
		Example: "  tuma version",
		Args:    takes(),
		RunE: a.verb(func(context.Context, []string) error {
			info, _ := debug.ReadBuildInfo()
			_, err := fmt.Fprintln(a.out, versionLine(version, info))
			return err
		}),
	}
}

// versionLine returns the line that `tuma version` prints. The parameter "release" is the version that the
// linker set, or empty. The parameter "info" is the build information of the binary, or nil.
func versionLine(release string, info *debug.BuildInfo) string {
	b := readBuild(info)
	line := fmt.Sprintf("tuma %s %s %s/%s", b.release(release), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if b.revision != "" {
		line += " commit " + b.shortRevision()
		if b.time != "" {
			line += " " + b.time
		}
	}
	return line
}

// build has the facts that a binary contains about the source code it was built from.
type build struct {
	module   string // version of the main module, empty if Go does not know it
	revision string // full hash of the commit, empty outside of a repository
	time     string // time of the commit, RFC 3339 in UTC
	modified bool   // whether the source had changes that were not committed
}

func readBuild(info *debug.BuildInfo) build {
	if info == nil {
		return build{}
	}
	b := build{module: info.Main.Version}
	if b.module == "(devel)" {
		b.module = ""
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.revision = s.Value
		case "vcs.time":
			b.time = s.Value
		case "vcs.modified":
			b.modified = s.Value == "true"
		}
	}
	return b
}

// release returns the version that the linker set, which is in the parameter "linker". If the linker did not
// set a version, release returns the version of the module, or else the commit. If all three are unknown, it
// returns "devel".
func (b build) release(linker string) string {
	// go build marks changes as "+dirty", and git describe as "-dirty". The method "release"
	// returns a name that ends in "-dirty" in both cases.
	module, modified := strings.CutSuffix(b.module, "+dirty")
	var name string
	switch {
	case linker != "":
		return linker // the Makefile made this name with git describe
	case module != "":
		name = module
	case b.revision != "":
		name = b.shortRevision()
	default:
		return "devel"
	}
	if modified || b.modified {
		name += "-dirty"
	}
	return name
}

// shortRevision returns the first digits of the commit, as many as a pseudo-version has.
func (b build) shortRevision() string { return b.revision[:min(len(b.revision), 12)] }
