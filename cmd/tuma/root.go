package main

import (
	"context"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newRoot returns the tuma command with all its verbs.
func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "tuma",
		Short: "Send text messages in bulk, each of them once",
		Long: `Tuma (Swahili: send) hands large recipient lists to SMS gateways, within each
gateway's limits, without sending a message twice or losing one.

Campaigns wait in Redis; 'tuma worker' sends them; 'tuma send' enqueues one.
Try everything without an account: tuma demo.

The configuration is --config, else TUMA_CONFIG, else ./tuma.yaml. Commands that
only need Redis do without it: they take TUMA_REDIS_URL, or ` + defaultRedisURL + `.

Exit status: 0 done, 1 failed, 2 wrong use or input, 3 (with --wait) the campaign
ended, or was paused or cancelled, with recipients not accepted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.PersistentFlags().StringVar(&a.configPath, "config", "", "configuration file (default $TUMA_CONFIG, else ./tuma.yaml)")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return flagValueError(err) })
	root.AddGroup(
		&cobra.Group{ID: groupCampaigns, Title: "Campaigns:"},
		&cobra.Group{ID: groupAccounts, Title: "Accounts:"},
		&cobra.Group{ID: groupRunning, Title: "Running it:"},
	)
	add := func(group string, verbs ...*cobra.Command) {
		for _, v := range verbs {
			v.GroupID = group
			root.AddCommand(v)
		}
	}
	add(groupCampaigns, newSend(a), newStatus(a), newList(a), newResults(a), newReport(a), newPause(a), newResume(a), newCancel(a), newRetry(a), newOptOut(a))
	add(groupAccounts, newAccounts(a), newHold(a), newRelease(a), newRate(a), newGateway(a), newBalance(a))
	add(groupRunning, newWorker(a), newCheck(a), newSandbox(a), newDemo(a), newVersion(a))
	return root
}

const (
	groupCampaigns = "campaigns"
	groupAccounts  = "accounts"
	groupRunning   = "running"
)

// app is what the verbs share: the outside world, and the configuration once it
// has been read.
type app struct {
	in       io.Reader
	out, err io.Writer
	env      map[string]string
	now      func() time.Time

	configPath string
	loaded     *config
	// shown is the progress on standard error, if there is any.
	progress *progress
	// began: a verb is running, so that an error is not one of the command line.
	started bool
}

func (a *app) lookup(name string) (string, bool) {
	value, ok := a.env[name]
	return value, ok
}

// verb makes a verb's own function a cobra one.
func (a *app) verb(do func(ctx context.Context, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		a.started = true
		return do(c.Context(), args)
	}
}

// wrongValue says of a flag's value what to write instead.
func flagValueError(err error) error {
	wrong, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	problem := ""
	switch kind := wrong.GetFlag().Value.Type(); {
	case kind == "int" && errors.Is(err, strconv.ErrRange):
		problem = "is too large"
	case kind == "int":
		problem = "is no whole number; write it like 1000"
	case kind == "duration":
		problem = "is no span of time; write it like 250ms, 2s or 1m"
	case kind == "bool":
		problem = "is neither true nor false; the flag alone says true"
	default:
		return err
	}
	return misuse("--%s: %.40q %s", wrong.GetFlag().Name, wrong.GetValue(), problem)
}

// takes says which arguments a verb needs, by name, all of them required.
func takes(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return misuse("%s needs %s: %s", c.CommandPath(), names[len(args)], c.UseLine())
		case len(args) > len(names):
			return misuse("%s does not know what to do with %q", c.CommandPath(), args[len(names)])
		}
		return nil
	}
}
