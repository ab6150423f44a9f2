package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

func newRetry(a *app) *cobra.Command {
	var o producer.RetryOptions
	var yes bool
	c := &cobra.Command{
		Use:   "retry ID --unknown | --rejected",
		Short: "Send again to recipients that were rejected or are unknown",
		Long: `Retry sends a campaign's message again to some of its recipients, and prints
their number. It never sends to numbers on the suppression list.

--rejected selects recipients that the gateway rejected. --unknown selects
recipients whose outcome is unknown: the gateway may have sent the message, so
these recipients may get it twice. Tuma itself does not send to them again,
except once if on_unknown is "resend".`,
		Example: `  tuma retry sale-2025-11 --rejected
  tuma retry sale-2025-11 --unknown --yes`,
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			if !o.Unknown && !o.Rejected {
				return misuse("--unknown or --rejected is required: these flags select the recipients that get the message again")
			}
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error { return a.retry(ctx, b, id, o, yes) })
		}),
	}
	c.Flags().BoolVar(&o.Unknown, "unknown", false, "send again to recipients with an unknown outcome; they may get the message twice")
	c.Flags().BoolVar(&o.Rejected, "rejected", false, "send again to recipients that the gateway rejected")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask for confirmation")
	return c
}

// retry asks for confirmation on a terminal, starts the retry and prints the number of recipients
// that get the message again.
func (a *app) retry(ctx context.Context, b *backend, id string, o producer.RetryOptions, yes bool) error {
	st, err := b.Status(ctx, id)
	if err != nil {
		return err
	}
	var selected []string
	if o.Unknown && st.Unknown > 0 {
		selected = append(selected, console.FormatInt(st.Unknown)+" recipients whose outcome is unknown (they may get the message twice)")
	}
	if o.Rejected && st.Rejected > 0 {
		selected = append(selected, console.FormatInt(st.Rejected)+" rejected recipients")
	}
	if len(selected) > 0 && !yes && asksUser(a) {
		sure, err := a.ask(ctx, "send again to "+strings.Join(selected, " and ")+"?")
		if err != nil || !sure {
			return errors.Join(errors.New("nothing was sent again"), err)
		}
	}
	n, err := b.Retry(ctx, id, o)
	if errors.Is(err, producer.ErrNothingToRetry) {
		// The command succeeds even if no recipient is left to retry.
		_, err = fmt.Fprintf(a.out, "%s has no recipients with the chosen status: nothing to send again\n", id)
		return err
	}
	if err != nil {
		return explainCancelled(err)
	}
	record(ctx, a, b, "campaign.retry", id, strconv.Itoa(n)+" recipients")
	last, err := b.LastRetry(ctx, id)
	if err != nil {
		return err
	}
	opted := ""
	if last.OptedOut > 0 {
		opted = fmt.Sprintf("; not sent again because of the suppression list: %s", console.Plural(last.OptedOut, "recipient"))
	}
	if n == 0 {
		_, err = fmt.Fprintf(a.out, "%s: nothing to send again%s\n", id, opted)
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s: sending again to %s%s\n", id, console.Plural(n, "recipient"), opted)
	return err
}

// asksUser reports whether the command may ask the user: standard input and standard error must be
// terminals.
func asksUser(a *app) bool { return console.IsTerminal(a.in) && console.IsTerminal(a.err) }

// ask prints a question on standard error and reads the answer from standard input, with the function
// "ask" below.
func (a *app) ask(ctx context.Context, question string) (bool, error) {
	return ask(ctx, a.in, a.err, question)
}

// ask prints a question to screen and reads the answer from keyboard. It returns true for y or yes, and
// false for any other answer, Ctrl-D and Ctrl-C.
func ask(ctx context.Context, keyboard io.Reader, screen io.Writer, question string) (bool, error) {
	_, _ = fmt.Fprintf(screen, "%s [y/N] ", question)
	type answer struct {
		line string
		err  error
	}
	given := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(keyboard).ReadString('\n')
		given <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(screen)
		return false, nil
	case x := <-given:
		if errors.Is(x.err, io.EOF) { // Ctrl-D
			_, _ = fmt.Fprintln(screen)
			return false, nil
		}
		said := strings.ToLower(strings.TrimSpace(x.line))
		return x.err == nil && (said == "y" || said == "yes"), x.err
	}
}
