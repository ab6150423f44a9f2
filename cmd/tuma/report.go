package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/internal/report"
	"github.com/tuma-sms/tuma/producer"
)

func newReport(a *app) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "report ID",
		Short: "Summarize a campaign on one page",
		Long: `Report reads the results of a campaign and summarizes them: recipients by
status, reason, account and country, the cost, the rate over time, the gateways'
most frequent codes, and what to do next. Report also works while the campaign
is being sent.`,
		Example: `  tuma report sale-2025-11
  tuma report sale-2025-11 --json | jq '.cost'`,
		Args:              takes("ID"),
		ValidArgsFunction: a.completeCampaigns,
		RunE: a.verb(func(ctx context.Context, args []string) error {
			return a.withCampaign(ctx, args[0], func(b *backend, id string) error {
				r, err := a.report(ctx, b, id)
				switch {
				case err != nil:
					return err
				case asJSON:
					return console.WriteJSON(a.out, r)
				}
				return r.print(a.out, a.screen())
			})
		}),
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

// campaignReport is the output of `tuma report`.
type campaignReport struct {
	ID    string         `json:"id"`
	State producer.State `json:"state"`
	content
	report.Report
	// Next is advice on what to do about the campaign.
	Next []advice `json:"next"`
}

// advice is a fact about the campaign, and the command that helps. The command may be empty.
type advice struct {
	Why     string `json:"why"`
	Command string `json:"command,omitempty"`
}

// report summarizes the results of a campaign.
func (a *app) report(ctx context.Context, b *backend, id string) (*campaignReport, error) {
	sums, st, err := report.Of(ctx, b.Client, id)
	if err != nil {
		return nil, err
	}
	r := &campaignReport{ID: st.ID, State: st.State, content: contentOf(st), Report: *sums}
	r.Next = nextSteps(st, r, a.screen(), a.now())
	return r, nil
}

// nextSteps returns advice on what to do about a campaign.
func nextSteps(st producer.Status, r *campaignReport, p console.Screen, now time.Time) []advice {
	steps := []advice{}
	for _, b := range st.BlockedBy {
		steps = append(steps, advice{Why: "the campaign is waiting: " + describeBlock(b, p, now)})
	}
	if n := r.Statuses["unknown"]; n > 0 {
		steps = append(steps, advice{
			Why:     console.Plural(n, "recipient") + " with an unknown outcome; if you send again, some of these recipients may get the message twice",
			Command: "tuma retry " + st.ID + " --unknown",
		})
	}
	if n := r.Statuses["rejected"]; n > 0 {
		steps = append(steps, advice{
			Why:     console.Plural(n, "recipient") + " rejected by the gateway; check the codes, then send again to these recipients",
			Command: "tuma retry " + st.ID + " --rejected",
		})
	}
	if n := r.Statuses["skipped"]; n > 0 {
		steps = append(steps, advice{Why: console.Plural(n, "recipient") + " skipped; to list them", Command: "tuma results " + st.ID + " --status skipped"})
	}
	if st.State == producer.Sending && len(st.BlockedBy) == 0 && r.Statuses["pending"] > 0 {
		steps = append(steps, advice{Why: "the campaign is being sent; to follow it", Command: "tuma status " + st.ID + " --watch"})
	}
	return steps
}
