package producer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"github.com/tuma-sms/tuma/internal/accounts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
)

// badID is the FieldError.Problem of an ID that no campaign can have.
const badID = "must be 1 to 128 characters from A-Z a-z 0-9 . _ : -"

// Status reads the state of a campaign. It returns ErrNotFound if no campaign has the given ID.
//
// Status.ETA is calculated from the rates of the accounts. It is nil if an account has no rate, or
// a rate with another unit than messages. In that case use Watch, which measures the speed and so
// can set ETA.
func (c *Client) Status(ctx context.Context, id string) (Status, error) {
	s, _, err := c.readStatus(ctx, id)
	return s, err
}

// readStatus returns the same results as Status, and also the sum of the accounts' rates in messages a second. The sum
// is 0 if an account has no rate, or a rate with another unit than messages.
func (c *Client) readStatus(ctx context.Context, id string) (Status, float64, error) {
	if !ledger.ValidID(id) {
		return Status{}, 0, &FieldError{Field: "id", Problem: badID}
	}
	sum, err := c.ledger.Summary(ctx, id)
	if err != nil {
		return Status{}, 0, err
	}
	s := statusOf(sum)
	if err := c.unreadable(ctx, sum, &s); err != nil {
		return s, 0, err
	}
	if s.State == Uploading {
		return s, 0, nil
	}
	if s.From == "" {
		if s.From, err = c.defaultSender(ctx, sum); err != nil {
			return s, 0, err
		}
	}
	if s.Reports, err = c.readReports(ctx, sum); err != nil {
		return s, 0, err
	}
	if s.State == Done || s.State == Cancelled {
		return s, 0, nil
	}
	rate, err := c.explainBlocks(ctx, sum, &s)
	return s, rate, err
}

// readReports counts the delivery reports of a campaign. It returns nil if no account of the campaign collects delivery
// reports.
func (c *Client) readReports(ctx context.Context, sum ledger.Summary) (*Reports, error) {
	r := &Reports{Final: sum.Delivered + sum.Undelivered}
	longest := time.Duration(0)
	for _, counts := range sum.ByAccount {
		a, err := c.accounts.Account(ctx, counts.Account)
		if err != nil && !errors.Is(err, accounts.ErrNoAccount) {
			return nil, err
		}
		// An account may have stopped collecting reports, or may no longer exist.
		if final := counts.Delivered + counts.Undelivered; a.ReportFor > 0 || final > 0 {
			r.expect(a.ReportSample, counts.Accepted+final, final, sum.Total)
			longest = max(longest, a.ReportFor)
		}
	}
	if longest == 0 && r.Final == 0 {
		return nil, nil //nolint:nilnil // no reports are collected
	}
	if !sum.FinishedAt.IsZero() && longest > 0 {
		r.Until = timeOrNil(sum.FinishedAt.Add(longest))
	}
	if r.Final > 0 {
		rate := float64(sum.Delivered) / float64(r.Final)
		r.Rate = &rate
		if r.Sampled {
			low, high := campaign.Wilson(sum.Delivered, r.Final)
			r.Low, r.High = &low, &high
		}
	}
	if sum.Delivered == 0 {
		return r, nil
	}
	times, err := ledger.NewReports(c.ledger).DeliveryTimes(ctx, sum.ID)
	if err == nil && times.Messages > 0 {
		median, p95 := times.Median.Seconds(), times.P95.Seconds()
		r.MedianSeconds, r.P95Seconds = &median, &p95
	}
	return r, err
}

// expect adds to r.Expected the number of delivery reports that Tuma expects for the accepted messages of an
// account. The parameter "final" is the number of reports that have arrived. The parameter "total" is the number of
// recipients of the campaign. The parameter "sample" is the number of recipients whose reports are collected; 0
// means all.
func (r *Reports) expect(sample, accepted, final, total int) {
	if sample > 0 && sample < total {
		r.Sampled = true
		accepted = max(final, int(math.Round(float64(accepted)*float64(sample)/float64(total))))
	}
	r.Expected += accepted
}

// defaultSender returns the sender ID that the accounts of a campaign use by default. It returns "" if
// the accounts have different defaults.
func (c *Client) defaultSender(ctx context.Context, sum ledger.Summary) (string, error) {
	names, err := c.mayUse(ctx, sum)
	if err != nil {
		return "", err
	}
	var senders []string
	for _, name := range names {
		a, err := c.accounts.Account(ctx, name)
		if errors.Is(err, accounts.ErrNoAccount) {
			continue
		}
		if err != nil {
			return "", err
		}
		senders = append(senders, a.Sender)
	}
	slices.Sort(senders)
	if senders = slices.Compact(senders); len(senders) != 1 {
		return "", nil
	}
	return senders[0], nil
}

// namedUnreadable is the maximum number of quarantined records that a status describes.
const namedUnreadable = 5

// The method "unreadable" sets the field Unreadable of s. If work waits for quarantined records, the method
// also adds a Block.
func (c *Client) unreadable(ctx context.Context, sum ledger.Summary, s *Status) error {
	if s.Quarantined == 0 {
		return nil
	}
	if u := sum.Unreadable; u != nil {
		s.Unreadable = append(s.Unreadable, u.Record+": "+u.Err.Error())
	}
	records, err := c.ledger.QuarantinedRecords(ctx, sum.ID)
	if err != nil {
		return err
	}
	for _, r := range records {
		if len(s.Unreadable) < namedUnreadable && (sum.Unreadable == nil || r.Record != sum.Unreadable.Record) {
			s.Unreadable = append(s.Unreadable, r.Record+": "+r.Why)
		}
	}
	if !s.Ended() && (sum.QuarantinedWork > 0 || sum.Unreadable != nil) {
		s.BlockedBy = append(s.BlockedBy, Block{Reason: "set_aside"})
	}
	return nil
}

// Wait blocks until the campaign has ended (Status.Ended) and returns its last status. A paused
// campaign has not ended. While Redis does not answer, restarts or fails over, Wait tries again after
// every poll interval.
//
// For a campaign with two or more recipients, Wait reads the status when an event in the event stream
// (Events) names the campaign, and also every eight poll intervals. For other campaigns, and without
// the right to read the stream, Wait reads the status after every poll interval.
//
// Wait returns an error if ctx ends first, if no campaign has the ID (ErrNotFound), or if a repeated
// read cannot help, such as after a wrong password. With an error it returns the last status that it
// read. If it read no status, it returns the zero Status.
func (c *Client) Wait(ctx context.Context, id string) (last Status, err error) {
	waiter := c.waits.begin(ctx, id)
	defer waiter.end()
	for {
		s, err := c.Status(ctx, id)
		switch {
		case err == nil:
			if last = s; s.Ended() {
				return s, nil
			}
		case ctx.Err() == nil && !redisIsAway(err):
			return last, err
		case ctx.Err() == nil:
			// If the login is missing, the pipeline of the read fails with a plain EOF. PING returns the reason that
			// the server gives.
			if err := c.rdb.Ping(ctx).Err(); err != nil && ctx.Err() == nil && !redisIsAway(err) {
				return last, fmt.Errorf("wait for %s: %w", id, err)
			}
		}
		waiter.wait(ctx, err == nil && s.Total > 1)
		if ctx.Err() != nil {
			return last, waitEnded(ctx, id, err)
		}
	}
}

// waitEnded returns the error of a Wait whose ctx has ended. The parameter "lastRead" is the error of the
// last time that Wait read the status.
func waitEnded(ctx context.Context, id string, lastRead error) error {
	if lastRead != nil && redisIsAway(lastRead) && !errors.Is(lastRead, ctx.Err()) {
		return fmt.Errorf("wait for %s: %w; the last read failed: %w", id, context.Cause(ctx), lastRead)
	}
	return fmt.Errorf("wait for %s: %w", id, context.Cause(ctx))
}

// Watch yields the status at once and then after every poll interval (WithPollInterval). It stops
// when the caller stops, when ctx ends, or after it has yielded an error. While the campaign is
// being sent, Status.ETA is calculated from the rate of the accounts. If the rate is not known, or
// the campaign is slower than the rate, ETA is calculated from the speed of the last ten seconds.
func (c *Client) Watch(ctx context.Context, id string) iter.Seq2[Status, error] {
	return func(yield func(Status, error) bool) {
		tick := time.NewTicker(c.poll)
		defer tick.Stop()
		var e campaign.Estimator
		for {
			s, rate, err := c.readStatus(ctx, id)
			if err == nil && (s.State == Planning || s.State == Sending) {
				end := e.Add(campaign.ProgressReading{At: c.now().UTC(), Ended: s.Total - s.Skipped - s.Pending, Left: s.Pending, Rate: rate, Blocked: len(s.BlockedBy) > 0})
				if len(s.BlockedBy) == 0 {
					s.ETA = timeOrNil(end.Truncate(time.Second))
				}
			}
			if !yield(s, err) || err != nil {
				return
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
			if ctx.Err() != nil { // if the tick and the end of ctx come together, select may choose either of them
				return
			}
		}
	}
}
