package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/tuma-sms/tuma/internal/console"
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

// report is the output of `tuma report`.
type report struct {
	ID    string         `json:"id"`
	State producer.State `json:"state"`
	content
	Recipients int `json:"recipients"`
	// Statuses counts recipients by status, without statuses that no recipient has.
	Statuses map[string]int `json:"statuses"`
	// Reasons, Codes, Accounts and Countries are sorted by recipients, most first.
	Reasons   []reasonCount `json:"reasons"`
	Codes     []codeCount   `json:"codes"`
	Accounts  []group       `json:"accounts"`
	Countries []group       `json:"countries"`
	Calls     int           `json:"calls"`
	// Segments counts the segments of accepted messages.
	Segments int `json:"segments"`
	OptedOut int `json:"opted_out"`
	// Cost is the sum that gateways reported, by currency. Estimate is computed from the accounts'
	// price, for accepted messages whose cost the gateway did not report.
	Cost     []costSum `json:"cost"`
	Estimate []costSum `json:"estimate"`
	// Began and Ended are the times of the first and the last answer to a call. Seconds is the time
	// from Began to Ended. Rate and Busiest are in recipients a second: the average, which is 0 if
	// Seconds is below 1, and the highest rate.
	Created  time.Time       `json:"created_at"`
	Began    *time.Time      `json:"sent_from"`
	Ended    *time.Time      `json:"sent_until"`
	Finished *time.Time      `json:"finished_at"`
	Seconds  float64         `json:"seconds"`
	Rate     float64         `json:"rate"`
	Busiest  float64         `json:"busiest_rate"`
	Timeline []timelinePoint `json:"timeline"`
	// Reports is what delivery reports have said, and Delivery counts the deliveries over time.
	Reports  *producer.Reports `json:"reports,omitempty"`
	Delivery []timelinePoint   `json:"delivery_timeline,omitempty"`
	// Next is advice on what to do about the campaign.
	Next []advice `json:"next"`

	times, deliveries console.Timeline
}

// reasonCount is the number of recipients with a status and a reason.
type reasonCount struct {
	Status     string `json:"status"`
	Reason     string `json:"reason"`
	Recipients int    `json:"recipients"`
}

// codeCount is the number of recipients with a status and a gateway's code.
type codeCount struct {
	Code       string `json:"code"`
	Status     string `json:"status"`
	Account    string `json:"account"`
	Recipients int    `json:"recipients"`
}

// group sums up the recipients of an account or a country.
type group struct {
	Name       string         `json:"name"`
	Recipients int            `json:"recipients"`
	Statuses   map[string]int `json:"statuses"`
	Segments   int            `json:"segments"`
	Cost       []costSum      `json:"cost,omitempty"`
}

// costSum is the cost of a number of messages, in one currency.
type costSum struct {
	Amount   console.Amount `json:"amount"`
	Currency string         `json:"currency"`
	Messages int            `json:"messages"`
}

// timelinePoint is the number of recipients in a period of time.
type timelinePoint struct {
	From       time.Time `json:"from"`
	Seconds    float64   `json:"seconds"`
	Recipients int       `json:"recipients"`
}

// advice is a fact about the campaign, and the command that helps, if there is one.
type advice struct {
	Why     string `json:"why"`
	Command string `json:"command,omitempty"`
}

// report reads the results of a campaign once and sums them up. Its memory use does not grow with
// the number of recipients.
func (a *app) report(ctx context.Context, b *backend, id string) (*report, error) {
	st, err := b.Status(ctx, id)
	if err != nil {
		return nil, err
	}
	accounts, err := b.Accounts(ctx)
	if err != nil {
		return nil, err
	}
	count := newTotals()
	for r, err := range b.Results(ctx, id) {
		if err != nil {
			return nil, err
		}
		count.add(r)
	}
	prices := map[string]string{}
	for _, acc := range accounts {
		prices[acc.Name] = acc.Price
	}
	r := count.report(prices)
	r.ID, r.State, r.Calls, r.Created, r.Finished, r.content = st.ID, st.State, st.Calls, st.CreatedAt, st.FinishedAt, contentOf(st)
	r.Reports = st.Reports
	r.Next = nextSteps(st, r, a.screen(), a.now())
	return r, nil
}

// nextSteps returns advice on what to do about a campaign.
func nextSteps(st producer.Status, r *report, p console.Screen, now time.Time) []advice {
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
