//go:build linux

// Command kubernetes runs Tuma in a real Kubernetes on this machine: etcd, the API server, the controller
// manager, the scheduler, and two nodes with a kubelet and containerd each. It installs the chart with the
// image that `make image` has built. With the simulated gateway's own count it checks that no message is
// lost or sent twice. With the limiter's grants it checks that workers keep to the rate. It makes these
// checks during rollouts, while the number of workers follows tuma_workers_desired, when a node is
// drained, and when a worker is killed.
//
// It needs root on Linux, the Debian packages that tools/deploy-tools names, and the programs that
// tools/kubernetes/build builds. `make test-kubernetes` prepares and runs the whole test. The command
// takes about ten minutes and 1 GB of memory. It ends only processes that it has started.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	programs := flag.String("programs", "", "`folder` of the programs of Kubernetes")
	built := flag.String("image", "../dist/image", "`folder` of the image")
	deploy := flag.String("deploy", ".", "`folder` with the chart and the manifests")
	scaler := flag.String("keda", "", "`folder` of the programs of KEDA; without this flag, the command scales the workers itself")
	keep := flag.Bool("keep", false, "keep the folder with logs and data also after a success")
	flag.Parse()
	if err := run(ctx, *programs, *built, *deploy, *scaler, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "kubernetes:", err)
		os.Exit(1)
	}
}

// run runs all steps, ends the cluster and removes the data. After an error it keeps the logs.
func run(ctx context.Context, programs, built, deploy, scaler string, keep bool) (err error) {
	if os.Getuid() != 0 {
		return errors.New("needs root on Linux, for containers and their network")
	}
	for _, folder := range []*string{&programs, &built, &deploy, &scaler} {
		if *folder == "" {
			continue
		}
		if *folder, err = filepath.Abs(*folder); err != nil {
			return err
		}
	}
	dir, err := os.MkdirTemp("", "tuma-kubernetes-run-")
	if err != nil {
		return err
	}
	m, err := newMachine(dir, programs)
	if err != nil {
		return err
	}
	if err := os.CopyFS(m.path("chart"), os.DirFS(filepath.Join(deploy, "helm", "tuma"))); err != nil {
		return err
	}
	begun := time.Now()
	defer func() {
		err = errors.Join(err, m.close())
		fmt.Printf("== ended (%.0f s)\n", time.Since(begun).Seconds())
		switch {
		case err != nil || keep:
			fmt.Printf("logs and data are in %s\n", dir)
		default:
			err = os.RemoveAll(dir)
		}
	}()
	return steps(ctx, m, built, deploy, scaler, begun)
}

// The function "steps" runs all steps. It prints the name of each step, with the time since the start.
func steps(ctx context.Context, m *machine, built, deploy, scaler string, begun time.Time) error {
	var archives []string
	var l *load
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"images", func(ctx context.Context) (err error) { archives, err = m.images(ctx, built, tags); return err }},
		{"network", m.network},
		{"start Redis and the simulated gateway", func(ctx context.Context) (err error) { l, err = newLoad(ctx, m, built, scaler); return err }},
		{"control plane", m.controlPlane},
		{"manifests", func(ctx context.Context) error { return m.manifests(ctx, deploy) }},
		{"first node", func(ctx context.Context) error { return m.addNode(ctx, 0, archives) }},
		{"second node", func(ctx context.Context) error { return m.addNode(ctx, 1, archives) }},
		{"start KEDA, if its programs are given", func(ctx context.Context) error { return l.startKEDA(ctx) }},
		{"install", func(ctx context.Context) error { return l.install(ctx) }},
		{"three rollouts under load", func(ctx context.Context) error { return l.rollouts(ctx) }},
		{"scale 1, 6, 2 by tuma_workers_desired", func(ctx context.Context) error { return l.scale(ctx) }},
		{"drain a node, kill a worker", func(ctx context.Context) error { return l.disrupt(ctx) }},
		{"search the printed output for secrets", func(ctx context.Context) error { return l.secrets(ctx) }},
		{"remove", func(ctx context.Context) error { return l.remove(ctx) }},
		{"counts", func(ctx context.Context) error { return l.check(ctx) }},
	} {
		fmt.Printf("== %s (%.0f s)\n", step.name, time.Since(begun).Seconds())
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return nil
}
