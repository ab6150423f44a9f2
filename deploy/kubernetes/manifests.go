//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tuma-sms/tuma/deploy/schemas"
)

// The list "broken" has changes to the objects that the chart renders with ci/production.yaml. The API server must
// refuse the result of each change.
var broken = [][2]string{
	{"terminationGracePeriodSeconds:", "terminationGracePeriodSecond:"},
	{"scaleTargetRef:", "scaleTarget:"},
	{"memory: 512Mi", "memory: 512Megabytes"},
	{"path: /readyz", "path: [/readyz]"},
	{"maxUnavailable: 1", "maxUnavailable: one"},
	{"kind: ServiceMonitor", "kind: ServiceMonitors"},
	{"app.kubernetes.io/component: worker", "app.kubernetes.io/component: -worker-"},
}

// The method "manifests" lets the API server validate the objects of the chart with its six value sets, and the
// objects of the kustomize overlays. The objects are not stored. The definitions of KEDA, of the Prometheus
// operator and of External Secrets are installed first, so that the API server also validates objects of these
// kinds.
func (m *machine) manifests(ctx context.Context, deploy string) error {
	if _, err := m.kubectl(ctx, "", "create", "namespace", namespace); err != nil {
		return err
	}
	for _, custom := range schemas.Custom {
		dir, err := custom.Dir()
		if err != nil {
			return err
		}
		if _, err := m.kubectl(ctx, "", "apply", "--server-side", "--filename", filepath.Join(dir, custom.File)); err != nil {
			return err
		}
	}
	if _, err := m.kubectl(ctx, "", "wait", "--for=condition=Established", "customresourcedefinitions", "--all", "--timeout=60s"); err != nil {
		return err
	}
	sets, err := filepath.Glob(filepath.Join(deploy, "helm", "tuma", "ci", "*.yaml"))
	if err != nil || len(sets) < 6 {
		return errors.Join(fmt.Errorf("found %d value sets of the chart, want 6 or more", len(sets)), err)
	}
	overlays, err := filepath.Glob(filepath.Join(deploy, "kustomize", "overlays", "*"))
	if err != nil || len(overlays) < 2 {
		return errors.Join(fmt.Errorf("found %d kustomize overlays, want 2 or more", len(overlays)), err)
	}
	rendered := map[string]string{}
	for _, set := range sets {
		if rendered[filepath.Base(set)], err = m.run(ctx, "", m.program("helm"), "template", "tuma", m.path("chart"), "--namespace", namespace, "--skip-tests", "--kube-version", schemas.KubernetesVersion, "--values", set); err != nil {
			return err
		}
	}
	for _, overlay := range overlays {
		if rendered["overlay "+filepath.Base(overlay)], err = m.kubectl(ctx, "", "kustomize", overlay); err != nil {
			return err
		}
	}
	objects := 0
	for name, text := range rendered {
		out, err := m.judge(ctx, text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		objects += strings.Count(out, "(server dry run)")
	}
	for _, change := range broken {
		text := strings.Replace(rendered["production.yaml"], change[0], change[1], 1)
		if text == rendered["production.yaml"] {
			return fmt.Errorf("production.yaml does not render %q", change[0])
		}
		if out, err := m.judge(ctx, text); err == nil {
			return errors.New("the API server accepts " + change[1] + ":\n" + out)
		}
	}
	fmt.Printf("   the API server accepts %d objects of %d value sets and overlays, and refuses all %d objects with a mistake\n", objects, len(rendered), len(broken))
	return nil
}

// judge lets the API server validate objects strictly and run its admission checks. The objects are not stored.
func (m *machine) judge(ctx context.Context, objects string) (string, error) {
	return m.kubectl(ctx, objects, "apply", "--dry-run=server", "--validate=strict", "--filename", "-")
}
