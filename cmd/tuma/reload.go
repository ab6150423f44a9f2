package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/metrics"
)

// reloader reads the configuration again after SIGHUP, and after a change of the configuration file or of
// a secret file. It compares contents, so that it also notices the symbolic links that Kubernetes swaps.
// A broken configuration changes nothing.
type reloader struct {
	*app
	log     zerolog.Logger
	process *metrics.Process
	// apply applies a changed configuration. It returns the settings whose change takes effect only after a
	// restart.
	apply func(ctx context.Context, cfg *config.Config) (restart []string, err error)
	every time.Duration
	// read reads the files of the configuration once.
	read func() (*config.Config, error)

	asked   chan struct{}
	inUse   *config.Config
	changed string // changed is the digest that the last check found, if that digest differs from the digest in use.
	failed  atomic.Pointer[string]
}

// reloadEvery is how often the files are read. A change takes effect when a second check finds the same change, so
// that a half-written file is not used.
const reloadEvery = time.Second

// newReloader returns a reloader of the configuration in use. If the command has no terminal, SIGHUP starts a
// check at once.
func newReloader(a *app, cfg *config.Config, log zerolog.Logger, p *metrics.Process, apply func(context.Context, *config.Config) ([]string, error)) *reloader {
	r := &reloader{app: a, log: log, process: p, apply: apply, every: reloadEvery,
		read: func() (*config.Config, error) { return config.Load(a.configPath, a.lookup) }, inUse: cfg, asked: make(chan struct{}, 1)}
	if !console.IsTerminal(a.err) {
		a.signals.reload(func() {
			select {
			case r.asked <- struct{}{}:
			default: // a check is due already
			}
		})
	}
	return r
}

// run checks the files until ctx ends.
func (r *reloader) run(ctx context.Context) {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			r.check(ctx, false)
		case <-r.asked:
			r.check(ctx, true)
		}
	}
}

// check reads the files, and applies a configuration that has changed. The parameter "asked" is true if an
// operator has requested the check. The new configuration then takes effect at once, and check also logs
// that nothing has changed.
func (r *reloader) check(ctx context.Context, asked bool) {
	cfg, err := r.load(asked)
	if err != nil {
		r.fail(err)
		return
	}
	switch {
	case cfg.Digest == r.inUse.Digest:
		if r.failed.Swap(nil) != nil {
			r.log.Info().Msg("the files again contain the configuration in use")
		} else if asked {
			r.log.Info().Msg("the configuration has not changed")
		}
		r.changed = ""
		return
	case !asked && cfg.Digest != r.changed:
		r.changed = cfg.Digest // the next check decides
		return
	}
	restart, err := r.apply(ctx, cfg)
	if err != nil {
		r.fail(err)
		return
	}
	if cfg.Redis != r.inUse.Redis {
		restart = append(restart, "redis")
	}
	if !cfg.Tracing.Equal(r.inUse.Tracing) {
		restart = append(restart, "tracing")
	}
	r.inUse, r.changed = cfg, ""
	r.failed.Store(nil)
	r.process.Reloaded(true, configHash(cfg))
	r.log.Info().Msg("the configuration was reloaded")
	if len(restart) > 0 {
		r.log.Warn().Strs("settings", restart).Msg("some changes take effect only after a restart")
	}
}

// readings is how often a check that an operator has requested may read the files. The check ends when two
// readings agree.
const readings = 10

// load reads the configuration. If an operator has requested the check, a change takes effect at once, so load
// reads the files until two readings agree. Otherwise load could read the user name from an old file and the
// password from a new one.
func (r *reloader) load(asked bool) (*config.Config, error) {
	cfg, err := r.read()
	if !asked || err != nil {
		return cfg, err
	}
	for range readings - 1 {
		next, err := r.read()
		if err != nil || next.Digest == cfg.Digest {
			return next, err
		}
		cfg = next
	}
	return nil, errors.New("the files change while they are read")
}

// The method "fail" records a configuration that cannot be used. It logs each different failure once.
func (r *reloader) fail(err error) {
	text := strings.Join(errorLines(err), "; ")
	if before := r.failed.Swap(&text); before != nil && *before == text {
		return
	}
	r.process.Reloaded(false, "")
	r.log.Error().Str("problems", text).Msg("the changed configuration cannot be used; the old one stays in use")
}

// detail returns a line for /readyz about a configuration that cannot be used, or "".
func (r *reloader) detail() string {
	if text := r.failed.Load(); text != nil {
		return "the configuration on disk cannot be used, the old one is in use: " + *text
	}
	return ""
}
