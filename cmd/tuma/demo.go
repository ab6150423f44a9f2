package main

import (
	"context"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/demo"
)

func newDemo(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Try Tuma on this machine, with nothing to install",
		Long: `Demo sends a campaign to 20,000 invented recipients through a simulated gateway.
Two workers send it, and the demo kills one of them (kill -9) halfway. Then it
prints the outcome of the recipients and the gateway's own counts.

The demo uses the redis-server on PATH, or else a built-in Redis. It needs no
configuration, connects to no other Redis, and removes its files at the end. If
a message was sent twice or a recipient was lost, the demo prints an error and
exits with status 1.`,
		Example: "  tuma demo",
		Args:    takes(),
		RunE:    a.verb(func(ctx context.Context, _ []string) error { return a.demo(ctx) }),
	}
}

// demo runs the demo with the environment and the output of this command.
func (a *app) demo(ctx context.Context) error {
	a.signals.finish(func() { a.note("demo: stopping the processes of the demo and removing its files") })
	var environ []string
	for _, name := range slices.Sorted(maps.Keys(a.env)) {
		environ = append(environ, name+"="+a.env[name])
	}
	return demo.Run(ctx, demo.Options{Out: a.out, Note: a.note, Follow: a.follow, Environ: environ, Now: a.now})
}
