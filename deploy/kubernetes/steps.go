//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	namespace  = "sms"
	deployment = "deployment/tuma-worker"
	// most is the largest number of workers. The method "scale" reaches it.
	most = 6
)

// tags are the releases of the image, in the order in which they are rolled out.
var tags = []string{"release-0", "release-1", "release-2", "release-3"}

// pod has the fields of a pod that the steps read.
type pod struct {
	Metadata struct {
		Name              string
		DeletionTimestamp string
	}
	Spec struct {
		NodeName   string
		Containers []struct{ Image string }
	}
	Status struct {
		PodIP             string
		Phase             string
		Conditions        []struct{ Type, Status string }
		ContainerStatuses []struct {
			ContainerID  string
			RestartCount int
		}
	}
}

func (p pod) ready() bool {
	return p.Metadata.DeletionTimestamp == "" && slices.ContainsFunc(p.Status.Conditions, func(c struct{ Type, Status string }) bool {
		return c.Type == "Ready" && c.Status == "True"
	})
}

// The method "workers" returns the worker pods that are ready.
func (l *load) workers(ctx context.Context) ([]pod, error) {
	var list struct{ Items []pod }
	err := l.get(ctx, &list, "pods", "-l", "app.kubernetes.io/component=worker")
	return slices.DeleteFunc(list.Items, func(p pod) bool { return !p.ready() }), err
}

// awaitWorkers waits until exactly n worker pods exist and all of them are ready.
func (l *load) awaitWorkers(ctx context.Context, n int) (ready []pod, err error) {
	return ready, until(ctx, fmt.Sprintf("%d workers", n), 3*time.Minute, func() error {
		var list struct{ Items []pod }
		if err := l.get(ctx, &list, "pods", "-l", "app.kubernetes.io/component=worker"); err != nil {
			return err
		}
		ready = slices.DeleteFunc(slices.Clone(list.Items), func(p pod) bool { return !p.ready() })
		if len(ready) != n || len(list.Items) != n {
			return again("%d pods, %d ready", len(list.Items), len(ready))
		}
		return nil
	})
}

// upgrade runs helm upgrade with changed values and waits until the pods are ready.
func (l *load) upgrade(ctx context.Context, values ...string) error {
	args := []string{"upgrade", "tuma", l.path("chart"), "--namespace", namespace, "--reuse-values", "--wait", "--timeout", "5m"}
	for _, v := range values {
		args = append(args, "--set", v)
	}
	_, err := l.run(ctx, "", l.program("helm"), args...)
	return err
}

// install installs the chart into an empty cluster, as docs/kubernetes.md describes it, and sends a campaign from
// a pod.
func (l *load) install(ctx context.Context) error {
	for _, args := range [][]string{
		{"create", "secret", "generic", "tuma-redis", "--from-literal=url=redis://" + l.redis + "/0"},
		{"create", "secret", "generic", "tuma-secrets", "--from-literal=user=any", "--from-literal=pass=" + password},
	} {
		if _, err := l.kubectl(ctx, "", args...); err != nil {
			return err
		}
	}
	values := fmt.Sprintf(`image: {repository: %s, tag: %s, pullPolicy: Never}
config:
  accounts:
    %s: {%s, user_file: /run/secrets/tuma/user, pass_file: /run/secrets/tuma/pass}
  default_country: NG
  windows: off
serve: {replicas: 1}
`, repository, tags[0], account, l.settings())
	if err := os.WriteFile(l.path("values.yaml"), []byte(values), 0o600); err != nil {
		return err
	}
	begun := time.Now()
	if _, err := l.run(ctx, "", l.program("helm"), "install", "tuma", l.path("chart"), "--namespace", namespace, "--values", l.path("values.yaml"), "--wait", "--timeout", "5m"); err != nil {
		return errors.Join(err, l.describe(ctx))
	}
	fmt.Printf("   helm install: all pods ready after %.1f s\n", time.Since(begun).Seconds())
	if out, err := l.run(ctx, "", l.program("helm"), "test", "tuma", "--namespace", namespace, "--logs", "--timeout", "3m"); err != nil {
		return errors.Join(err, errors.New(out))
	}
	out, err := l.kubectl(ctx, l.list(500), "exec", "-i", deployment, "--", "tuma", "send", "--id", "first", "--via", account, "--body", "Hello {{name}}", "--yes", "--wait")
	if err != nil {
		return errors.Join(err, errors.New(out))
	}
	fmt.Printf("   a campaign of 500 messages, enqueued with kubectl exec, ended %.1f s after helm install began\n", time.Since(begun).Seconds())
	return l.finish(ctx, "first", time.Second)
}

// describe returns the state of the pods as an error, for a step that failed.
func (l *load) describe(ctx context.Context) error {
	out, err := l.kubectl(ctx, "", "describe", "pods")
	events, eventsErr := l.kubectl(ctx, "", "get", "events", "--sort-by=.lastTimestamp")
	return errors.Join(err, eventsErr, errors.New(string(last([]byte(out), 6000))+events))
}

// The method "rollouts" replaces the image three times while a campaign is sent.
func (l *load) rollouts(ctx context.Context) error {
	if err := l.upgrade(ctx, "worker.replicas=3"); err != nil {
		return err
	}
	if err := l.enqueue(ctx, "rollouts", 4*60*fullRate); err != nil {
		return err
	}
	for i, tag := range tags[1:] {
		if err := l.measured(ctx, "rollout "+strconv.Itoa(i+1), fullRate, func() error {
			if err := l.upgrade(ctx, "image.tag="+tag); err != nil {
				return errors.Join(err, l.describe(ctx))
			}
			ready, err := l.awaitWorkers(ctx, 3)
			for _, p := range ready {
				if image := p.Spec.Containers[0].Image; image != repository+":"+tag {
					return fmt.Errorf("pod %s runs the image %s, want the image with the tag %s", p.Metadata.Name, image, tag)
				}
			}
			return err
		}); err != nil {
			return err
		}
	}
	if _, err := l.kubectl(ctx, "", "exec", deployment, "--", "tuma", "cancel", "rollouts"); err != nil {
		return err
	}
	return l.settled(ctx, "rollouts")
}

// The method "settled" waits for the end of a cancelled campaign. It adds the skipped recipients to l.skipped, so
// that the check does not expect their messages.
func (l *load) settled(ctx context.Context, id string) error {
	var status struct {
		State                                                string
		Total, Accepted, Rejected, Unknown, Skipped, Pending int
		Delivered, Undelivered                               int
	}
	if err := until(ctx, "the end of campaign "+id, time.Minute, func() error {
		out, err := l.run(ctx, "", l.tuma, "status", id, "--json")
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(out), &status); err != nil {
			return err
		}
		if status.Pending > 0 || status.State != "cancelled" {
			return again("%+v", status)
		}
		return nil
	}); err != nil {
		return err
	}
	if status.Accepted+status.Delivered+status.Undelivered+status.Skipped != status.Total {
		return fmt.Errorf("campaign %s: %+v, want only accepted and skipped recipients", id, status)
	}
	l.skipped += status.Skipped
	return nil
}

// The method "metrics" reads /metrics of a worker pod that is ready.
func (l *load) metrics(ctx context.Context) (string, error) {
	ready, err := l.workers(ctx)
	if err != nil {
		return "", err
	}
	if len(ready) == 0 {
		return "", errors.New("no worker is ready")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+ready[0].Status.PodIP+":8080/metrics", nil)
	if err != nil {
		return "", err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", err
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	return string(text), err
}

// The method "desired" reads tuma_workers_desired from a worker pod, like KEDA with the setting "source: metrics".
func (l *load) desired(ctx context.Context) (int, error) {
	text, err := l.metrics(ctx)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, "tuma_workers_desired "); ok {
			return strconv.Atoi(strings.TrimSpace(value))
		}
	}
	return 0, errors.New("a worker has no metric tuma_workers_desired")
}

// The method "follow" acts like an autoscaler: it sets the number of replicas to the value of the metric. If KEDA runs,
// the method leaves this to KEDA. The method returns when the expected number of workers is ready.
func (l *load) follow(ctx context.Context, want int) error {
	begun, set := time.Now(), 0
	if err := until(ctx, fmt.Sprintf("tuma_workers_desired and the number of ready workers to become %d", want), 3*time.Minute, func() error {
		n, err := l.desired(ctx)
		if err != nil {
			return again("%v", err)
		}
		if n = min(n, most); n != set && l.keda == "" {
			if _, err := l.kubectl(ctx, "", "scale", deployment, "--replicas", strconv.Itoa(n)); err != nil {
				return err
			}
		}
		set = n
		ready, err := l.workers(ctx)
		if err != nil {
			return err
		}
		if len(ready) != want || set != want {
			return again("desired %d, ready %d", n, len(ready))
		}
		return nil
	}); err != nil {
		return err
	}
	fmt.Printf("   %d workers ready %.0f s after the change\n", want, time.Since(begun).Seconds())
	return nil
}
