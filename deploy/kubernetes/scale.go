//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// scale lets the number of workers follow tuma_workers_desired: 1 worker without work, 6 workers at a high
// rate, and 2 workers at a low rate.
func (l *load) scale(ctx context.Context) error {
	const high, low = 170, 40 // the rates for 6 and for 2 workers, with 4 calls at once for each worker
	setRate := func(r string) error {
		_, err := l.run(ctx, "", l.tuma, "rate", account, r)
		return err
	}
	if err := l.setKEDA(ctx, true); err != nil {
		return errors.Join(err, l.describeKEDA(ctx))
	}
	if err := errors.Join(l.follow(ctx, 1), setRate(strconv.Itoa(high)+"/s")); err != nil {
		return err
	}
	if err := l.enqueue(ctx, "scale", 3*60*high); err != nil {
		return err
	}
	if err := l.follow(ctx, most); err != nil {
		return err
	}
	if err := l.measured(ctx, "6 workers", high, func() error { return sleep(ctx, 20*time.Second) }); err != nil {
		return err
	}
	if err := setRate(strconv.Itoa(low) + "/s"); err != nil {
		return err
	}
	if err := l.measured(ctx, "6 to 2 workers", low, func() error {
		return errors.Join(l.follow(ctx, 2), sleep(ctx, 5*time.Second)) // measure at least 5 s, because the workers may end at once
	}); err != nil {
		return err
	}
	if err := l.measured(ctx, "2 workers", low, func() error { return sleep(ctx, 20*time.Second) }); err != nil {
		return err
	}
	if _, err := l.kubectl(ctx, "", "exec", deployment, "--", "tuma", "cancel", "scale"); err != nil {
		return err
	}
	return errors.Join(setRate("default"), l.settled(ctx, "scale"), l.setKEDA(ctx, false))
}

// disrupt drains a node and kills a worker while a campaign is sent.
func (l *load) disrupt(ctx context.Context) error {
	if _, err := l.kubectl(ctx, "", "scale", deployment, "--replicas", "4"); err != nil {
		return err
	}
	if _, err := l.awaitWorkers(ctx, 4); err != nil {
		return err
	}
	if err := l.enqueue(ctx, "disrupt", 2*60*fullRate); err != nil {
		return err
	}
	drained, other := l.nodes[0].name, l.nodes[1]
	if err := l.measured(ctx, "node drained", fullRate, func() error {
		out, err := l.kubectl(ctx, "", "drain", drained, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=3m")
		if err != nil {
			return errors.Join(err, l.describe(ctx))
		}
		fmt.Printf("   kubectl drain: %d pods evicted\n", strings.Count(out, " evicted\n"))
		ready, err := l.awaitWorkers(ctx, 4)
		for _, p := range ready {
			if p.Spec.NodeName != other.name {
				return fmt.Errorf("pod %s runs on the drained node", p.Metadata.Name)
			}
		}
		return err
	}); err != nil {
		return err
	}
	if _, err := l.kubectl(ctx, "", "uncordon", drained); err != nil {
		return err
	}
	if err := l.kill(ctx, other); err != nil {
		return err
	}
	return l.finish(ctx, "disrupt", 5*time.Minute)
}

// The method "kill" sends SIGKILL to the worker of a pod, and waits until Kubernetes has restarted the
// worker.
func (l *load) kill(ctx context.Context, n *node) error {
	ready, err := l.workers(ctx)
	if err != nil {
		return err
	}
	victim := ready[0].Metadata.Name
	_, id, _ := strings.Cut(ready[0].Status.ContainerStatuses[0].ContainerID, "://")
	return l.measured(ctx, "worker killed", fullRate, func() error {
		begun := time.Now()
		if _, err := l.ctr(ctx, n, "tasks", "kill", "--signal", "SIGKILL", id); err != nil {
			return err
		}
		if err := until(ctx, "the killed worker", time.Minute, func() error {
			var p pod
			if err := l.get(ctx, &p, "pod", victim); err != nil {
				return err
			}
			if !p.ready() || p.Status.ContainerStatuses[0].RestartCount != 1 {
				return again("ready %t, %d restarts", p.ready(), p.Status.ContainerStatuses[0].RestartCount)
			}
			return nil
		}); err != nil {
			return err
		}
		fmt.Printf("   the killed worker was ready again after %.1f s\n", time.Since(begun).Seconds())
		return nil
	})
}

// The method "secrets" searches the output of Helm and of the pods for the password, and for numbers and
// texts of recipients.
func (l *load) secrets(ctx context.Context) error {
	release, err := l.run(ctx, "", l.program("helm"), "get", "all", "tuma", "--namespace", namespace)
	if err != nil {
		return err
	}
	logs, err := l.kubectl(ctx, "", "logs", "--selector", "app.kubernetes.io/instance=tuma", "--all-containers", "--prefix", "--tail=-1", "--max-log-requests=20")
	if err != nil {
		return err
	}
	lines := strings.Count(logs, "\n")
	if lines < 10 || !strings.Contains(release, "tuma-worker") {
		return fmt.Errorf("got %d lines of logs and %d bytes of helm get all: too little to search for secrets", lines, len(release))
	}
	for _, secret := range []string{password, "23480300", "Hello customer"} {
		for name, text := range map[string]string{"helm get": release, "the logs": logs} {
			if strings.Contains(text, secret) {
				return fmt.Errorf("%s has %q", name, secret)
			}
		}
	}
	fmt.Printf("   found no password, phone number or message text in the output of helm get and in %d lines of logs\n", lines)
	return nil
}

// remove uninstalls the release and waits until all pods have ended.
func (l *load) remove(ctx context.Context) error {
	if _, err := l.run(ctx, "", l.program("helm"), "uninstall", "tuma", "--namespace", namespace, "--wait", "--timeout", "2m"); err != nil {
		return err
	}
	return until(ctx, "the removal of all pods", 2*time.Minute, func() error {
		out, err := l.kubectl(ctx, "", "delete", "pods", "--all", "--wait=false")
		if err != nil {
			return err
		}
		left, err := l.kubectl(ctx, "", "get", "pods", "-o", "name")
		if err != nil || left != "" {
			return again("%s%s %v", out, left, err)
		}
		return nil
	})
}
