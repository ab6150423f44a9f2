// Command image builds the container image of Tuma for linux/amd64 and linux/arm64, without a
// container engine and without a base image. The image holds the tuma binary, CA certificates, an SBOM
// and an empty /tmp. It runs as user 65532 and needs no writable file system except /tmp, for
// workbooks.
//
// If the commit, the version of Go and deploy/go.sum are the same, the digest is the same. The command
// prints the digest of the index and the compressed size of each platform.
package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/tuma-sms/tuma/deploy/archive"
	"github.com/tuma-sms/tuma/deploy/gobuild"
)

// imageTags are the build tags of the image. They exclude the built-in Redis from the binary, because only
// `tuma dev` and `tuma demo` use it, on a developer's machine.
const imageTags = "tuma_no_builtin_redis"

var platforms = []string{"amd64", "arm64"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root := flag.String("root", "..", "`folder` of the main module")
	version := flag.String("version", "", "`version` of the release; default: the commit")
	out := flag.String("out", "../dist/image", "`folder` for the image; an existing folder is deleted first")
	tag := flag.String("tag", "docker.io/tuma-sms/tuma", "`name` of the image")
	flag.Parse()
	if err := run(ctx, *root, *version, *out, *tag); err != nil {
		fmt.Fprintln(os.Stderr, "image:", err)
		os.Exit(1)
	}
}

// run builds the image into the folder "out". It writes an OCI layout, an OCI archive of both platforms, and one
// archive for docker load for each platform.
func run(ctx context.Context, root, version, out, tag string) error {
	root, err := filepath.Abs(root)
	if err != nil {
		return err
	}
	release, err := gobuild.Read(ctx, root, version)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	named, err := name.NewTag(tag + ":" + release.Version)
	if err != nil {
		return err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range platforms {
		img, err := build(ctx, release, arch, out)
		if err != nil {
			return fmt.Errorf("image for linux/%s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        img,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
		if err := tarball.WriteToFile(filepath.Join(out, "tuma-"+arch+".docker.tar"), named, img); err != nil {
			return err
		}
		size, err := compressedSize(img)
		if err != nil {
			return err
		}
		fmt.Printf("linux/%s: %.1f MB compressed\n", arch, float64(size)/1e6)
	}
	index = mutate.Annotations(index, labels(release)).(v1.ImageIndex)
	return write(index, filepath.Join(out, "oci"), named)
}

// build returns the image of one platform. It writes the binary and its SBOM to the folder "out".
func build(ctx context.Context, release gobuild.Release, arch, out string) (v1.Image, error) {
	out, err := filepath.Abs(out)
	if err != nil {
		return nil, err
	}
	binary, err := release.Binary(ctx, "linux", arch, imageTags, filepath.Join(out, "bin"))
	if err != nil {
		return nil, err
	}
	program, err := os.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	sbom, err := release.SBOM(ctx, binary)
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(out, "tuma-"+arch+".cdx.json"), sbom, 0o644); err != nil {
		return nil, err
	}
	files := []archive.File{
		{Name: "usr/bin/tuma", Mode: 0o755, Body: program},
		{Name: "etc/ssl/certs/ca-certificates.crt", Mode: 0o644, Body: certificates()},
		{Name: "etc/passwd", Mode: 0o644, Body: []byte("tuma:x:65532:65532:Tuma:/tmp:/sbin/nologin\n")},
		{Name: "etc/group", Mode: 0o644, Body: []byte("tuma:x:65532:\n")},
		{Name: "usr/share/doc/tuma/sbom.cdx.json", Mode: 0o644, Body: sbom},
		{Name: "tmp", Mode: 0o1777, Folder: true},
	}
	var tarred bytes.Buffer
	if err := archive.Tar(&tarred, files, release.Time); err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(tarred.Bytes())), nil }
	layer, err := tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.Append(base, mutate.Addendum{
		Layer:   layer,
		History: v1.History{Created: v1.Time{Time: release.Time}, CreatedBy: "make image", Comment: "tuma " + release.Version},
	})
	if err != nil {
		return nil, err
	}
	return mutate.ConfigFile(img, config(img, release, arch))
}

// config returns the configuration of the image of one platform.
func config(img v1.Image, release gobuild.Release, arch string) *v1.ConfigFile {
	c, err := img.ConfigFile()
	if err != nil {
		panic(err) // this cannot happen, because an image in memory has a configuration
	}
	c = c.DeepCopy()
	c.OS, c.Architecture, c.Created = "linux", arch, v1.Time{Time: release.Time}
	c.Config = v1.Config{
		User:       "65532:65532",
		Env:        []string{"PATH=/usr/bin", "HOME=/tmp", "TUMA_CONFIG=/etc/tuma/tuma.yaml"},
		Entrypoint: []string{"/usr/bin/tuma"},
		Cmd:        []string{"--help"},
		WorkingDir: "/tmp",
		Labels:     labels(release),
		StopSignal: "SIGTERM",
	}
	return c
}

// The function "labels" returns the labels of the image, with the names of the OCI image specification.
func labels(release gobuild.Release) map[string]string {
	const prefix = "org.opencontainers.image."
	return map[string]string{
		prefix + "title":       "tuma",
		prefix + "description": "Queue-backed bulk SMS sender",
		prefix + "version":     release.Version,
		prefix + "revision":    release.Revision,
		prefix + "created":     release.Time.Format(time.RFC3339),
		prefix + "licenses":    "Apache-2.0",
	}
}

// The function "certificates" returns Mozilla's CA certificates as PEM, from the version of x509roots in go.mod. It
// leaves out the roots that Mozilla trusts only for certificates issued before some date, because PEM cannot
// express this date.
func certificates() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint != nil {
			continue
		}
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Buffer never fails
	}
	return out.Bytes()
}

// write writes the index as an OCI layout, and prints the digest of the index.
func write(index v1.ImageIndex, dir string, named name.Tag) error {
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	names := layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": named.TagStr(),
		"io.containerd.image.name":          named.Name(),
	})
	if err := path.AppendIndex(index, names); err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	fmt.Printf("%s@%s\n", named, digest)
	return nil
}

// compressedSize returns the number of bytes that a registry stores for an image.
func compressedSize(img v1.Image) (int64, error) {
	manifest, err := img.Manifest()
	if err != nil {
		return 0, err
	}
	size := manifest.Config.Size
	for _, layer := range manifest.Layers {
		size += layer.Size
	}
	return size, nil
}
