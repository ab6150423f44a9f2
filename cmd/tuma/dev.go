package main

import (
	"context"
	"errors"
	"strings"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/dev"
	"github.com/tuma-sms/tuma/sms"
	"github.com/tuma-sms/tuma/worker"
)

// devCommand is one run of `tuma dev`, with its flags.
type devCommand struct {
	*app
	options   dev.Options
	logLevel  string
	logFormat string
}

func newDev(a *app) *cobra.Command {
	d := &devCommand{app: a}
	c := &cobra.Command{
		Use:   "dev",
		Short: "Run all that a first campaign needs on this machine",
		Long: `Dev runs a Redis, the sandbox and a worker until Ctrl-C, and shows the messages
that arrive at the simulated gateways. No message leaves this machine.

In the current folder, dev writes tuma.yaml with an account at each simulated
gateway. 'tuma send' in another terminal finds this file. Dev never changes a
file that exists. If tuma.yaml has a real gateway or another Redis, dev uses
tuma-dev/tuma.yaml instead, and prints the value of TUMA_CONFIG for the other
terminal.

Redis is the redis-server or valkey-server on PATH (7.0 or later). It keeps
campaigns in the folder tuma-dev: after a crash or a restart they continue.
If neither is found, dev uses a built-in Redis, and loses campaigns at its end.

Redis listens on 127.0.0.1:6390 and the sandbox on 127.0.0.1:8025. After Ctrl-C
the worker finishes its calls in flight; a second Ctrl-C ends dev at once.`,
		Example: "  tuma dev\n  tuma dev --country KE\n  tuma dev --redis-port 6391 --sandbox-port 8026",
		Args:    takes(),
		RunE:    a.verb(func(ctx context.Context, _ []string) error { return d.run(ctx) }),
	}
	f := c.Flags()
	f.StringVar(&d.options.Country, "country", "", "country `code` of numbers in national form, such as KE for 0712 345 678; dev writes it to a new tuma.yaml")
	f.StringVar(&d.options.Data, "data", dev.DefaultData, "`folder` for campaigns")
	f.IntVar(&d.options.RedisPort, "redis-port", dev.RedisPort, "`port` of Redis")
	f.IntVar(&d.options.SandboxPort, "sandbox-port", dev.SandboxPort, "`port` of the sandbox")
	f.StringVar(&d.logLevel, "log-level", "warn", "log `level` of the worker: debug, info, warn or error")
	f.StringVar(&d.logFormat, "log-format", "console", "log `format`: json or console")
	return c
}

func (d *devCommand) run(ctx context.Context) error {
	log, err := newLogger(d.err, d.logLevel, d.logFormat)
	if err != nil {
		return err
	}
	o := d.options
	if o.Country != "" && !sms.ValidCountry(strings.ToUpper(o.Country)) {
		return misuse("--country: unknown country %.40q: use a two-letter ISO code, such as KE", o.Country)
	}
	for flag, port := range map[string]int{"--redis-port": o.RedisPort, "--sandbox-port": o.SandboxPort} {
		if port < 1 || port > 65535 {
			return misuse("%s: %d must be 1 to 65535", flag, port)
		}
	}
	if o.RedisPort == o.SandboxPort {
		return misuse("--redis-port and --sandbox-port must differ")
	}
	o.Config, o.Lookup, o.Out, o.Note, o.Now = d.configPath, d.lookup, d.out, d.note, d.now
	o.NewWorker = func(ctx context.Context, cfg *config.Config, builtIn bool) (*worker.Worker, func(), error) {
		return newDevWorker(ctx, cfg, builtIn, log)
	}
	err = dev.Run(ctx, o)
	if errors.Is(err, dev.ErrUsage) {
		return misuseError{err: err}
	}
	return err
}

// newDevWorker returns a worker for all accounts of the configuration, and a function that closes
// the worker's connection to Redis. The parameter "builtIn" is true if Redis is the built-in
// Redis.
func newDevWorker(ctx context.Context, cfg *config.Config, builtIn bool, log zerolog.Logger) (*worker.Worker, func(), error) {
	accounts, err := chooseAccounts(cfg, nil)
	if err != nil {
		return nil, nil, err
	}
	b, err := openBackend(ctx, cfg, poolSizeFor(accounts))
	if err != nil {
		return nil, nil, err
	}
	settings := workerConfig(b, accounts)
	settings.Logger = log
	if builtIn {
		settings.Logger = log.Hook(zerolog.HookFunc(dropSettingWarnings))
	}
	wk, err := worker.New(settings)
	if err != nil {
		b.Close()
		return nil, nil, err
	}
	return wk, b.Close, nil
}

// dropSettingWarnings drops warnings about settings that the built-in Redis does not have. Instead of
// these warnings, `tuma dev` prints once that this Redis keeps nothing.
func dropSettingWarnings(e *zerolog.Event, _ zerolog.Level, message string) {
	if strings.HasPrefix(message, "cannot read ") {
		e.Discard()
	}
}
