//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// bridge is the network of the pods. Redis and the simulated gateway listen at its first address. Each kubelet
	// listens at a further address of this network. So pods reach Redis, the gateway and the kubelets without a router,
	// DNS or a proxy for Services.
	bridge = "tuma-test0"
	subnet = "10.213.77"
	// pauseImage is the image of the process that keeps a pod's network.
	pauseImage = "docker.io/tuma-sms/pause:test"
)

// node is one node of the cluster. It has a kubelet and a separate containerd.
type node struct {
	name   string
	ip     string
	socket string
	dir    string
}

// network creates the bridge.
func (m *machine) network(ctx context.Context) error {
	if _, err := m.run(ctx, "", "ip", "link", "add", bridge, "type", "bridge"); err != nil {
		return fmt.Errorf("another run of this command may be under way: %w", err)
	}
	m.onEnd(func() error {
		_, err := m.run(context.Background(), "", "ip", "link", "delete", bridge)
		return err
	})
	for host := 1; host <= 3; host++ {
		if _, err := m.run(ctx, "", "ip", "address", "add", fmt.Sprintf("%s.%d/24", subnet, host), "dev", bridge); err != nil {
			return err
		}
	}
	_, err := m.run(ctx, "", "ip", "link", "set", bridge, "up")
	return err
}

// addNode starts a node, loads the images into the node, and waits until the node is ready. The number of a node
// is 0 or 1.
func (m *machine) addNode(ctx context.Context, number int, images []string) error {
	n := &node{name: "node-" + strconv.Itoa(number), ip: fmt.Sprintf("%s.%d", subnet, number+2)}
	n.dir = m.path(n.name)
	n.socket = filepath.Join(n.dir, "containerd.sock")
	if err := n.configure(number); err != nil {
		return err
	}
	m.onEnd(func() error {
		return errors.Join(unmountBelow(n.dir), os.RemoveAll(filepath.Join(n.dir, "containerd")))
	})
	containerd, err := m.start(n.name+"-containerd", "containerd", "--config", filepath.Join(n.dir, "containerd.toml"))
	if err != nil {
		return err
	}
	m.onEnd(func() error { return m.endContainers(n) })
	if err := until(ctx, "containerd", time.Minute, func() error {
		if err := containerd.ended(); err != nil {
			return err
		}
		if _, err := m.ctr(ctx, n, "version"); err != nil {
			return again("%v", err)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, image := range images {
		if err := m.importImage(ctx, n, image); err != nil {
			return err
		}
	}
	kubelet, err := m.start(n.name+"-kubelet", m.program("kubelet"), "--config="+filepath.Join(n.dir, "kubelet.yaml"),
		"--kubeconfig="+m.path("kubeconfig"), "--hostname-override="+n.name, "--node-ip="+n.ip, "--root-dir="+filepath.Join(n.dir, "kubelet"))
	if err != nil {
		return err
	}
	m.nodes = append(m.nodes, n)
	m.onEnd(m.deletePods)
	return until(ctx, n.name, 2*time.Minute, func() error {
		if err := kubelet.ended(); err != nil {
			return err
		}
		out, err := m.kubectl(ctx, "", "get", "node", n.name, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
		if err != nil || out != "True" {
			return again("Ready=%q %v", out, err)
		}
		return nil
	})
}

// deletePods deletes the remaining pods after a step has failed, so that the kubelets remove the networks of these
// pods.
func (m *machine) deletePods() error {
	_, err := m.kubectl(context.Background(), "", "delete", "deployments,pods", "--all", "--grace-period=1", "--timeout=60s")
	return err
}

// configure writes the configurations of containerd, of the network and of the kubelet.
func (n *node) configure(number int) error {
	// The image store holds whole copies of the layers (snapshotter native), because a kernel may lack overlayfs.
	containerd := fmt.Sprintf(`version = 2
root = %[1]q
state = %[2]q
[grpc]
address = %[3]q
[plugins."io.containerd.internal.v1.opt"]
path = %[4]q
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = %[5]q
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = %[6]q
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
default_runtime_name = "runc"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = %[7]q
`, filepath.Join(n.dir, "containerd"), filepath.Join(n.dir, "state"), n.socket, filepath.Join(n.dir, "opt"), pauseImage, filepath.Join(n.dir, "cni"), filepath.Join(n.dir, "runc"))
	network := fmt.Sprintf(`{"cniVersion": "0.4.0", "name": "tuma-test", "plugins": [{"type": "bridge", "bridge": %q, "ipam": {"type": "host-local",
"dataDir": %q, "ranges": [[{"subnet": "%[3]s.0/24", "rangeStart": "%[3]s.%[4]d", "rangeEnd": "%[3]s.%[5]d"}]]}}]}
`, bridge, filepath.Join(n.dir, "addresses"), subnet, 10+number*100, 109+number*100)
	kubelet := fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %s
containerRuntimeEndpoint: unix://%s
podLogsDir: %s
readOnlyPort: 0
healthzPort: 0
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
failCgroupV1: false
failSwapOn: false
# Two kubelets on one machine must not share the control groups of pods. So only the limits of containers apply.
cgroupsPerQOS: false
enforceNodeAllocatable: []
cgroupDriver: cgroupfs
resolvConf: ""
makeIPTablesUtilChains: false
imageGCHighThresholdPercent: 100
evictionHard: {memory.available: 50Mi, nodefs.available: 1%%, imagefs.available: 1%%, nodefs.inodesFree: 1%%}
`, n.ip, n.socket, filepath.Join(n.dir, "pod-logs"))
	for name, text := range map[string]string{"containerd.toml": containerd, "cni/10-tuma.conflist": network, "kubelet.yaml": kubelet} {
		file := filepath.Join(n.dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600)); err != nil {
			return err
		}
	}
	return nil
}

// The method "ctr" runs the program ctr in the namespace of the kubelet.
func (m *machine) ctr(ctx context.Context, n *node, args ...string) (string, error) {
	return m.run(ctx, "", "ctr", append([]string{"--address", n.socket, "--namespace", "k8s.io"}, args...)...)
}

// importImage loads an image archive into the store of a node.
func (m *machine) importImage(ctx context.Context, n *node, archive string) error {
	_, err := m.ctr(ctx, n, "images", "import", "--snapshotter", "native", archive)
	return err
}

// endContainers kills and deletes the remaining tasks, and waits for the end of the shims of this node.
func (m *machine) endContainers(n *node) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := m.ctr(ctx, n, "tasks", "list", "--quiet")
	if err != nil {
		return err
	}
	for _, id := range strings.Fields(out) {
		_, _ = m.ctr(ctx, n, "tasks", "delete", "--force", id)
	}
	err = until(ctx, "the end of all containerd shims on node "+n.name, 10*time.Second, func() error {
		if pids := shims(n); len(pids) > 0 {
			return again("%d still run", len(pids))
		}
		return nil
	})
	for _, pid := range shims(n) {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return err
}

// The function "shims" returns the processes that containerd has started for the pods of a node. It finds them by
// the socket of containerd in their command lines.
func shims(n *node) (pids []int) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range lines {
		text, err := os.ReadFile(file)
		args := strings.Split(string(text), "\x00")
		if err != nil || !strings.Contains(args[0], "containerd-shim") || !slices.Contains(args, n.socket) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file))); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// unmountBelow unmounts all mounts below a folder, the deepest first.
func unmountBelow(dir string) error {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	var points []string
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 4 && strings.HasPrefix(fields[4], dir+"/") {
			points = append(points, fields[4])
		}
	}
	for _, point := range slices.Backward(points) {
		err = errors.Join(err, syscall.Unmount(point, syscall.MNT_DETACH))
	}
	return err
}
