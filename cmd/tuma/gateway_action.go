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

	"github.com/tuma-sms/tuma/internal/config"
	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/providers"
)

// maxParameterFile is the maximum size in bytes of a parameter that is read from a file.
const maxParameterFile = 4 << 20

// actionCommand is one run of `tuma gateway PROVIDER`, with its flags.
type actionCommand struct {
	*app
	kind   providers.Kind
	yes    bool
	format tableFormat
}

// newGatewayActions returns the command for the actions of a provider. An action is a request that
// only the gateway of this provider supports.
func newGatewayActions(a *app, kind providers.Kind) *cobra.Command {
	g := &actionCommand{app: a, kind: kind}
	var list strings.Builder
	for _, action := range kind.Actions {
		usage := strings.Join(console.Wrap(usageOf(action), helpWidth-4), "\n    ")
		does := strings.Join(console.Wrap(action.Does, helpWidth-6), "\n      ")
		_, _ = fmt.Fprintf(&list, "\n  %s\n      %s\n", usage, does)
	}
	c := &cobra.Command{
		Use:   kind.Name + " ACCOUNT ACTION [KEY=VALUE…]",
		Short: "Administer an account at " + kind.Name,
		Long: `This command runs an action that only this gateway offers. Actions and keys have
the vendor's names; upper and lower case do not matter. KEY=@FILE reads the
value of KEY from a file and KEY=@- from standard input. Give a password in one
of these two ways. Actions that delete or send something ask for confirmation
first.

Actions:
` + list.String(),
		Example: "  tuma gateway " + kind.Name + " my-account " + kind.Actions[0].Name + " KEY=VALUE…",
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return misuseOf(c, "ACCOUNT and ACTION are required; usage: %s", c.UseLine())
			}
			return nil
		},
		ValidArgsFunction: func(c *cobra.Command, args []string, toComplete string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return actionNames(kind), cobra.ShellCompDirectiveNoFileComp
			}
			return a.completeAccounts(c, args, toComplete)
		},
		RunE: a.verb(g.run),
	}
	c.Flags().BoolVarP(&g.yes, "yes", "y", false, "do not ask for confirmation")
	g.format.flags(c)
	return c
}

// usageOf returns the usage of an action: its name and its parameters.
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

// The method "run" runs an action, and prints the gateway's answer. The slice "args" has the account,
// the action and the action's parameters.
func (g *actionCommand) run(ctx context.Context, args []string) (err error) {
	kind := g.kind
	acc, err := g.account(args[0])
	if err != nil {
		return err
	}
	if acc.Kind.Name != kind.Name {
		return misuse("account %s belongs to provider %s, not %s", acc.Name, acc.Kind.Name, kind.Name)
	}
	i := slices.IndexFunc(kind.Actions, func(x providers.Action) bool { return strings.EqualFold(x.Name, args[1]) })
	if i < 0 {
		return misuse("provider %s has no action %.40q%s; actions: %s", kind.Name, args[1], commandFor(args[1], acc.Name), strings.Join(actionNames(kind), ", "))
	}
	action := kind.Actions[i]
	params, err := g.parameters(action, args[2:])
	if err != nil {
		return err
	}
	if err := action.Check(params); err != nil {
		return misuse("%w; usage: %s", err, usageOf(action))
	}
	if action.Confirm != "" && !g.yes {
		if err := g.confirm(ctx, action, acc); err != nil {
			return err
		}
	}
	t, err := action.Do(ctx, acc.Worker.Provider, params)
	if err != nil && action.Reads {
		return err
	}
	if err != nil {
		return noteUnknownOutcome(acc, err)
	}
	if action.Failed != nil {
		defer func() { err = errors.Join(err, action.Failed(t)) }()
	}
	if len(t.Columns) == 0 && !g.format.json && !g.format.csv {
		_, err = fmt.Fprintf(g.out, "%s: done\n", action.Name)
		return err
	}
	return g.printTable(t, g.format, action.Name+": done; the gateway returned no rows")
}

// commandFor returns the end of the error about an action that the provider does not have. The text names the tuma
// command with the same purpose as the action. commandFor returns "" if tuma has no such command.
func commandFor(action, account string) string {
	for _, command := range []struct{ word, usage string }{
		{"credit", "balance " + account}, {"balance", "balance " + account}, {"report", "gateway reports " + account}, {"history", "gateway reports " + account},
		{"inbox", "gateway inbox " + account}, {"status", "gateway status " + account + " MESSAGE-ID"}, {"send", "send --via " + account},
	} {
		if strings.Contains(strings.ToLower(action), command.word) {
			return " (there is: tuma " + command.usage + ")"
		}
	}
	return ""
}

// noteUnknownOutcome adds advice to an error that leaves the outcome of an action unknown. The
// advice says that the gateway may have carried out the action, and where the user can check. Other
// errors are returned unchanged.
func noteUnknownOutcome(acc *config.Account, err error) error {
	e, ok := errors.AsType[*providers.Error](err)
	if !ok || e.Outcome != providers.Unknown {
		return err
	}
	where := "at the gateway"
	if _, ok := acc.Worker.Provider.(providers.Reporter); ok {
		where += ", or with tuma gateway reports " + acc.Name + ","
	}
	return fmt.Errorf("%w; the gateway may have carried out the action: check %s before you run the action again", err, where)
}

// confirm asks on the terminal whether to run an action. It returns an error if the answer is
// not yes, or if standard input or standard error is not a terminal.
func (g *actionCommand) confirm(ctx context.Context, action providers.Action, acc *config.Account) error {
	if !console.IsTerminal(g.in) || !console.IsTerminal(g.err) {
		return misuse("account %s: %s %s; confirm with --yes", acc.Name, action.Name, action.Confirm)
	}
	sure, err := g.ask(ctx, fmt.Sprintf("account %s: %s %s. Continue?", acc.Name, action.Name, action.Confirm))
	if err != nil || !sure {
		return errors.Join(errors.New("nothing was sent to the gateway"), err)
	}
	return nil
}

// parameters parses KEY=VALUE arguments. It returns the keys in the vendor's spelling. Its error
// never contains an argument that is not KEY=VALUE, because such an argument may be a password.
func (g *actionCommand) parameters(action providers.Action, args []string) (map[string]string, error) {
	known := slices.Concat(action.Needs, action.Takes)
	params := map[string]string{}
	for i, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		if !ok || key == "" {
			return nil, misuse("parameter %d must be KEY=VALUE; usage: %s", i+1, usageOf(action))
		}
		if i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, key) }); i >= 0 {
			key = known[i]
		}
		if _, twice := params[key]; twice {
			return nil, misuse("parameter %s is set twice", key)
		}
		if name, fromFile := strings.CutPrefix(value, "@"); fromFile {
			var err error
			if value, err = g.parameterFile(key, name); err != nil {
				return nil, err
			}
		}
		params[key] = value
	}
	return params, nil
}

// parameterFile reads a value from a file, or from standard input if the name is "-". It removes
// one newline at the end of the value.
func (g *actionCommand) parameterFile(key, name string) (string, error) {
	in := g.in
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
		return "", misuse("%s: %s must not be larger than %d MiB", key, name, maxParameterFile>>20)
	}
	return strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r"), nil
}
