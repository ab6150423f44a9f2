package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/config"
)

// app has the data that all commands share: the standard streams, the environment, the clock, and
// the configuration after the first read.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      map[string]string
	now      func() time.Time
	// signals ends the command after a signal such as Ctrl-C. It is nil for a command that runs
	// within a test.
	signals *interrupts

	configPath string
	loaded     *config.Config
	// progress is the progress shown on standard error, or nil.
	progress *progress
	// started is true once the function of a command has begun. An error before this moment is
	// a mistake in the command line.
	started bool
}

// lookup returns the value of an environment variable, and whether the variable is set.
func (a *app) lookup(name string) (string, bool) {
	value, ok := a.env[name]
	return value, ok
}

// verb adapts a command's function to cobra's RunE.
func (a *app) verb(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		a.started = true
		return do(c.Context(), args)
	}
}
