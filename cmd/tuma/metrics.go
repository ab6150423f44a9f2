package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"runtime/debug"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tuma-sms/tuma/internal/census"
	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/metrics"
	"github.com/tuma-sms/tuma/internal/redisguard"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/server"
)

// newMetrics returns the metrics that every process has, and a registry that contains them.
func newMetrics(cfg *config.Config) (*prometheus.Registry, *metrics.Process, error) {
	info, _ := debug.ReadBuildInfo()
	b := readBuild(info)
	return metrics.NewProcess(metrics.Build{Version: b.release(version), Revision: b.shortRevision(), ConfigHash: configHash(cfg)})
}

// configHash returns the start of the hash of the configuration file. Processes with different files have
// different hashes. Without a file, configHash returns an empty text.
func configHash(cfg *config.Config) string {
	text, err := os.ReadFile(cfg.File)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:6])
}

// meterServer adds the metrics to the configuration of a server, and returns them.
func meterServer(c *server.Config, b *backend) (*metrics.Server, *metrics.Process, error) {
	reg, process, err := newMetrics(b.cfg)
	if err != nil {
		return nil, nil, err
	}
	var all []metrics.Account
	for _, acc := range b.cfg.Accounts {
		all = append(all, metrics.Account{Name: acc.Name, Provider: acc.Info.Name, Rate: float64(acc.Worker.Rate)})
	}
	var doors []string
	for _, acc := range c.Accounts {
		doors = append(doors, acc.Name)
	}
	slices.Sort(doors)
	source := metrics.NewSource(all, census.NewStore(script.NewRunner(b.rdb, script.Durability{})).Last, func(ctx context.Context) (metrics.Redis, error) {
		g, err := redisguard.ReadGauges(ctx, b.rdb)
		return metrics.Redis(g), err
	})
	m, err := metrics.NewServer(reg, all, doors, source)
	if err != nil {
		return nil, nil, err
	}
	c.Meter, c.Metrics = m, metricsHandler(reg)
	return m, process, nil
}

// metricsHandler returns the handler of /metrics. If one collector fails, the handler still serves the
// metrics of the other collectors.
func metricsHandler(reg *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4, EnableOpenMetrics: true})
}
