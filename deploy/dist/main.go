// Command dist builds the files of a release: archives for Linux, macOS and Windows, deb and rpm
// packages with a systemd unit, SBOMs, and SHA256SUMS. Archives and packages hold the man pages and
// the shell completions. For one commit and one version of Go, the bytes are the same on every
// machine.
package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/tuma-sms/tuma/deploy/archive"
	"github.com/tuma-sms/tuma/deploy/gobuild"
)

// targets are the systems for which archives are built.
var targets = []struct{ goos, goarch string }{
	{"linux", "amd64"}, {"linux", "arm64"}, {"darwin", "amd64"}, {"darwin", "arm64"}, {"windows", "amd64"},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root := flag.String("root", "..", "`folder` of the main module")
	version := flag.String("version", "", "`version` of the release; default: the commit")
	out := flag.String("out", "../dist/release", "`folder` for the files; it is replaced if it exists")
	flag.Parse()
	if err := run(ctx, *root, *version, *out); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, root, version, out string) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	if out, err = filepath.Abs(out); err != nil {
		return err
	}
	release, err := gobuild.Read(ctx, root, version)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "tuma-dist-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	shared, err := documents(ctx, release, work)
	if err != nil {
		return err
	}
	for _, t := range targets {
		binary, err := release.Binary(ctx, t.goos, t.goarch, "", filepath.Join(work, "bin"))
		if err != nil {
			return err
		}
		if err := pack(ctx, release, t.goos, t.goarch, binary, shared, out); err != nil {
			return fmt.Errorf("%s/%s: %w", t.goos, t.goarch, err)
		}
		if t.goos != "linux" {
			continue
		}
		if err := packages(release, t.goarch, binary, shared, out); err != nil {
			return fmt.Errorf("packages for linux/%s: %w", t.goarch, err)
		}
	}
	return checksums(out)
}

// The function "documents" returns the files that every archive and package holds beside the binary: man pages,
// completions, README, licence. It builds tuma for this machine, and runs the built command to make the man pages and
// the completions.
func documents(ctx context.Context, release gobuild.Release, work string) ([]archive.File, error) {
	tuma, err := release.Binary(ctx, runtime.GOOS, runtime.GOARCH, "", filepath.Join(work, "host"))
	if err != nil {
		return nil, err
	}
	man := filepath.Join(work, "man1")
	if err := os.Mkdir(man, 0o755); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, tuma, "man", man)
	cmd.Env = append(os.Environ(), fmt.Sprintf("SOURCE_DATE_EPOCH=%d", release.Time.Unix()))
	if said, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("man pages: %w\n%s", err, said)
	}
	var files []archive.File
	add := func(name, path string) error {
		body, err := os.ReadFile(path)
		files = append(files, archive.File{Name: name, Mode: 0o644, Body: body})
		return err
	}
	pages, err := filepath.Glob(filepath.Join(man, "*.1"))
	if err != nil || len(pages) == 0 {
		return nil, fmt.Errorf("man pages: none in %s", man)
	}
	for _, page := range pages {
		if err := add("share/man/man1/"+filepath.Base(page), page); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"README.md", "LICENSE", "NOTICE", "CHANGELOG.md"} {
		if err := add("share/doc/tuma/"+name, filepath.Join(release.Root, name)); err != nil {
			return nil, err
		}
	}
	for shell, name := range map[string]string{
		"bash": "share/bash-completion/completions/tuma",
		"zsh":  "share/zsh/site-functions/_tuma",
		"fish": "share/fish/vendor_completions.d/tuma.fish",
	} {
		script, err := exec.CommandContext(ctx, tuma, "completion", shell).Output()
		if err != nil {
			return nil, fmt.Errorf("completion for %s: %w", shell, err)
		}
		files = append(files, archive.File{Name: name, Mode: 0o644, Body: script})
	}
	return files, nil
}

// pack writes the archive of one system and its SBOM. The archive is a zip file for Windows, and a
// tar.gz file for other systems. It contains one folder.
func pack(ctx context.Context, release gobuild.Release, goos, goarch, binary string, shared []archive.File, out string) error {
	program, err := os.ReadFile(binary)
	if err != nil {
		return err
	}
	name := fmt.Sprintf("tuma_%s_%s_%s", strings.TrimPrefix(release.Version, "v"), goos, goarch)
	files := []archive.File{{Name: name + "/bin/" + filepath.Base(binary), Mode: 0o755, Body: program}}
	for _, f := range shared {
		f.Name = name + "/" + f.Name
		files = append(files, f)
	}
	sbom, err := release.SBOM(ctx, binary)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(out, name+".cdx.json"), sbom, 0o644); err != nil {
		return err
	}
	var packed bytes.Buffer
	extension := ".tar.gz"
	if goos == "windows" {
		extension, err = ".zip", archive.Zip(&packed, files, release.Time)
	} else {
		err = archive.TarGz(&packed, files, release.Time)
	}
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, name+extension), packed.Bytes(), 0o644)
}

// The function "checksums" writes and prints the file SHA256SUMS, which sha256sum --check can read.
func checksums(out string) error {
	entries, err := os.ReadDir(out)
	if err != nil {
		return err
	}
	var sums strings.Builder
	for _, entry := range entries {
		body, err := os.ReadFile(filepath.Join(out, entry.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&sums, "%x  %s\n", sha256.Sum256(body), entry.Name())
	}
	fmt.Print(sums.String())
	return os.WriteFile(filepath.Join(out, "SHA256SUMS"), []byte(sums.String()), 0o644)
}
