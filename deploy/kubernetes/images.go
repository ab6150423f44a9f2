//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/tuma-sms/tuma/deploy/archive"
)

// repository is the name of Tuma's image in the cluster.
const repository = "docker.io/tuma-sms/tuma"

// pauseSource is the program that keeps the network of a pod until the pod ends.
const pauseSource = `package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGINT, syscall.SIGTERM)
	<-end
}
`

// The method "images" writes the archives that every node loads, and returns their names: the pause
// image, and tags of Tuma's image. The first tag is the unchanged image that `make image` has built.
// The images of the other tags have another digest, like the image of another release, so that
// Kubernetes replaces the pods.
func (m *machine) images(ctx context.Context, built string, tags []string) ([]string, error) {
	pause, err := m.pause(ctx)
	if err != nil {
		return nil, fmt.Errorf("pause image: %w", err)
	}
	archives := []string{m.path("pause.tar")}
	if err := writeImage(archives[0], pauseImage, pause); err != nil {
		return nil, err
	}
	img, err := tarball.ImageFromPath(filepath.Join(built, "tuma-"+runtime.GOARCH+".docker.tar"), nil)
	if err != nil {
		return nil, fmt.Errorf("image of Tuma: %w; to build the image, run: make image", err)
	}
	for i, tag := range tags {
		if i > 0 {
			if img, err = mutate.CreatedAt(img, v1.Time{Time: time.Unix(int64(1e9+i), 0)}); err != nil {
				return nil, err
			}
		}
		file := m.path("tuma-" + tag + ".tar")
		if err := writeImage(file, repository+":"+tag, img); err != nil {
			return nil, err
		}
		archives = append(archives, file)
	}
	return archives, nil
}

func writeImage(file, tag string, img v1.Image) error {
	named, err := name.NewTag(tag)
	if err != nil {
		return err
	}
	return tarball.WriteToFile(file, named, img)
}

// The method "pause" builds the pause image.
func (m *machine) pause(ctx context.Context) (v1.Image, error) {
	source, program := m.path("pause.go"), m.path("pause")
	if err := os.WriteFile(source, []byte(pauseSource), 0o600); err != nil {
		return nil, err
	}
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, source)
	build.Env, build.Dir = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="), m.dir
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	body, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	var layer bytes.Buffer
	if err := archive.Tar(&layer, []archive.File{{Name: "pause", Mode: 0o755, Body: body}}, time.Unix(0, 0)); err != nil {
		return nil, err
	}
	added, err := tarball.LayerFromReader(&layer)
	if err != nil {
		return nil, err
	}
	img, err := mutate.AppendLayers(empty.Image, added)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config.Entrypoint = []string{"/pause"}
	return mutate.ConfigFile(img, config)
}
