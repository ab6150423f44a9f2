package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/producer"
	"github.com/tuma-sms/tuma/providers"
)

func newStatus(a *app) *cobra.Command {
	var watch, asJSON bool
	c := &cobra.Command{
		Use:   "status ID",
		Short: "Show a campaign's state and counts, and what it is waiting for",
		Long: `Status shows the state and the counts of a campaign. If the campaign makes no
progress, it also shows what the campaign is waiting for.

The state is uploading, scheduled, planning, sending, paused, cancelled or done;
"done" means that no recipient is pending. With --watch the command shows the
progress until the campaign has ended, and then the status.`,
		Example: `  tuma status sale-2025-11
  tuma status sale-2025-11 --watch
  tuma status sale-2025-11 --json`,
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error {
				var st producer.Status
				var err error
				if watch {
					st, err = a.follow(ctx, b.Client, id, producer.Status.Ended)
				} else {
					st, err = b.Status(ctx, id)
				}
				if err != nil {
					return err
				}
				if asJSON {
					return console.WriteJSON(a.out, st)
				}
				return printStatus(a.out, a.screen(), st, a.now())
			})
		}),
	}
	c.Flags().BoolVarP(&watch, "watch", "w", false, "show progress until the campaign has ended")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// withCampaign checks a campaign ID, connects to Redis and calls the function "do".
func (a *app) withCampaign(ctx context.Context, id string, do func(*backend, string) error) error {
	if !ledger.ValidID(id) {
		return misuse("invalid campaign ID %.140q: use 1 to 128 characters from A-Z a-z 0-9 . _ : -", id)
	}
	return a.withBackend(ctx, func(b *backend) error { return do(b, id) })
}

// printStatus prints a status as text.
func printStatus(w io.Writer, p console.Screen, st producer.Status, now time.Time) error {
	end := ": " + string(st.State)
	if _, err := fmt.Fprintln(w, p.CutMiddle(st.ID, len(end))+end); err != nil {
		return err
	}
	g := console.Table{Right: []int{1}}
	figure := func(name string, n int, always bool, detail string) {
		if always || n > 0 {
			g.Add(name, console.FormatInt(n), detail)
		}
	}
	figure("recipients", st.Total, true, "")
	figure("  pending", st.Pending, true, inFlight(st.InFlight))
	figure("  accepted", st.Accepted, true, "")
	figure("  delivered", st.Delivered, false, "")
	figure("  undelivered", st.Undelivered, false, "")
	figure("  rejected", st.Rejected, true, "")
	resend := ""
	if st.OnUnknown == producer.OnUnknownResend {
		resend = "Tuma submits each of these recipients once more; they may get the message twice"
	}
	figure("  unknown", st.Unknown, true, resend)
	skipped := console.Tally(st.Reasons)
	if st.OtherText > 0 {
		skipped += "; " + console.FormatInt(st.OtherText) + " of the duplicates had another text"
	}
	figure("  skipped", st.Skipped, true, skipped)
	if c := st.Canary; c != nil {
		g.Add("canary", console.FormatInt(c.Size), canaryText(c)+"; the other recipients wait")
	}
	figure("resent", st.Resent, false, "sent twice: the gateway accepted the first call and the resent one")
	figure("quarantined", st.Quarantined, false, "unreadable records: "+strings.Join(st.Unreadable, "; "))
	figure("calls", st.Calls, true, "")
	figure("segments", st.Segments, true, "")
	addReports(&g, st.Reports, p, now)
	facts := contentTable(contentOf(st))
	for _, x := range []struct {
		name string
		at   *time.Time
	}{{"created", &st.CreatedAt}, {"starts", st.StartAt}, {"expires", st.ExpiresAt}, {"finished", st.FinishedAt}} {
		if x.at != nil && !x.at.IsZero() {
			facts.Add(x.name, p.Time(*x.at))
		}
	}
	if st.ETA != nil {
		facts.Add("expected end", p.Time(*st.ETA)+", in "+console.FormatDuration(st.ETA.Sub(now)))
	}
	if err := errors.Join(p.Table(w, g), printByAccount(w, p, st.ByAccount), p.Table(w, facts)); err != nil {
		return err
	}
	for _, b := range st.BlockedBy {
		if err := p.Paragraph(w, "waiting: "+describe(st, b, p, now)); err != nil {
			return err
		}
	}
	return nil
}

// addReports adds the delivery reports of a campaign to a table.
func addReports(g *console.Table, r *producer.Reports, p console.Screen, now time.Time) {
	if r == nil {
		return
	}
	detail := "delivery reports, of " + console.FormatInt(r.Expected) + " expected"
	if r.Sampled {
		detail = "delivery reports of a sample of " + console.FormatInt(r.Expected)
	}
	if r.Until != nil && r.Final < r.Expected {
		if r.Until.After(now) {
			detail += " until " + p.Time(*r.Until)
		} else {
			detail += "; the time to wait for the other reports is over"
		}
	}
	g.Add("reports", console.FormatInt(r.Final), detail)
	if r.Rate != nil {
		g.Add("  delivered", fmt.Sprintf("%.1f %%", 100**r.Rate), deliveryDetail(r))
	}
}

// deliveryDetail describes how long the deliveries took. For a sample, it instead describes the confidence interval of
// the rate of all messages.
func deliveryDetail(r *producer.Reports) string {
	if r.Low != nil && r.High != nil {
		return fmt.Sprintf("rate of the sample; the rate of all messages is %.1f to %.1f %%, with 95 %% confidence", 100**r.Low, 100**r.High)
	}
	return deliveryTimes(r)
}

// deliveryTimes describes how long the deliveries took.
func deliveryTimes(r *producer.Reports) string {
	if r.MedianSeconds == nil || r.P95Seconds == nil {
		return ""
	}
	took := func(seconds float64) string {
		if seconds < 10 {
			return fmt.Sprintf("%.1fs", seconds)
		}
		return console.FormatDuration(time.Duration(seconds * float64(time.Second)))
	}
	return "half within " + took(*r.MedianSeconds) + ", 95 % within " + took(*r.P95Seconds)
}

// printByAccount prints the counts of each account if the campaign has several accounts. On a narrow screen
// it leaves out a status that no recipient has.
func printByAccount(w io.Writer, p console.Screen, counts []producer.AccountCounts) error {
	if len(counts) < 2 {
		return nil
	}
	var all producer.Counts
	g := console.Table{Header: []string{"account", "recipients", "pending", "accepted", "delivered", "undelivered", "rejected", "unknown", "skipped"},
		Right: []int{1, 2, 3, 4, 5, 6, 7, 8}}
	for _, c := range counts {
		g.Add(c.Account, console.FormatInt(c.Total), console.FormatInt(c.Pending), console.FormatInt(c.Accepted), console.FormatInt(c.Delivered), console.FormatInt(c.Undelivered), console.FormatInt(c.Rejected),
			console.FormatInt(c.Unknown), console.FormatInt(c.Skipped))
		all.Pending, all.Accepted, all.Delivered, all.Undelivered = all.Pending+c.Pending, all.Accepted+c.Accepted, all.Delivered+c.Delivered, all.Undelivered+c.Undelivered
		all.Rejected, all.Unknown, all.Skipped = all.Rejected+c.Rejected, all.Unknown+c.Unknown, all.Skipped+c.Skipped
	}
	for i, n := range []int{all.Pending, all.Accepted, all.Delivered, all.Undelivered, all.Rejected, all.Unknown, all.Skipped} {
		if n == 0 {
			g.Drop = append(g.Drop, i+2)
		}
	}
	return p.Table(w, g)
}

// inFlight describes the calls in flight.
func inFlight(f producer.InFlight) string {
	if f.Calls == 0 {
		return ""
	}
	return console.Plural(f.Calls, "call") + " in flight"
}

// describeBlock describes what a campaign is waiting for, and how the user can end the wait.
func describeBlock(b producer.Block, p console.Screen, now time.Time) string {
	since := ""
	if b.Since != nil {
		since = " for " + console.FormatDuration(now.Sub(*b.Since))
	}
	switch {
	case b.Reason == "paused":
		by := ""
		if b.By != "" && b.By != "producer" {
			by = " by " + b.By
		}
		return "paused" + by + since + "; 'tuma resume' continues the campaign"
	case b.Reason == "later" && b.Until != nil:
		return "the gateway has deferred all remaining numbers; next try " + formatUntil(*b.Until, now)
	case b.Reason == "set_aside":
		return "records that cannot be read are quarantined, and their recipients wait; 'tuma resume' tries to read these records again, 'tuma cancel' ends the campaign"
	case b.Reason == "window" && b.Until != nil:
		return fmt.Sprintf("outside the sending hours of %s; they start %s, at %s", b.Country, formatUntil(*b.Until, now), p.Time(*b.Until))
	case b.Reason == "queue_paused":
		return "the asynq queue " + b.Queue + " is paused" + since + " with asynq's own tools; sending continues when the queue is unpaused there"
	case b.Reason == "no_route":
		return "the campaign names no account and the workers have no routes"
	case b.Reason == "no_worker" && b.Since != nil:
		return fmt.Sprintf("no worker serves account %s; the last worker was seen %s ago", b.Account, console.FormatDuration(now.Sub(*b.Since)))
	case b.Reason == "no_worker":
		return "no worker serves account " + b.Account
	}
	text := "account " + b.Account + " is on hold: " + holdText(b.Reason)
	if b.Reason == reasonNothingAccepted {
		text = "account " + b.Account + " is on hold for bulk campaigns: " + holdText(b.Reason) + ". 'tuma release " + b.Account + "' lifts the hold"
	}
	if b.Code != "" {
		text += " (" + b.Code + ")"
	}
	text += since
	if b.Until != nil && b.Reason == string(providers.CauseCredit) {
		return text + "; sending continues automatically after a top-up"
	}
	if b.Until != nil {
		text += ", next try " + formatUntil(*b.Until, now)
	} else {
		text += ", until tuma release " + b.Account
	}
	for _, x := range b.Incompatible {
		text += "; the work of this account cannot move to " + x
	}
	return text
}

// reasonNothingAccepted is the reason of the hold of an account that accepts nothing.
const reasonNothingAccepted = "nothing_accepted"

// holdText describes the reason of an account's hold.
func holdText(reason string) string {
	if reason == reasonNothingAccepted {
		return "nothing accepted yet; the numbers may be dead, or the account is not set up"
	}
	return reason
}

// describe is like describeBlock, but for a pause by --max-rejected it also names the counts that caused the
// pause.
func describe(st producer.Status, b producer.Block, p console.Screen, now time.Time) string {
	if b.Reason != "paused" || st.TooManyRejected == nil {
		return describeBlock(b, p, now)
	}
	what, share := "finished messages", 100*float64(st.TooManyRejected.Bad)/float64(max(1, st.TooManyRejected.Ended))
	if st.TooManyRejected.Canary {
		what = "canary messages"
	}
	since := ""
	if b.Since != nil {
		since = " for " + console.FormatDuration(now.Sub(*b.Since))
	}
	return fmt.Sprintf("paused%s: %s of %s %s were rejected or are unknown, %.3g %%; at most %g %% are allowed (see tuma results %s); "+
		"'tuma resume' continues the campaign, 'tuma cancel' ends it", since, console.FormatInt(st.TooManyRejected.Bad), console.FormatInt(st.TooManyRejected.Ended), what, share, st.MaxRejected, st.ID)
}

// canaryText describes the progress of a canary: "37 of 50 ended, 2 rejected".
func canaryText(c *producer.Canary) string {
	text := fmt.Sprintf("%s of %s ended", console.FormatInt(c.Ended), console.FormatInt(c.Size))
	if c.Rejected > 0 {
		text += ", " + console.FormatInt(c.Rejected) + " rejected"
	}
	if c.Unknown > 0 {
		text += ", " + console.FormatInt(c.Unknown) + " unknown"
	}
	return text
}

// formatUntil formats the time from "now" until the time "at", as in "in 3m00s". If "at" has passed, it
// returns "now".
func formatUntil(at, now time.Time) string {
	if d := at.Sub(now); d > time.Second {
		return "in " + console.FormatDuration(d)
	}
	return "now"
}

// blockReasons joins the descriptions of everything that a campaign is waiting for.
func blockReasons(st producer.Status, p console.Screen, now time.Time) string {
	text := map[string]bool{}
	for _, b := range st.BlockedBy {
		text[describe(st, b, p, now)] = true
	}
	out := ""
	for _, t := range slices.Sorted(maps.Keys(text)) {
		if out != "" {
			out += "; "
		}
		out += t
	}
	return out
}
