package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/producer"
)

func newRetry(a *app) *cobra.Command {
	var o producer.RetryOptions
	var yes bool
	c := &cobra.Command{
		Use:   "retry ID --unknown | --rejected",
		Short: "Send again, on purpose",
		Long: `Retry sends again to recipients of a campaign, and says to how many.

--rejected are those that the gateway has refused. --unknown are those of whom
nobody can say whether the gateway took the message: they may get it twice, which is
why only this command sends to them again, or on_unknown: resend, once.`,
		Example: `  tuma retry sale-2025-11 --rejected
  tuma retry sale-2025-11 --unknown --yes`,
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			if !o.Unknown && !o.Rejected {
				return misuse("tuma retry needs --unknown, --rejected or both: whom to send to again")
			}
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error { return a.retry(ctx, b, id, o, yes) })
		}),
	}
	c.Flags().BoolVar(&o.Unknown, "unknown", false, "those whose outcome is unknown; they may get the message twice")
	c.Flags().BoolVar(&o.Rejected, "rejected", false, "those that the gateway refused")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return c
}

func (a *app) retry(ctx context.Context, b *backend, id string, o producer.RetryOptions, yes bool) error {
	st, err := b.Status(ctx, id)
	if err != nil {
		return err
	}
	var whom []string
	if o.Unknown && st.Unknown > 0 {
		whom = append(whom, formatInt(st.Unknown)+" unknown (who may get the message twice)")
	}
	if o.Rejected && st.Rejected > 0 {
		whom = append(whom, formatInt(st.Rejected)+" rejected")
	}
	if len(whom) > 0 && !yes && isTerminal(a.in) && isTerminal(a.err) {
		sure, err := a.ask(ctx, "send again to "+strings.Join(whom, " and ")+"?")
		if err != nil || !sure {
			return errors.Join(errors.New("nothing was sent again"), err)
		}
	}
	n, err := b.Retry(ctx, id, o)
	if errors.Is(err, producer.ErrNothingToRetry) {
		// That nobody is left is what was wanted.
		_, err = fmt.Fprintf(a.out, "%s has nobody to send to again\n", id)
		return err
	}
	if err != nil {
		return explainCancelled(err)
	}
	last, err := b.LastRetry(ctx, id)
	if err != nil {
		return err
	}
	opted := ""
	if last.OptedOut > 0 {
		opted = fmt.Sprintf("; %s opted out and stay as they are", plural(last.OptedOut, "recipient"))
	}
	if n == 0 {
		_, err = fmt.Fprintf(a.out, "%s has nobody to send to again%s\n", id, opted)
		return err
	}
	_, err = fmt.Fprintf(a.out, "%s is sent again to %s%s\n", id, plural(n, "recipient"), opted)
	return err
}

// ask puts a question to the person at the terminal; anything but yes is no, and so are
// Ctrl-C, at once, and Ctrl-D.
func (a *app) ask(ctx context.Context, question string) (bool, error) {
	_, _ = fmt.Fprintf(a.err, "%s [y/N] ", question)
	type answer struct {
		line string
		err  error
	}
	given := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(a.in).ReadString('\n')
		given <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		_, _ = fmt.Fprintln(a.err)
		return false, nil
	case x := <-given:
		if errors.Is(x.err, io.EOF) { // Ctrl-D
			_, _ = fmt.Fprintln(a.err)
			return false, nil
		}
		said := strings.ToLower(strings.TrimSpace(x.line))
		return x.err == nil && (said == "y" || said == "yes"), x.err
	}
}
