package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/providers"
)

// maxParameterFile bounds a parameter that is read from a file.
const maxParameterFile = 4 << 20

// newGatewayActions is the verb of a provider that can do more than send and be
// asked.
func newGatewayActions(a *app, kind providers.Kind) *cobra.Command {
	var yes bool
	var format tableFormat
	var list strings.Builder
	for _, action := range kind.Actions {
		_, _ = fmt.Fprintf(&list, "\n  %s\n      %s\n", usageOf(action), action.Does)
	}
	c := &cobra.Command{
		Use:   kind.Name + " ACCOUNT ACTION [KEY=VALUE…]",
		Short: "Administer an account at " + kind.Name,
		Long: `Does something at the gateway that only it can, by the vendor's own names. Upper
and lower case of the action do not matter. KEY=@FILE takes the value from a file,
KEY=@- from standard input: a password belongs there, and not on the command line.
What destroys something, or sends, asks first.

Actions:
` + list.String(),
		Example: "  tuma gateway " + kind.Name + " my-account " + usageOf(kind.Actions[0]),
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return misuse("%s needs an account and an action: %s", c.CommandPath(), c.UseLine())
			}
			return nil
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return actionNames(kind), cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeAccounts(c, args, toComplete)
		},
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return a.gatewayAction(ctx, kind, args, yes, format)
		}),
	}
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	format.flags(c)
	return c
}

// usageOf is how an action is written: its name and its parameters.
func usageOf(action providers.Action) string {
	parts := []string{action.Name}
	for _, p := range action.Needs {
		parts = append(parts, p+"=…")
	}
	for _, p := range action.Takes {
		parts = append(parts, "["+p+"=…]")
	}
	return strings.Join(parts, " ")
}

func actionNames(kind providers.Kind) (names []string) {
	for _, action := range kind.Actions {
		names = append(names, action.Name)
	}
	return names
}

func (a *app) gatewayAction(ctx context.Context, kind providers.Kind, args []string, yes bool, format tableFormat) error {
	acc, err := a.account(args[0])
	if err != nil {
		return err
	}
	if acc.kind.Name != kind.Name {
		return misuse("account %s is one of provider %s, not of %s", acc.name, acc.kind.Name, kind.Name)
	}
	i := slices.IndexFunc(kind.Actions, func(x providers.Action) bool { return strings.EqualFold(x.Name, args[1]) })
	if i < 0 {
		return misuse("%s has no action %.40q; it has %s", kind.Name, args[1], strings.Join(actionNames(kind), ", "))
	}
	action := kind.Actions[i]
	params, err := a.parameters(action, args[2:])
	if err != nil {
		return err
	}
	if err := action.Check(params); err != nil {
		return misuse("%w: %s", err, usageOf(action))
	}
	if action.Confirm != "" && !yes {
		if err := a.confirm(ctx, action, acc); err != nil {
			return err
		}
	}
	t, err := action.Do(ctx, acc.worker.Provider, params)
	if err != nil {
		return noteUnknownOutcome(acc, err)
	}
	if len(t.Columns) == 0 && !format.json && !format.csv {
		_, err = fmt.Fprintf(a.out, "%s: done\n", action.Name)
		return err
	}
	return a.printTable(t, format, action.Name+": done, and nothing to show")
}

// perhapsDone adds to an error without a verdict that the action may have been
// carried out all the same, and where to look.
func noteUnknownOutcome(acc *accountConfig, err error) error {
	e, ok := errors.AsType[*providers.Error](err)
	if !ok || e.Outcome != providers.Unknown {
		return err
	}
	look := "at the gateway"
	if _, ok := acc.worker.Provider.(providers.Reporter); ok {
		look += ", or with tuma gateway reports " + acc.name + ","
	}
	return fmt.Errorf("%w; it may have been carried out: look %s before you do it again", err, look)
}

// sureTo asks before something is done that wants to be confirmed. Without anybody to
// ask, nothing is.
func (a *app) confirm(ctx context.Context, action providers.Action, acc *accountConfig) error {
	if !isTerminal(a.in) || !isTerminal(a.err) {
		return misuse("at account %s %s %s; say --yes if that is meant", acc.name, action.Name, action.Confirm)
	}
	sure, err := a.ask(ctx, fmt.Sprintf("at account %s %s %s. Do it?", acc.name, action.Name, action.Confirm))
	if err != nil || !sure {
		return errors.Join(errors.New("nothing was done"), err)
	}
	return nil
}

// parameters reads KEY=VALUE, with the keys in the vendor's own spelling whatever
// their case. Its error never repeats what is no KEY=VALUE: it may be a password.
func (a *app) parameters(action providers.Action, args []string) (map[string]string, error) {
	known := slices.Concat(action.Needs, action.Takes)
	params := map[string]string{}
	for i, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, misuse("parameter %d is no KEY=VALUE: %s", i+1, usageOf(action))
		}
		if i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, key) }); i >= 0 {
			key = known[i]
		}
		if _, twice := params[key]; twice {
			return nil, misuse("%s is given twice", key)
		}
		if name, fromFile := strings.CutPrefix(value, "@"); fromFile {
			var err error
			if value, err = a.parameterFile(key, name); err != nil {
				return nil, err
			}
		}
		params[key] = value
	}
	return params, nil
}

func (a *app) parameterFile(key, name string) (string, error) {
	in := a.in
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", misuse("%s: %w", key, err)
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, maxParameterFile+1))
	if err != nil {
		return "", misuse("%s: %w", key, err)
	}
	if len(text) > maxParameterFile {
		return "", misuse("%s: %s holds more than %d MiB", key, name, maxParameterFile>>20)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}
