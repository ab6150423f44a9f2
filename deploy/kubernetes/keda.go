//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/tuma-sms/tuma/deploy/schemas"
)

// kedaNamespace is the namespace of KEDA's objects.
const kedaNamespace = "keda"

// startKEDA starts KEDA's operator and its metrics server, and connects the metrics server with the API server. Then
// the controller of the HorizontalPodAutoscalers can read the metrics of a ScaledObject. Without KEDA's programs,
// startKEDA does nothing.
func (l *load) startKEDA(ctx context.Context) error {
	if l.keda == "" {
		return nil
	}
	dir, err := schemas.KEDA.Dir()
	if err != nil {
		return err
	}
	if _, err := l.kubectl(ctx, "", "apply", "--server-side", "--filename", filepath.Join(dir, "config", "crd", "bases")); err != nil {
		return err
	}
	host := subnet + ".1"
	addresses := map[string]string{}
	for name, ip := range map[string]string{"metrics": "127.0.0.1", "probes": "127.0.0.1", "service": "127.0.0.1", "api": host, "adapter metrics": "127.0.0.1"} {
		if addresses[name], err = freeAddress(ctx, ip); err != nil {
			return err
		}
	}
	port := func(name string) string { _, p, _ := net.SplitHostPort(addresses[name]); return p }
	proxy, err := l.serviceProxy(ctx)
	if err != nil {
		return err
	}
	certificates := l.path("pki", "keda")
	env := []string{"WATCH_NAMESPACE=", "POD_NAMESPACE=" + kedaNamespace, "KEDA_CLUSTER_OBJECT_NAMESPACE=" + kedaNamespace, "HTTP_PROXY=" + proxy}
	if _, err := l.startWith(env, "keda", filepath.Join(l.keda, "operator"), "--metrics-bind-address="+addresses["metrics"],
		"--health-probe-bind-address="+addresses["probes"], "--metrics-service-bind-address="+addresses["service"], "--cert-dir="+certificates,
		"--enable-webhook-patching=false", "--enable-apiservice-patching=false"); err != nil {
		return err
	}
	config := l.path("kubeconfig")
	if _, err := l.startWith(env, "keda-adapter", filepath.Join(l.keda, "adapter"), "--bind-address="+host, "--secure-port="+port("api"),
		"--port="+port("adapter metrics"), "--metrics-service-address="+addresses["service"], "--cert-dir="+certificates,
		"--client-ca-file="+filepath.Join(certificates, "ca.crt"), "--tls-cert-file="+filepath.Join(certificates, "tls.crt"),
		"--tls-private-key-file="+filepath.Join(certificates, "tls.key"), "--lister-kubeconfig="+config, "--authentication-kubeconfig="+config,
		"--authorization-kubeconfig="+config); err != nil {
		return err
	}
	if _, err := l.kubectl(ctx, metricsAPI(host, port("api")), "apply", "--filename", "-"); err != nil {
		return err
	}
	return until(ctx, "KEDA's metrics", 2*time.Minute, func() error {
		if out, err := l.kubectl(ctx, "", "get", "--raw", "/apis/external.metrics.k8s.io/v1beta1"); err != nil {
			return again("%s %v", out, err)
		}
		return nil
	})
}

// metricsAPI returns the objects through which the API server reaches KEDA's metrics server at an address.
func metricsAPI(ip, port string) string {
	return fmt.Sprintf(`apiVersion: v1
kind: Namespace
metadata: {name: %[1]s}
---
apiVersion: v1
kind: Service
metadata: {name: keda-metrics-apiserver, namespace: %[1]s}
spec: {ports: [{name: https, port: 443, targetPort: %[3]s}]}
---
apiVersion: v1
kind: Endpoints
metadata: {name: keda-metrics-apiserver, namespace: %[1]s}
subsets: [{addresses: [{ip: %[2]s}], ports: [{name: https, port: %[3]s}]}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.external.metrics.k8s.io}
spec: {service: {name: keda-metrics-apiserver, namespace: %[1]s}, group: external.metrics.k8s.io, version: v1beta1,
  groupPriorityMinimum: 100, versionPriority: 100, insecureSkipTLSVerify: true}
`, kedaNamespace, ip, port)
}

// serviceProxy starts an HTTP proxy for KEDA and returns its URL. This cluster has no DNS, so the proxy sends a request
// for the Service of the metrics to a worker that is ready.
func (l *load) serviceProxy(ctx context.Context) (string, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host != "tuma-metrics."+namespace+".svc:8080" {
			http.Error(w, "the proxy forwards only to the Service tuma-metrics, not to "+r.URL.Host, http.StatusBadGateway)
			return
		}
		text, err := l.metrics(r.Context())
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, text)
	})}
	go func() { _ = server.Serve(listener) }()
	l.onEnd(server.Close)
	return "http://" + listener.Addr().String(), nil
}

// setKEDA turns the autoscaling of the chart on or off. If KEDA does not run, it does nothing.
func (l *load) setKEDA(ctx context.Context, on bool) error {
	if l.keda == "" {
		return nil
	}
	if err := l.upgrade(ctx, fmt.Sprintf("worker.autoscaling.enabled=%t", on), "worker.autoscaling.source=metrics", fmt.Sprintf("worker.autoscaling.maxReplicas=%d", most),
		"worker.autoscaling.pollingInterval=2", "worker.autoscaling.scaleDownAfter=5"); err != nil {
		return err
	}
	return until(ctx, "KEDA", 2*time.Minute, func() error {
		out, err := l.kubectl(ctx, "", "get", "horizontalpodautoscalers", "--no-headers")
		switch {
		case err != nil:
			return err
		case on == (strings.TrimSpace(out) == ""):
			return again("HorizontalPodAutoscalers: %q", out)
		case !on:
			return nil
		}
		ready, err := l.kubectl(ctx, "", "get", "scaledobjects", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`)
		if err != nil || ready != "True" {
			return again("Ready=%q %v", ready, err)
		}
		fmt.Printf("   KEDA: the ScaledObject is ready, and its HorizontalPodAutoscaler is %s\n", strings.Join(strings.Fields(out), " "))
		return nil
	})
}

// describeKEDA returns the state of KEDA's objects as an error, for a step that failed.
func (l *load) describeKEDA(ctx context.Context) error {
	out, err := l.kubectl(ctx, "", "describe", "scaledobjects,horizontalpodautoscalers")
	return errors.Join(err, errors.New(out))
}
