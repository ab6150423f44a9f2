// Package gobuild builds the tuma command for other systems, and describes the modules in the binary.
package gobuild

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	cyclonedx "github.com/CycloneDX/cyclonedx-go"
)

// Release has the facts that all files of one release share.
type Release struct {
	// Root is the folder of the main module.
	Root string
	// Version is the release that `tuma version` prints, such as v1.2.0.
	Version string
	// Revision is the full hash of the commit. It is empty outside of a repository.
	Revision string
	// Time is the commit's time. It is the time of every file in an archive or image.
	Time time.Time
}

// Read returns the release of the commit that is checked out at the folder "root". If the
// parameter "version" is empty, Read names the release after the commit. Outside of a repository,
// the time is $SOURCE_DATE_EPOCH or, if that is not set, 1980-01-01, which is the earliest time
// that a zip file can store.
func Read(ctx context.Context, root, version string) (Release, error) {
	r := Release{Root: root, Version: version, Time: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	if out, err := output(ctx, root, nil, "git", "log", "-1", "--format=%H %ct"); err == nil {
		hash, seconds, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
		at, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil {
			return r, fmt.Errorf("time of commit %s: %w", hash, err)
		}
		r.Revision, r.Time = hash, time.Unix(at, 0).UTC()
	}
	if at, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		r.Time = time.Unix(at, 0).UTC()
	}
	if r.Version == "" {
		r.Version = "devel"
		if len(r.Revision) >= 12 {
			r.Version = r.Revision[:12]
		}
	}
	return r, nil
}

// Plain returns the version in the form of packages, without the leading v: 1.2.0. If the version is
// only a commit, Plain returns 0.0.0~COMMIT.
func (r Release) Plain() string {
	if plain, ok := strings.CutPrefix(r.Version, "v"); ok {
		return plain
	}
	return "0.0.0~" + r.Version
}

// Binary builds the tuma command for a system in the folder "dir", and returns its path. The parameter
// "tags" has build tags, separated by commas.
func (r Release) Binary(ctx context.Context, goos, goarch, tags, dir string) (string, error) {
	out := filepath.Join(dir, goos+"-"+goarch, "tuma")
	if goos == "windows" {
		out += ".exe"
	}
	env := []string{"CGO_ENABLED=0", "GOOS=" + goos, "GOARCH=" + goarch, "GOFLAGS="}
	_, err := output(ctx, r.Root, env, "go", "build", "-trimpath", "-tags", tags,
		"-ldflags", "-s -w -X main.version="+r.Version, "-o", out, "./cmd/tuma")
	return out, err
}

// SBOM returns the modules that a binary was built from, as a CycloneDX document in JSON. The same
// binary always gives the same bytes.
func (r Release) SBOM(ctx context.Context, binary string) ([]byte, error) {
	out, err := output(ctx, filepath.Join(r.Root, "deploy"), nil, "go", "tool", "cyclonedx-gomod", "bin",
		"-json", "-std", "-noserial", "-notimestamp", "-version", r.Version, binary)
	if err != nil {
		return nil, err
	}
	var bom cyclonedx.BOM
	if err := cyclonedx.NewBOMDecoder(bytes.NewReader(out), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return nil, fmt.Errorf("sbom of %s: %w", binary, err)
	}
	bom.Metadata.Tools = nil // Tools has hashes of the tool's binary, which differ between machines
	var written bytes.Buffer
	err = cyclonedx.NewBOMEncoder(&written, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(&bom)
	return written.Bytes(), err
}

// The function "output" runs a program in a folder, adds the parameter "env" to the environment, and
// returns the standard output.
func output(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, errOut.Bytes())
	}
	return out, nil
}
