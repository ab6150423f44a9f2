//go:build linux

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// machine is the cluster on this machine: its folders, its programs, and the functions that end it.
type machine struct {
	// The field "dir" is the folder for data, logs and sockets. The field "programs" is the folder with
	// the programs that tools/kubernetes builds.
	dir, programs string
	// api is the URL of the API server.
	api string
	// The method "close" calls the functions in the slice "ends" in reverse order.
	ends  []func() error
	nodes []*node
}

func (m *machine) path(elements ...string) string {
	return filepath.Join(append([]string{m.dir}, elements...)...)
}

func (m *machine) program(name string) string { return filepath.Join(m.programs, name) }

// env returns the environment of every program. With it, programs write only to the machine's folder.
func (m *machine) env() []string {
	return append(os.Environ(), "KUBECONFIG="+m.path("kubeconfig"), "HOME="+m.path("home"), "TUMA_CONFIG="+m.path("tuma.yaml"),
		"HELM_CACHE_HOME="+m.path("home", "cache"), "HELM_CONFIG_HOME="+m.path("home", "config"), "HELM_DATA_HOME="+m.path("home", "data"))
}

// onEnd adds a function that the method "close" calls.
func (m *machine) onEnd(end func() error) { m.ends = append(m.ends, end) }

// The method "close" ends everything that was started, the newest first, and returns all errors.
func (m *machine) close() error {
	var errs []error
	for _, end := range slices.Backward(m.ends) {
		errs = append(errs, end())
	}
	m.ends = nil
	return errors.Join(errs...)
}

// newMachine creates the folders below dir.
func newMachine(dir, programs string) (*machine, error) {
	m := &machine{dir: dir, programs: programs}
	for _, sub := range []string{"logs", "pki", "home", "etcd", "redis"} {
		if err := os.MkdirAll(m.path(sub), 0o755); err != nil {
			return nil, err
		}
	}
	return m, certificates(m.path("pki"))
}

// freeAddress returns an address with the given IP address at which no program listens.
func freeAddress(ctx context.Context, ip string) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// controlPlane starts etcd, the API server, the controller manager and the scheduler, and waits until
// they are ready.
func (m *machine) controlPlane(ctx context.Context) error {
	var addresses [3]string
	for i := range addresses {
		var err error
		if addresses[i], err = freeAddress(ctx, "127.0.0.1"); err != nil {
			return err
		}
	}
	client, peer := "http://"+addresses[0], "http://"+addresses[1]
	if _, err := m.start("etcd", "etcd", "--data-dir", m.path("etcd"), "--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer); err != nil {
		return err
	}
	m.api = "https://" + addresses[2]
	token := rand.Text()
	if err := errors.Join(m.writeKubeconfig(token), os.WriteFile(m.path("pki", "tokens.csv"), []byte(token+",admin,admin,system:masters\n"), 0o600)); err != nil {
		return err
	}
	_, port, _ := net.SplitHostPort(addresses[2])
	pki := func(name string) string { return m.path("pki", name) }
	server, err := m.start("kube-apiserver", m.program("kube-apiserver"), "--etcd-servers="+client,
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", "--secure-port="+port,
		"--tls-cert-file="+pki("server.crt"), "--tls-private-key-file="+pki("server.key"), "--token-auth-file="+pki("tokens.csv"),
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+pki("account.pub"),
		"--service-account-signing-key-file="+pki("account.key"), "--service-cluster-ip-range=10.97.0.0/16", "--authorization-mode=RBAC",
		"--allow-privileged=true", "--kubelet-preferred-address-types=InternalIP",
		// The API server passes requests for KEDA's metrics on to KEDA's metrics server.
		"--enable-aggregator-routing=true", "--requestheader-client-ca-file="+pki("ca.crt"), "--requestheader-allowed-names=front-proxy",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group", "--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file="+pki("proxy.crt"), "--proxy-client-key-file="+pki("proxy.key"))
	if err != nil {
		return err
	}
	if err := until(ctx, "the API server", 2*time.Minute, func() error {
		if err := server.ended(); err != nil {
			return err
		}
		if out, err := m.kubectl(ctx, "", "get", "--raw", "/readyz"); err != nil || strings.TrimSpace(out) != "ok" {
			return again("%s %v", out, err)
		}
		return nil
	}); err != nil {
		return err
	}
	config := "--kubeconfig=" + m.path("kubeconfig")
	if _, err := m.start("kube-controller-manager", m.program("kube-controller-manager"), config, "--leader-elect=false", "--secure-port=0",
		"--service-account-private-key-file="+pki("account.key"), "--root-ca-file="+pki("ca.crt"), "--horizontal-pod-autoscaler-sync-period=2s"); err != nil {
		return err
	}
	_, err = m.start("kube-scheduler", m.program("kube-scheduler"), config, "--leader-elect=false", "--secure-port=0",
		"--authentication-kubeconfig="+m.path("kubeconfig"), "--authorization-kubeconfig="+m.path("kubeconfig"))
	return err
}

// writeKubeconfig writes the file with which all programs reach the API server, as its administrator.
func (m *machine) writeKubeconfig(token string) error {
	type object map[string]any
	text, err := json.Marshal(object{
		"apiVersion": "v1", "kind": "Config", "current-context": "test",
		"clusters": []any{object{"name": "test", "cluster": object{"server": m.api, "certificate-authority": m.path("pki", "ca.crt")}}},
		"users":    []any{object{"name": "admin", "user": object{"token": token}}},
		"contexts": []any{object{"name": "test", "context": object{"cluster": "test", "user": "admin", "namespace": namespace}}},
	})
	if err != nil {
		return err
	}
	return os.WriteFile(m.path("kubeconfig"), text, 0o600)
}

// kubectl runs kubectl in the namespace of the release.
func (m *machine) kubectl(ctx context.Context, stdin string, args ...string) (string, error) {
	return m.run(ctx, stdin, m.program("kubectl"), args...)
}

// The method "get" reads objects of the cluster as JSON into the parameter "out".
func (m *machine) get(ctx context.Context, out any, args ...string) error {
	text, err := m.kubectl(ctx, "", append([]string{"get", "-o", "json"}, args...)...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), out); err != nil {
		return fmt.Errorf("kubectl get %s: %w", strings.Join(args, " "), err)
	}
	return nil
}
