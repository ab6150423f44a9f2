package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
)

// requireTool fails a test if a program is not installed. The parameter "install" is the package that has the
// program.
func requireTool(t *testing.T, name, install string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("needs %s: %v\napt-get install -y %s", name, err, install)
	}
}

// The function "images" builds the image into a new folder, and returns the index.
func images(t *testing.T) v1.ImageIndex {
	t.Helper()
	out := filepath.Join(t.TempDir(), "image")
	if err := run(t.Context(), "../..", "v9.8.7", out, "docker.io/tuma-sms/tuma"); err != nil {
		t.Fatal(err)
	}
	dir, err := layout.FromPath(filepath.Join(out, "oci"))
	if err != nil {
		t.Fatal(err)
	}
	outer, err := dir.ImageIndex()
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	index, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return index
}

// The function "platform" returns the image of one architecture.
func platform(t *testing.T, index v1.ImageIndex, arch string) v1.Image {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range manifest.Manifests {
		if m.Platform.Architecture == arch {
			img, err := index.Image(m.Digest)
			if err != nil {
				t.Fatal(err)
			}
			return img
		}
	}
	t.Fatalf("no image for %s", arch)
	return nil
}

// TestImage builds the image twice, and runs a campaign with the image. The campaign runs as another user, with a
// read-only root file system.
func TestImage(t *testing.T) {
	index := images(t)
	first, err := index.Digest()
	if err != nil {
		t.Fatal(err)
	}
	second, err := images(t).Digest()
	if err != nil || first != second {
		t.Errorf("two builds have the digests %s and %s (%v), want one digest", first, second, err)
	}
	for _, arch := range platforms {
		img := platform(t, index, arch)
		size, err := compressedSize(img)
		if err != nil || size > 30e6 {
			t.Errorf("%s: got %d bytes (%v), want at most 30 MB", arch, size, err)
		}
		config, err := img.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config.Architecture != arch || config.Config.User != "65532:65532" {
			t.Errorf("%s: got the architecture %s and the user %q, want %s and a user other than root", arch, config.Architecture, config.Config.User, arch)
		}
		if got := config.Config.Labels["org.opencontainers.image.version"]; got != "v9.8.7" {
			t.Errorf("%s: got the version %q in the labels, want v9.8.7", arch, got)
		}
	}
	runCampaign(t, platform(t, index, runtime.GOARCH))
}

// unpack writes the files of an image to a folder.
func unpack(t *testing.T, img v1.Image, dir string) {
	t.Helper()
	layers, err := img.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		body, err := layer.Uncompressed()
		if err != nil {
			t.Fatal(err)
		}
		for files := tar.NewReader(body); ; {
			h, err := files.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, h.Name)
			if h.Typeflag == tar.TypeDir {
				err = errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, h.FileInfo().Mode().Perm()))
				if h.Mode&0o1000 != 0 {
					err = errors.Join(err, os.Chmod(path, h.FileInfo().Mode().Perm()|os.ModeSticky))
				}
			} else {
				var content []byte
				content, err = io.ReadAll(files)
				err = errors.Join(err, os.WriteFile(path, content, h.FileInfo().Mode().Perm()))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}

// container runs programs of an unpacked image, without a container engine.
type container struct {
	root string
}

// command returns a command that runs tuma in the image as user 65532 with a read-only root and an
// empty /tmp.
func (c container) command(ctx context.Context, args ...string) *exec.Cmd {
	const script = `mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && mount -t tmpfs -o mode=1777 tmpfs "$0/tmp" &&
exec chroot --userspec=65532:65532 "$0" /usr/bin/tuma "$@"`
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"--mount", "sh", "-c", script, c.root}, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "TUMA_CONFIG=/etc/tuma/tuma.yaml"}
	return cmd
}

// start starts a command in the background. At the end of the test, the command gets SIGTERM.
func start(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	var log strings.Builder
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("%v ended with %v, want exit status 0 after SIGTERM:\n%s", cmd.Args, err, log.String())
		}
	})
}

// freeAddress returns a free address of this machine.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// The function "answers" waits until a server listens at an address.
func answers(t *testing.T, address string) {
	t.Helper()
	deadline, tick := time.Now().Add(20*time.Second), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for ; ; <-tick.C {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing listens on %s after 20 s: %v", address, err)
		}
	}
}

func runCampaign(t *testing.T, img v1.Image) {
	if runtime.GOOS != "linux" || os.Getuid() != 0 {
		t.Skip("running the image takes root on Linux, for mount and chroot")
	}
	requireTool(t, "unshare", "util-linux")
	requireTool(t, "redis-server", "redis-server")
	c := container{root: filepath.Join(t.TempDir(), "root")}
	if err := os.MkdirAll(c.root, 0o755); err != nil {
		t.Fatal(err)
	}
	open(t, c.root)
	unpack(t, img, c.root)
	redisAddress, sandbox := freeAddress(t), freeAddress(t)
	config := fmt.Sprintf("redis:\n  url: redis://%s/0\naccounts:\n  kobo:\n    provider: kobo\n    base_url: http://%s/kobo\n    user: any\n    pass: any\n    sender: ACME\ndefault_country: NG\nwindows: off\n", redisAddress, sandbox)
	if err := os.MkdirAll(filepath.Join(c.root, "etc/tuma"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.root, "etc/tuma/tuma.yaml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(c.root, "etc/ssl/certs/ca-certificates.crt")); err != nil {
		t.Error(err)
	}

	_, port, _ := net.SplitHostPort(redisAddress)
	background := context.WithoutCancel(t.Context()) // start ends these processes
	redis := exec.CommandContext(background, "redis-server", "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes", "--maxmemory-policy", "noeviction", "--dir", t.TempDir())
	start(t, redis)
	start(t, c.command(background, "sandbox", "--listen", sandbox))
	answers(t, redisAddress)
	answers(t, sandbox)
	if out, err := c.command(t.Context(), "version").CombinedOutput(); err != nil || !strings.Contains(string(out), "v9.8.7") {
		t.Fatalf("version: got %q, %v; want v9.8.7", out, err)
	}
	if out, err := c.command(t.Context(), "check").CombinedOutput(); err != nil {
		t.Fatalf("check: %v\n%s", err, out)
	}
	start(t, c.command(background, "worker"))
	send := c.command(t.Context(), "send", "--id", "image", "--via", "kobo", "--body", "Hello", "--wait", "--yes")
	send.Stdin = strings.NewReader(strings.Join([]string{"08030000001", "08030000002", "08030000003"}, "\n"))
	if out, err := send.CombinedOutput(); err != nil {
		t.Fatalf("send: %v\n%s", err, out)
	}
	stats, err := http.Get("http://" + sandbox + "/_sandbox/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stats.Body.Close() }()
	body, err := io.ReadAll(stats.Body)
	if err != nil || !strings.Contains(string(body), `"accepted":3`) {
		t.Errorf("got the sandbox's counts %s (%v), want 3 accepted messages", body, err)
	}
}

// The function "open" lets every user enter a folder and the folders above it, because the user of the image is not
// the user of the test.
func open(t *testing.T, dir string) {
	t.Helper()
	for ; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}
