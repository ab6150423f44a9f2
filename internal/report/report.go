// Package report summarizes the results of a campaign: recipients by status, reason, code, account and
// country, the cost, and the rate over time. The command line and the HTTP API show the same report.
package report

import (
	"context"
	"time"

	"github.com/tuma-sms/tuma/internal/console"
	"github.com/tuma-sms/tuma/producer"
)

// Report is the summary of the results of a campaign.
type Report struct {
	Recipients int `json:"recipients"`
	// Statuses counts recipients by status. It leaves out a status that no recipient has.
	Statuses map[string]int `json:"statuses"`
	// Reasons, Codes, Accounts and Countries begin with the entry that has the most recipients.
	Reasons   []ReasonCount `json:"reasons"`
	Codes     []CodeCount   `json:"codes"`
	Accounts  []Group       `json:"accounts"`
	Countries []Group       `json:"countries"`
	Calls     int           `json:"calls"`
	// Segments counts the segments of accepted messages.
	Segments int `json:"segments"`
	OptedOut int `json:"opted_out"`
	// Cost is the sum that gateways reported, by currency. Estimate is computed from the accounts'
	// price, for accepted messages whose cost the gateway did not report.
	Cost     []CostSum `json:"cost"`
	Estimate []CostSum `json:"estimate"`
	// Began and Ended are the times of the first and the last answer to a call. Seconds is the time
	// from Began to Ended. Rate is the average rate in recipients a second. It is 0 if Seconds is
	// below 1. Busiest is the highest rate in recipients a second.
	Created  time.Time       `json:"created_at"`
	Began    *time.Time      `json:"sent_from"`
	Ended    *time.Time      `json:"sent_until"`
	Finished *time.Time      `json:"finished_at"`
	Seconds  float64         `json:"seconds"`
	Rate     float64         `json:"rate"`
	Busiest  float64         `json:"busiest_rate"`
	Timeline []TimelinePoint `json:"timeline"`
	// Reports counts the delivery reports. Delivery counts the deliveries over time.
	Reports  *producer.Reports `json:"reports,omitempty"`
	Delivery []TimelinePoint   `json:"delivery_timeline,omitempty"`

	times, deliveries console.Timeline
}

// Times returns the number of recipients whose calls the gateways answered, by time.
func (r *Report) Times() console.Timeline { return r.times }

// Deliveries returns the number of delivered messages, by the time of delivery.
func (r *Report) Deliveries() console.Timeline { return r.deliveries }

// ReasonCount is the number of recipients with a status and a reason.
type ReasonCount struct {
	Status     string `json:"status"`
	Reason     string `json:"reason"`
	Recipients int    `json:"recipients"`
}

// CodeCount is the number of recipients with a status and a gateway's code.
type CodeCount struct {
	Code       string `json:"code"`
	Status     string `json:"status"`
	Account    string `json:"account"`
	Recipients int    `json:"recipients"`
}

// Group sums up the recipients of an account or a country.
type Group struct {
	Name       string         `json:"name"`
	Recipients int            `json:"recipients"`
	Statuses   map[string]int `json:"statuses"`
	Segments   int            `json:"segments"`
	Cost       []CostSum      `json:"cost,omitempty"`
}

// CostSum is the cost of a number of messages, in one currency.
type CostSum struct {
	Amount   console.Amount `json:"amount"`
	Currency string         `json:"currency"`
	Messages int            `json:"messages"`
}

// TimelinePoint is the number of recipients in a period of time.
type TimelinePoint struct {
	From       time.Time `json:"from"`
	Seconds    float64   `json:"seconds"`
	Recipients int       `json:"recipients"`
}

// Of returns the report of a campaign. It reads the results once and sums them up. It also works while
// the campaign is being sent. Its memory does not grow with the number of recipients.
func Of(ctx context.Context, client *producer.Client, id string) (*Report, producer.Status, error) {
	st, err := client.Status(ctx, id)
	if err != nil {
		return nil, st, err
	}
	accounts, err := client.Accounts(ctx)
	if err != nil {
		return nil, st, err
	}
	count := newTotals()
	for r, err := range client.Results(ctx, id) {
		if err != nil {
			return nil, st, err
		}
		count.add(r)
	}
	prices := map[string]string{}
	for _, acc := range accounts {
		prices[acc.Name] = acc.Price
	}
	r := count.report(prices)
	r.Calls, r.Created, r.Finished, r.Reports = st.Calls, st.CreatedAt, st.FinishedAt, st.Reports
	return r, st, nil
}
