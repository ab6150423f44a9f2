package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/goreleaser/nfpm/v2"
	_ "github.com/goreleaser/nfpm/v2/deb" // the packager "deb"
	"github.com/goreleaser/nfpm/v2/files"
	_ "github.com/goreleaser/nfpm/v2/rpm" // the packager "rpm"

	"github.com/tuma-sms/tuma/deploy/archive"
	"github.com/tuma-sms/tuma/deploy/gobuild"
)

// The function "packages" writes the deb and the rpm of one architecture. Each package holds the binary, the
// systemd unit tuma-worker.service, the user tuma, an empty /etc/tuma, man pages and completions.
func packages(release gobuild.Release, arch, binary string, shared []archive.File, out string) error {
	stage, err := os.MkdirTemp("", "tuma-package-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(stage) }()
	units := filepath.Join(release.Root, "deploy", "systemd")
	contents := files.Contents{
		content(binary, "/usr/bin/tuma", 0o755),
		content(filepath.Join(units, "tuma-worker.service"), "/usr/lib/systemd/system/tuma-worker.service", 0o644),
		content(filepath.Join(units, "tuma.sysusers"), "/usr/lib/sysusers.d/tuma.conf", 0o644),
		{Destination: "/etc/tuma", Type: files.TypeDir, FileInfo: &files.ContentFileInfo{Mode: 0o750}},
	}
	for _, f := range shared {
		body, name := f.Body, f.Name
		if strings.HasPrefix(name, "share/man/") {
			name += ".gz"
			if body, err = gzipped(body); err != nil {
				return err
			}
		}
		path := filepath.Join(stage, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, body, 0o644); err != nil {
			return err
		}
		contents = append(contents, content(path, "/usr/"+name, 0o644))
	}
	for _, kind := range []string{"deb", "rpm"} {
		info := nfpm.WithDefaults(&nfpm.Info{
			Name: "tuma", Arch: arch, Platform: "linux", Version: release.Plain(), VersionSchema: "semver",
			Section: "net", Priority: "optional", License: "Apache-2.0", MTime: release.Time,
			Maintainer:  "Tuma maintainers <maintainers@tuma.invalid>",
			Description: "Queue-backed bulk SMS sender\nTuma sends text messages to large recipient lists through SMS gateways.\nIt loses no message and sends no message twice.",
			Overridables: nfpm.Overridables{
				Contents: contents,
				Scripts:  nfpm.Scripts{PostInstall: filepath.Join(units, "postinstall.sh")},
				Umask:    0o022,
			},
		})
		if err := writePackage(info, kind, out); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
	}
	return nil
}

// content returns the entry of one file in a package.
func content(source, destination string, mode os.FileMode) *files.Content {
	return &files.Content{Source: source, Destination: destination, FileInfo: &files.ContentFileInfo{Mode: mode, Owner: "root", Group: "root"}}
}

// writePackage writes one package under its usual name.
func writePackage(info *nfpm.Info, kind, out string) error {
	packager, err := nfpm.Get(kind)
	if err != nil {
		return err
	}
	info, err = (&nfpm.Config{Info: *info}).Get(kind)
	if err != nil {
		return err
	}
	if err := nfpm.PrepareForPackager(info, kind); err != nil {
		return err
	}
	var packed bytes.Buffer
	if err := packager.Package(info, &packed); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, packager.ConventionalFileName(info)), packed.Bytes(), 0o644)
}

// gzipped compresses a man page for use in a package.
func gzipped(body []byte) ([]byte, error) {
	var out bytes.Buffer
	z, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := z.Write(body); err != nil {
		return nil, err
	}
	err = z.Close()
	return out.Bytes(), err
}
