package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/producer"
)

func newOptOut(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "optout",
		Short: "Keep the list of people who must not be sent to",
		Long: `Optout keeps the suppression list. Who is on it is left out of every campaign,
marketing or transactional, of those that are being sent, and of retries.

With --sender it is the list of that sender ID alone, in upper or lower case;
without, that of all senders. Gateways add to it whom they call blacklisted. It is
kept for ever: nobody leaves it by themselves.`,
		Example: `  tuma optout add 0712345678
  tuma optout import do-not-call.csv --sender ACME
  tuma optout check 0712345678`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return misuse("tuma optout has no %q; it has %s", args[0], strings.Join(commandNames(c), ", "))
			}
			return nil
		},
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newOptOutAdd(a), newOptOutRemove(a), newOptOutCheck(a), newOptOutList(a), newOptOutImport(a), newOptOutExport(a))
	return c
}

func commandNames(c *cobra.Command) (out []string) {
	for _, v := range c.Commands() {
		out = append(out, v.Name())
	}
	return out
}

// optOutVerb is what the verbs of optout that read numbers have in common.
type optOutCommand struct {
	*app
	sender, country, file string
	list                  recipients.Options
	noWait, json          bool
}

func (o *optOutCommand) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.sender, "sender", "", "the list of this sender ID (default: that of all senders)")
	f.StringVar(&o.country, "country", "", "country of numbers in national form, such as KE (default: default_country)")
	f.StringVar(&o.list.Column, "column", "", "name of the column of numbers, if it is none of the usual ones")
	f.BoolVar(&o.json, "json", false, "print JSON")
}

func (o *optOutCommand) waitFlag(c *cobra.Command) {
	c.Flags().BoolVar(&o.noWait, "no-wait", false, "do not wait for calls in flight")
}

func newOptOutAdd(a *app) *cobra.Command {
	o := &optOutCommand{app: a}
	c := &cobra.Command{
		Use:   "add NUMBER… | add --file F",
		Short: "Put numbers on the suppression list",
		Long: `Add puts numbers on the suppression list. Once it is back, no call to them begins in
any campaign. Calls to them that had begun before are counted, and waited for unless
--no-wait is given. The one exception is a call that may have reached its gateway
already: it may be repeated as it was, where the gateway sends it only once.`,
		Example: `  tuma optout add +254712345678 0733000001
  tuma optout add 0712345678 --sender ACME
  tuma optout add --file numbers.txt`,
		RunE: a.verb(func(ctx context.Context, args []string) error { return o.run(ctx, args, o.add) }),
	}
	o.flags(c)
	o.waitFlag(c)
	c.Flags().StringVar(&o.file, "file", "", "also those in a file, one a line or a CSV; - is standard input")
	return c
}

func newOptOutImport(a *app) *cobra.Command {
	o := &optOutCommand{app: a}
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Put all numbers of a file on the suppression list",
		Long: `Import puts all numbers of a file on the suppression list: a plain list, a CSV, or
what tuma optout export has written, with senders, origins and times. - is standard
input. It streams: ten million need no memory here. What is no number is passed
over, and named; then it ends with 1. The same again changes nothing.

Campaigns that are being sent are told at the end, as with tuma optout add.`,
		Example: `  tuma optout import do-not-call.csv
  tuma optout import acme-stops.txt --sender ACME --country KE
  ssh old-system tuma optout export | tuma optout import -`,
		Args: takes("FILE"),
		RunE: a.verb(func(ctx context.Context, args []string) error {
			o.file = args[0]
			return o.run(ctx, nil, o.importFile)
		}),
	}
	o.flags(c)
	o.waitFlag(c)
	return c
}

func newOptOutRemove(a *app) *cobra.Command {
	o := &optOutCommand{app: a}
	c := &cobra.Command{
		Use:   "remove NUMBER… | remove --file F",
		Short: "Take numbers off the suppression list",
		Long: `Remove takes numbers off the list of a sender, or off that of all. Campaigns that
have left them out already do not take them in again.`,
		Example: `  tuma optout remove +254712345678
  tuma optout remove 0712345678 --sender ACME`,
		RunE: a.verb(func(ctx context.Context, args []string) error { return o.run(ctx, args, o.remove) }),
	}
	o.flags(c)
	c.Flags().StringVar(&o.file, "file", "", "also those in a file, one a line or a CSV; - is standard input")
	return c
}

// with connects, and opens the file if there is one.
func (o *optOutCommand) run(ctx context.Context, numbers []string, do func(context.Context, *backend, []string, *source) error) (err error) {
	if len(numbers) == 0 && o.file == "" {
		return misuse("whom? Name numbers, or a file of them with --file")
	}
	b, err := o.connect(ctx)
	if err != nil {
		return err
	}
	defer b.Close()
	if o.country == "" {
		o.country = b.cfg.country
	}
	o.country = strings.ToUpper(o.country)
	var src *source
	if o.file != "" {
		if src, err = o.openSource(o.file, o.list); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, src.Close()) }()
	}
	return do(ctx, b, numbers, src)
}

// named is a number with the place where it stands.
type locatedOptOut struct {
	producer.OptOut
	place string
}

// people yields the numbers of the command line and of the file.
func (o *optOutCommand) allNumbers(numbers []string, src *source) iter.Seq2[locatedOptOut, error] {
	return func(yield func(locatedOptOut, error) bool) {
		for i, n := range numbers {
			if !yield(locatedOptOut{producer.OptOut{Number: n, Sender: o.sender, Country: o.country}, fmt.Sprintf("number %d", i+1)}, nil) {
				return
			}
		}
		if src == nil {
			return
		}
		for r, err := range src.all() {
			if !yield(locatedOptOut{producer.OptOut{Number: r.Number, Sender: o.sender, Country: o.country}, src.list.Where()}, err) || err != nil {
				return
			}
		}
	}
}

// checked goes through all numbers once before anything is done, and refuses all of them
// for one that is none.
func (o *optOutCommand) validated(numbers []string, src *source) (iter.Seq2[producer.OptOut, error], error) {
	for p, err := range o.allNumbers(numbers, src) {
		if err == nil {
			if err = producer.CheckOptOut(p.OptOut); err != nil {
				err = misuse("%s: %w; nothing was changed", p.place, err)
			}
		}
		if err != nil {
			return nil, err
		}
	}
	return func(yield func(producer.OptOut, error) bool) {
		for p, err := range o.allNumbers(numbers, src) {
			if !yield(p.OptOut, err) {
				return
			}
		}
	}, nil
}

func (o *optOutCommand) add(ctx context.Context, b *backend, numbers []string, src *source) error {
	optOuts, err := o.validated(numbers, src)
	if err != nil {
		return err
	}
	r, err := b.OptOut(ctx, optOuts)
	if err != nil {
		return err
	}
	return o.waitAndReport(ctx, b, r)
}

// told waits for the calls that had begun before, and says what came of it.
func (o *optOutCommand) waitAndReport(ctx context.Context, b *backend, r producer.OptOutReceipt) error {
	if o.json {
		if err := writeJSON(o.out, r); err != nil {
			return err
		}
	}
	if r.InFlight.Calls > 0 {
		o.note("tuma: %s, to %s of these, had begun before", plural(r.InFlight.Calls, "call"), formatInt(r.InFlight.Recipients))
		if !o.noWait {
			o.note("tuma: waiting for them (--no-wait does not)")
			ctx, cancel := context.WithTimeout(ctx, inFlightTimeout)
			defer cancel()
			if err := b.WaitForInFlight(ctx, r); err != nil {
				return fmt.Errorf("they are on the list, but %w", err)
			}
		}
	}
	if r.Doubt > 0 {
		o.note("tuma: of %s to them nobody knows yet whether a gateway has taken it; it may be repeated as it was", plural(r.Doubt, "call"))
	}
	if o.json {
		return nil
	}
	known := ""
	if r.Known > 0 {
		known = fmt.Sprintf(", %s had been on it", formatInt(r.Known))
	}
	_, err := fmt.Fprintf(o.out, "%s added to %s%s\n", plural(r.Added, "number"), listName(o.sender), known)
	return err
}

func listName(sender string) string {
	if sender == "" {
		return "the suppression list of all senders"
	}
	return "the suppression list of " + strings.ToUpper(sender)
}

func (o *optOutCommand) remove(ctx context.Context, b *backend, numbers []string, src *source) error {
	optOuts, err := o.validated(numbers, src)
	if err != nil {
		return err
	}
	n, err := b.OptIn(ctx, optOuts)
	if err != nil {
		return err
	}
	if o.json {
		return writeJSON(o.out, map[string]int{"removed": n})
	}
	_, err = fmt.Fprintf(o.out, "%s removed from %s\n", plural(n, "number"), listName(o.sender))
	return err
}

func newOptOutCheck(a *app) *cobra.Command {
	o := &optOutCommand{app: a}
	c := &cobra.Command{
		Use:   "check NUMBER",
		Short: "Say which suppression lists a number is on",
		Long: `Check prints the suppression lists that a number is on, since when, and where that
came from. It ends with 0 whether it is on any or on none.`,
		Example: `  tuma optout check +254712345678
  tuma optout check 0712345678 --json`,
		Args: takes("NUMBER"),
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return o.run(ctx, args, func(ctx context.Context, b *backend, numbers []string, _ *source) error {
				found, err := b.OptOutsOf(ctx, numbers[0], o.country)
				if _, wrong := errors.AsType[*producer.NumberError](err); wrong {
					return misuse("%w", err)
				}
				if err != nil {
					return err
				}
				slices.SortFunc(found, func(x, y producer.OptOut) int { return strings.Compare(x.Sender, y.Sender) })
				if o.json {
					return writeJSON(o.out, found)
				}
				if len(found) == 0 {
					_, err = fmt.Fprintln(o.out, "on no suppression list")
					return err
				}
				g := grid{header: []string{"NUMBER", "SENDER", "ORIGIN", "SINCE"}}
				for _, x := range found {
					g.add(optOutCells(x)...)
				}
				return g.print(o.out)
			})
		}),
	}
	c.Flags().StringVar(&o.country, "country", "", "country of numbers in national form, such as KE (default: default_country)")
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}
