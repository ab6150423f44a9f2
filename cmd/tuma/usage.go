package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tuma-sms/tuma/internal/config"
)

// flagError returns the error that is printed for a mistake in a flag. The error names the
// mistake, and the correct form.
func flagError(c *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return flagValueError(e)
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		value, _ := pflag.UnquoteUsage(e.GetFlag())
		return misuseOf(c, "--%[1]s needs a value: --%[1]s %[2]s", e.GetFlag().Name, value)
	}
	e, ok := errors.AsType[*pflag.NotExistError](err)
	switch {
	case !ok:
		return err
	case e.GetSpecifiedShortnames() != "":
		return misuseOf(c, "unknown flag -%s", e.GetSpecifiedName())
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	})
	if best := config.Closest(e.GetSpecifiedName(), known); best != "" {
		return misuseOf(c, "unknown flag --%s; did you mean --%s?", e.GetSpecifiedName(), best)
	}
	return misuseOf(c, "unknown flag --%s", e.GetSpecifiedName())
}

// flagValueError returns an error for a value of the wrong type.
func flagValueError(wrong *pflag.InvalidValueError) error {
	problem := ""
	switch kind := wrong.GetFlag().Value.Type(); {
	case kind == "int" && errors.Is(wrong, strconv.ErrRange):
		problem = "is out of range; must be an integer, e.g. 1000"
	case kind == "int":
		problem = "must be an integer, e.g. 1000"
	case kind == "duration":
		problem = "must be a duration, e.g. 250ms"
	case kind == "bool":
		problem = "must be true or false (the flag alone means true)"
	default:
		return wrong
	}
	return misuse("--%s: %.40q %s", wrong.GetFlag().Name, wrong.GetValue(), problem)
}

// takes returns a function that checks the number of arguments. The parameter "names" has the
// names of the arguments in order. A name in brackets, such as "[ACCOUNT]", marks an optional
// argument and must come last.
func takes(names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		switch {
		case len(args) > len(names):
			return misuseOf(c, "unexpected argument %q", args[len(names)])
		case len(args) < len(names) && !strings.HasPrefix(names[len(args)], "["):
			return misuseOf(c, "%s is missing; usage: %s", names[len(args)], c.UseLine())
		}
		return nil
	}
}

// noSubcommand checks the arguments of a command that has subcommands and does nothing itself. Any
// argument is then the name of an unknown subcommand.
func noSubcommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var known []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			known = append(known, sub.Name())
		}
	}
	if best := config.Closest(args[0], known); best != "" {
		return misuseOf(c, "unknown command %.40q; did you mean %s?", args[0], best)
	}
	return misuseOf(c, "unknown command %.40q; commands: %s", args[0], strings.Join(known, ", "))
}

// setHelpCommand makes `tuma help` print an error for an unknown command. cobra's own help command
// would print the help of tuma and exit with status 0.
func setHelpCommand(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, c := range root.Commands() {
		if c.Name() != "help" {
			continue
		}
		c.Use, c.Short, c.Run = "help [COMMAND]", "Show the help of a command", nil
		c.Long = "Help shows the help of a command, like COMMAND --help."
		c.Example = "  tuma help send\n  tuma help optout add"
		c.RunE = func(_ *cobra.Command, args []string) error {
			about, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 {
				return noSubcommand(about, rest)
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		}
	}
}

// helpWidth is the width of help texts in columns.
const helpWidth = 80

// printUsage writes the part of a command's help below its description: usage, examples,
// subcommands and flags. It wraps flags at helpWidth, which cobra does not.
func printUsage(c *cobra.Command) error {
	var b strings.Builder
	b.WriteString("Usage:\n  ")
	if c.HasAvailableSubCommands() {
		b.WriteString(c.CommandPath() + " COMMAND")
	} else {
		b.WriteString(c.UseLine())
	}
	if len(c.Aliases) > 0 {
		b.WriteString("\n\nAliases:\n  " + c.NameAndAliases())
	}
	if c.HasExample() {
		b.WriteString("\n\nExamples:\n" + c.Example)
	}
	for _, group := range append(c.Groups(), &cobra.Group{Title: "Commands:"}) {
		writeSubcommands(&b, c, group)
	}
	writeFlags(&b, "Flags:", c.LocalFlags())
	writeFlags(&b, "Global flags:", c.InheritedFlags())
	if c.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n\nRun '%s COMMAND --help' for the details of a command.", c.CommandPath())
	}
	_, err := fmt.Fprintln(c.OutOrStderr(), b.String())
	return err
}

// writeFlags writes the flags of a set below a title. It writes nothing if the set is empty.
func writeFlags(b *strings.Builder, title string, flags *pflag.FlagSet) {
	if flags.HasAvailableFlags() {
		b.WriteString("\n\n" + title + "\n" + strings.TrimRight(flags.FlagUsagesWrapped(helpWidth), "\n"))
	}
}

// writeSubcommands writes the subcommands of one group, with their short descriptions.
func writeSubcommands(b *strings.Builder, c *cobra.Command, group *cobra.Group) {
	title := "\n\n" + group.Title
	for _, sub := range c.Commands() {
		if sub.GroupID == group.ID && (sub.IsAvailableCommand() || sub.Name() == "help") {
			fmt.Fprintf(b, "%s\n  %-*s %s", title, sub.NamePadding(), sub.Name(), sub.Short)
			title = ""
		}
	}
}
