package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/recipients"
	"github.com/tuma-sms/tuma/producer"
)

func newOptOut(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "optout",
		Short: "Manage the suppression list: numbers that must get no messages",
		Long: `Optout manages the suppression list. Numbers on it are skipped in every
campaign, marketing or transactional, also in campaigns that are being sent and
in retries.

There is one list for all senders, and one for each sender ID. --sender selects
the list of a sender ID, in upper or lower case. Numbers that a gateway reports
as blacklisted are added automatically. Entries never expire; only 'tuma optout
remove' removes them.`,
		Example: `  tuma optout add 0712345678
  tuma optout import do-not-call.csv --sender ACME
  tuma optout check 0712345678`,
		Args: noSubcommand,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newOptOutAdd(a), newOptOutRemove(a), newOptOutCheck(a), newOptOutList(a), newOptOutImport(a), newOptOutExport(a))
	return c
}

// optOutCommand is one run of an optout command that reads numbers, with its flags.
type optOutCommand struct {
	*app
	sender, country, file string
	origin                string
	list                  recipients.Options
	noWait, json          bool
}

func (o *optOutCommand) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.sender, "sender", "", "use the list of this sender `ID` (default: the list for all senders)")
	f.StringVar(&o.country, "country", "", "`country` of numbers in national form, such as KE (default: default_country)")
	f.StringVar(&o.list.Column, "column", "", "`name` of the column with the numbers, if it is not one of the usual names")
	f.BoolVar(&o.json, "json", false, "print JSON")
}

func (o *optOutCommand) waitFlag(c *cobra.Command) {
	c.Flags().BoolVar(&o.noWait, "no-wait", false, "do not wait for calls that are in flight")
}

func newOptOutAdd(a *app) *cobra.Command {
	o := &optOutCommand{app: a}
	c := &cobra.Command{
		Use:   "add NUMBER… | --file FILE",
		Short: "Add numbers to the suppression list",
		Long: `Add adds numbers to the suppression list. When the command returns, no new call
to these numbers starts in any campaign. It prints how many calls to them are in
flight, and waits for these calls unless --no-wait is given. One exception: a
call that may have reached its gateway may be repeated unchanged, if the gateway
recognises the repeated call and sends the message only once.`,
		Example: `  tuma optout add +254712345678 0733000001
  tuma optout add 0712345678 --sender ACME
  tuma optout add --file numbers.txt`,
		RunE: a.verb(func(ctx context.Context, args []string) error { return o.run(ctx, args, o.add) }),
	}
	o.flags(c)
	o.waitFlag(c)
	c.Flags().StringVar(&o.file, "file", "", fileFlagUsage)
	return c
}

// fileFlagUsage is the help text of --file for the commands that read numbers.
const fileFlagUsage = "also use the numbers in `file`: a CSV file, or one number a line; - is standard input"

func newOptOutImport(a *app) *cobra.Command {
	o := &optOutCommand{app: a}
	c := &cobra.Command{
		Use:   "import FILE",
		Short: "Add all numbers of a file to the suppression list",
		Long: `Import adds all numbers of a file to the suppression list. The file is a plain
list, a CSV, or the output of 'tuma optout export' with its senders, origins and
times; - is standard input. Memory use does not grow with the file. Invalid
numbers are reported and left out; the exit status is then 1. Importing a file
again changes nothing.

Like 'tuma optout add', import then waits for calls in flight to these numbers.`,
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
		Use:   "remove NUMBER… | --file FILE | --origin ORIGIN",
		Short: "Remove numbers from the suppression list",
		Long: `Remove removes numbers from the list of a sender ID, or from the list for all
senders. Campaigns that have already skipped these numbers do not send to them.

With --origin, the command removes all entries of this origin from all lists.
With --origin and --sender, it removes them from the list of the sender. A
number that a gateway has blacklisted has the origin gateway:ACCOUNT:CODE, with
the gateway's code. --origin gateway:ACCOUNT stands for all codes of the
account.`,
		Example: `  tuma optout remove +254712345678
  tuma optout remove 0712345678 --sender ACME
  tuma optout remove --origin gateway:at:406`,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			switch {
			case o.origin == "":
				return o.run(ctx, args, o.remove)
			case len(args) > 0 || o.file != "":
				return misuse("--origin cannot be combined with numbers or --file: it removes all entries of the origin")
			}
			return o.withBackend(ctx, func(b *backend) error { return o.removeOrigin(ctx, b) })
		}),
	}
	o.flags(c)
	c.Flags().StringVar(&o.file, "file", "", fileFlagUsage)
	c.Flags().StringVar(&o.origin, "origin", "", originFlagUsage)
	return c
}

// originFlagUsage is the help text of --origin.
const originFlagUsage = "only entries of this `origin`, such as gateway:at:406, or gateway:at for all codes of the account at"

// removeOrigin removes all entries with the origin o.origin from the list of o.sender. If o.sender is
// empty, it removes them from all lists.
func (o *optOutCommand) removeOrigin(ctx context.Context, b *backend) error {
	n, err := b.OptIn(ctx, func(yield func(producer.OptOut, error) bool) {
		err := forEachOptOut(ctx, b, o.sender, func(x producer.OptOut) error {
			if hasOrigin(x, o.origin) && !yield(x, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && !errors.Is(err, errStopped) {
			yield(producer.OptOut{}, err)
		}
	})
	if err != nil {
		return err
	}
	record(ctx, o.app, b, "optout.remove", o.sender, fmt.Sprintf("%d numbers of origin %s", n, o.origin))
	if o.json {
		return console.WriteJSON(o.out, map[string]int{"removed": n})
	}
	_, err = fmt.Fprintf(o.out, "%s of origin %s removed\n", console.Plural(n, "number"), o.origin)
	return err
}

// errStopped ends forEachOptOut when the loop over the entries ends early.
var errStopped = errors.New("the loop ended early")

// hasOrigin reports whether the origin of x is the given origin, or begins with the given origin
// and a colon. An empty origin matches every entry.
func hasOrigin(x producer.OptOut, origin string) bool {
	return origin == "" || x.Origin == origin || strings.HasPrefix(x.Origin, origin+":")
}

// run connects to Redis, and opens the file of --file if the flag is given. Then it calls the function "do" with the
// connection, the numbers and the file.
func (o *optOutCommand) run(ctx context.Context, numbers []string, do func(context.Context, *backend, []string, *source) error) error {
	if len(numbers) == 0 && o.file == "" {
		return misuse("no numbers given: pass numbers as arguments, or a file with --file")
	}
	return o.withBackend(ctx, func(b *backend) error {
		o.country = strings.ToUpper(cmp.Or(o.country, b.cfg.Country))
		if o.file == "" {
			return do(ctx, b, numbers, nil)
		}
		src, err := o.openSource(o.file, o.list)
		if err != nil {
			return err
		}
		return errors.Join(do(ctx, b, numbers, src), src.Close())
	})
}

// locatedOptOut is an opt-out and the place where its number was read.
type locatedOptOut struct {
	producer.OptOut
	place string // such as "number 2" or "list.txt:3"
}

// allNumbers yields the numbers of the command line, and then the numbers of the file.
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

// validated reads and checks all numbers. It returns an error if a number is invalid, and otherwise a
// sequence that reads the numbers a second time.
func (o *optOutCommand) validated(numbers []string, src *source) (iter.Seq2[producer.OptOut, error], error) {
	for p, err := range o.allNumbers(numbers, src) {
		if err == nil {
			if err = producer.CheckOptOut(p.OptOut); err != nil {
				err = misuse("%s: %s; nothing was changed", p.place, explainNumber(p.Number, err))
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
	record(ctx, o.app, b, "optout.add", o.sender, strconv.Itoa(r.Added)+" numbers")
	return o.waitAndReport(ctx, b, r)
}

// waitAndReport prints how many numbers were added. Unless --no-wait is given, it also waits for
// calls in flight to these numbers.
func (o *optOutCommand) waitAndReport(ctx context.Context, b *backend, r producer.OptOutReceipt) error {
	if o.json {
		if err := console.WriteJSON(o.out, r); err != nil {
			return err
		}
	}
	if r.InFlight.Calls > 0 {
		o.note("tuma: in flight: %s to %s of these numbers", console.Plural(r.InFlight.Calls, "call"), console.FormatInt(r.InFlight.Recipients))
		if !o.noWait {
			o.note("tuma: waiting for these calls; with --no-wait the command returns at once")
			ctx, cancel := context.WithTimeout(ctx, inFlightTimeout)
			defer cancel()
			if err := b.WaitForInFlight(ctx, r); err != nil {
				return fmt.Errorf("the numbers are on the list, but %w", err)
			}
		}
	}
	if r.Doubt > 0 {
		verb := "have"
		if r.Doubt == 1 {
			verb = "has"
		}
		o.note("tuma: %s to these numbers %s an unknown outcome; workers may repeat such calls unchanged", console.Plural(r.Doubt, "call"), verb)
	}
	if o.json {
		return nil
	}
	known := ""
	if r.Known > 0 {
		known = fmt.Sprintf(" (%s already on the list)", console.FormatInt(r.Known))
	}
	_, err := fmt.Fprintf(o.out, "%s added to %s%s\n", console.Plural(r.Added, "number"), listName(o.sender), known)
	return err
}

// listName describes the suppression list of a sender in words, for use in a message to the user.
func listName(sender string) string {
	if sender == "" {
		return "the suppression list for all senders"
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
	record(ctx, o.app, b, "optout.remove", o.sender, strconv.Itoa(n)+" numbers")
	if o.json {
		return console.WriteJSON(o.out, map[string]int{"removed": n})
	}
	_, err = fmt.Fprintf(o.out, "%s removed from %s\n", console.Plural(n, "number"), listName(o.sender))
	return err
}

func newOptOutCheck(a *app) *cobra.Command {
	o := &optOutCommand{app: a}
	c := &cobra.Command{
		Use:   "check NUMBER",
		Short: "Show which suppression lists a number is on",
		Long: `Check prints the suppression lists that a number is on, with the time and the
origin of each entry. The exit status is 0 even if the number is on no list.`,
		Example: `  tuma optout check +254712345678
  tuma optout check 0712345678 --json`,
		Args: takes("NUMBER"),
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return o.run(ctx, args, func(ctx context.Context, b *backend, numbers []string, _ *source) error {
				found, err := b.OptOutsOf(ctx, numbers[0], o.country)
				if _, wrong := errors.AsType[*producer.NumberError](err); wrong {
					return misuse("%s", explainNumber(numbers[0], err))
				}
				if err != nil {
					return err
				}
				slices.SortFunc(found, func(x, y producer.OptOut) int { return strings.Compare(x.Sender, y.Sender) })
				if o.json {
					return console.WriteJSON(o.out, found)
				}
				if len(found) == 0 {
					_, err = fmt.Fprintln(o.out, "not on a suppression list")
					return err
				}
				g := console.Table{Header: []string{"NUMBER", "SENDER", "ORIGIN", "SINCE"}}
				for _, x := range found {
					g.Add(optOutCells(x, o.screen())...)
				}
				return g.Print(o.out)
			})
		}),
	}
	c.Flags().StringVar(&o.country, "country", "", "`country` of a number in national form, such as KE (default: default_country)")
	c.Flags().BoolVar(&o.json, "json", false, "print JSON")
	return c
}
