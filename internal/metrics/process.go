package metrics

import (
	"fmt"
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Build describes the program of a process: its version and revision, and a hash of its
// configuration.
type Build struct{ Version, Revision, ConfigHash string }

// Process has the metrics that all processes of Tuma export. It is safe for concurrent use.
type Process struct {
	config  *prometheus.GaugeVec
	reloads *prometheus.CounterVec
}

// NewProcess returns a registry with the metrics of this process, the Go runtime and the build.
func NewProcess(b Build) (*prometheus.Registry, *Process, error) {
	reg := prometheus.NewRegistry()
	p := &Process{
		config:  gauge("tuma_config_info", "1 for the configuration in use. The label `hash` has the hash of this configuration.", "hash"),
		reloads: counter("tuma_config_reload_total", "How often a changed configuration was read, by result.", "result"),
	}
	info := gauge("tuma_build_info", "1 for this build.", "version", "revision", "goversion")
	info.WithLabelValues(b.Version, b.Revision, runtime.Version()).Set(1)
	p.config.WithLabelValues(b.ConfigHash).Set(1)
	for _, r := range ReloadResults {
		p.reloads.WithLabelValues(r)
	}
	err := register(reg, p.config, p.reloads, info, collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(collectors.WithGoCollectorMemStatsMetricsDisabled()))
	if err != nil {
		return nil, nil, fmt.Errorf("register metrics of process: %w", err)
	}
	return reg, p, nil
}

// Reloaded counts a reading of a changed configuration. The parameter "hash" is the hash of the
// configuration in use now.
func (p *Process) Reloaded(ok bool, hash string) {
	if !ok {
		p.reloads.WithLabelValues("failed").Inc()
		return
	}
	p.reloads.WithLabelValues("ok").Inc()
	p.config.Reset()
	p.config.WithLabelValues(hash).Set(1)
}
