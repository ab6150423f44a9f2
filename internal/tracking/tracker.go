// Package tracking matches the delivery reports of a gateway with recipients. An index finds the
// recipient by the gateway's message ID. Reports that come before the answer to their call is
// settled are parked. Whatever the order and the number of the reports, the first final report
// decides, and it is applied once.
package tracking

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/outage"
	"github.com/tuma-sms/tuma/internal/reconcile"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/providers"
)

// Report is a delivery report with the time at which it came, by Redis' clock.
type Report struct {
	providers.DLR
	At time.Time
}

// Result is the outcome of a delivery report. The values are those of the label "result" of the
// metric tuma_reports_total.
type Result string

const (
	// Delivered means that the recipient is delivered from now on, by this report.
	Delivered Result = "delivered"
	// Undelivered means that the recipient is undelivered from now on, by this report.
	Undelivered Result = "undelivered"
	// Pending means that the report is not final.
	Pending Result = "pending"
	// Duplicate means that the recipient had a final report before.
	Duplicate Result = "duplicate"
	// Parked means that the message is not known yet.
	Parked Result = "parked"
	// Unmatched means that a parked report has waited so long that its message can no longer come.
	Unmatched Result = "unmatched"
)

// Config configures a Tracker. All fields but Calls, Count and Applied are needed.
type Config struct {
	Ledger *ledger.Ledger
	Log    zerolog.Logger
	// Login is the fingerprint of the login (providers.Info.Fingerprint).
	Login string
	// For is how long a report is waited for.
	For time.Duration
	// Calls knows the calls of unknown outcome. If it is nil, reports prove nothing about them.
	Calls *reconcile.Tracker
	// Count counts reports by their result, as often as they get one: a report that was parked first
	// is counted once more when it is applied.
	Count func(r Result, n int)
	// Applied is called after final reports were applied, each once; nil: not at all. ctx is that of the
	// caller.
	Applied func(ctx context.Context, reports []Applied)
}

// Applied is a final report that was applied. The BatchRef names the batch in which its message went out.
type Applied struct {
	ledger.BatchRef
	providers.DLR
}

// Tracker applies the delivery reports of one login. It is safe for concurrent use, also by several
// processes.
type Tracker struct {
	ledger  *ledger.Ledger
	reports *ledger.Reports
	scripts *script.Runner
	rdb     redis.UniversalClient
	index   *Index
	log     zerolog.Logger
	login   string
	life    time.Duration
	calls   *reconcile.Tracker
	count   func(Result, int)
	applied func(context.Context, []Applied)
	batches batchCache
	// parkedSeen is whether the last Note found parked reports. If it found none, Settled does nothing:
	// LookAgain applies what was parked in between.
	parkedSeen atomic.Bool
}

// New returns a Tracker. It sends nothing to Redis.
func New(c Config) *Tracker {
	r := c.Ledger.Runner()
	t := &Tracker{ledger: c.Ledger, reports: ledger.NewReports(c.Ledger), scripts: r, rdb: r.Redis(), index: NewIndex(r), log: c.Log, login: c.Login, life: c.For, calls: c.Calls, count: c.Count, applied: c.Applied}
	if t.count == nil {
		t.count = func(Result, int) {}
	}
	if t.applied == nil {
		t.applied = func(context.Context, []Applied) {}
	}
	return t
}

// Note enters the IDs of accepted messages into the index. The worker calls it before it settles the
// call. total is the number of the campaign's recipients. If Redis refuses the index, Note logs that
// and returns nil, because the outcome of the call must be settled; IndexAgain enters the IDs later. If
// Redis is away, Note returns an error, and the worker tries again.
func (t *Tracker) Note(ctx context.Context, c *ledger.Claim, records []campaign.Record, total int) error {
	at := c.Places()
	s := Sent{BatchRef: at.BatchRef, BatchSize: at.BatchSize, Total: total}
	for i, r := range records {
		if r.Status == campaign.Accepted && r.MessageID != "" && i < len(at.Positions) {
			s.IDs, s.Positions = append(s.IDs, r.MessageID), append(s.Positions, at.Positions[i])
		}
	}
	if len(s.IDs) == 0 {
		return nil
	}
	parked, err := t.index.Note(ctx, t.login, s, t.life)
	var refused redis.Error
	if !errors.As(err, &refused) || outage.Away(err) {
		t.parkedSeen.Store(parked)
		return err
	}
	later := t.noteUnindexed(ctx, unindexed{s.BatchRef, c.Attempt().Call, total})
	if outage.Away(later) {
		return later
	}
	log := t.log.Warn().Err(err).Str("campaign", s.Campaign).Str("batch", s.Name)
	if later != nil {
		log.AnErr("then", later).Msg("could not index message ids; delivery reports about these messages will not be matched")
		return nil
	}
	log.Msg("could not index message ids; tuma serve indexes them later")
	return nil
}

// Settled applies the parked reports about the messages of a call that was just settled. A failure
// is only logged, because LookAgain applies these reports too.
func (t *Tracker) Settled(ctx context.Context, records []campaign.Record) {
	var ids []string
	for _, r := range records {
		if r.Status == campaign.Accepted && r.MessageID != "" {
			ids = append(ids, r.MessageID)
		}
	}
	if len(ids) == 0 || !t.parkedSeen.Load() {
		return
	}
	reports, err := t.parked(ctx, ids)
	if err == nil && len(reports) > 0 {
		var results []Result
		if results, _, err = t.match(ctx, reports); err == nil {
			err = t.finish(ctx, reports, results)
		}
	}
	if err != nil {
		t.log.Debug().Err(err).Msg("parked delivery reports are applied later")
	}
}

// Apply applies delivery reports, and parks those whose messages are not known yet. After it returns
// nil, Redis holds every final report under the ledger's durability. After an error, the caller may
// repeat all of them. The results are in the order of the reports. With ErrParkedFull, the results are
// valid too, and those of the reports that must come again are empty.
func (t *Tracker) Apply(ctx context.Context, reports []Report) ([]Result, error) {
	out := make([]Result, len(reports))
	var finals []Report
	var at []int // the positions of finals in reports
	for i, r := range reports {
		if !r.Status.Final {
			out[i] = Pending
			if _, err := t.prove(ctx, r, nil, r.At); err != nil {
				return nil, err
			}
			continue
		}
		finals, at = append(finals, r), append(at, i)
	}
	results, _, err := t.match(ctx, finals)
	if err != nil {
		return nil, err
	}
	err = t.parkRest(ctx, finals, results)
	if err != nil && !errors.Is(err, ErrParkedFull) {
		return nil, err
	}
	for i, r := range results {
		out[at[i]] = r
	}
	for _, r := range out {
		if r != "" {
			t.count(r, 1)
		}
	}
	return out, err
}

// parkRest parks the reports without a result. Then it matches them a second
// time, because a call may have been settled between the first match and the parking.
func (t *Tracker) parkRest(ctx context.Context, reports []Report, results []Result) error {
	var rest []Report
	var at []int
	for i, r := range results {
		if r == "" {
			rest, at = append(rest, reports[i]), append(at, i)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	held, err := t.park(ctx, rest)
	if err != nil {
		return err
	}
	again, _, err := t.match(ctx, rest)
	if err != nil {
		return err
	}
	var done []string
	for i, r := range again {
		switch results[at[i]] = r; {
		case r != "":
			done = append(done, rest[i].MessageID)
		case held[i]:
			results[at[i]] = Parked
		default:
			err = ErrParkedFull
		}
	}
	return errors.Join(err, t.unpark(ctx, done))
}

// match applies final reports whose messages are settled. The result of the others is "". For these,
// unsettled has the places at which the ledger has no accepted message yet.
func (t *Tracker) match(ctx context.Context, reports []Report) (results []Result, unsettled [][]Place, err error) {
	results, unsettled = make([]Result, len(reports)), make([][]Place, len(reports))
	if len(reports) == 0 {
		return results, unsettled, nil
	}
	ids := make([]string, len(reports))
	for i, r := range reports {
		ids[i] = r.MessageID
	}
	places, err := t.index.Find(ctx, t.login, ids)
	if err != nil {
		return nil, nil, err
	}
	list, err := t.locateAll(ctx, places)
	if err != nil {
		return nil, nil, err
	}
	// Recipients that moved to another batch are looked for there. maxMoves bounds how often.
	const maxMoves = 8
	for range maxMoves {
		if len(list) == 0 {
			break
		}
		if list, err = t.applyAll(ctx, reports, list, results, unsettled); err != nil {
			return nil, nil, err
		}
	}
	return results, unsettled, nil
}

// applyAll applies reports to the recipients in list, campaign by campaign. It returns where those
// recipients are that have moved.
func (t *Tracker) applyAll(ctx context.Context, reports []Report, list []located, results []Result, unsettled [][]Place) (moved []located, err error) {
	type campaignRef struct{ id, upload string }
	by := map[campaignRef][]located{}
	for _, x := range list {
		ref := campaignRef{x.Campaign, x.Upload}
		by[ref] = append(by[ref], x)
	}
	for ref, group := range by {
		batch := make([]ledger.Report, len(group))
		for i, x := range group {
			batch[i] = x.report(reports[x.of])
		}
		outcomes, err := t.reports.Apply(ctx, ref.id, ref.upload, batch)
		if err != nil {
			return nil, fmt.Errorf("apply delivery reports: %w", err)
		}
		var applied []Applied
		for i, x := range group {
			switch outcomes[i] {
			case ledger.ReportApplied:
				applied = append(applied, Applied{x.sent, reports[x.of].DLR})
				if results[x.of] = Undelivered; reports[x.of].Status.Delivered {
					results[x.of] = Delivered
				}
			case ledger.ReportRepeated:
				results[x.of] = Duplicate
			case ledger.ReportUnsettled:
				unsettled[x.of] = append(unsettled[x.of], x.Place)
			case ledger.ReportMoved:
				next, err := t.follow(ctx, x)
				if err != nil {
					return nil, err
				}
				moved = append(moved, next...)
			}
		}
		if len(applied) > 0 {
			t.applied(ctx, applied)
		}
	}
	return moved, nil
}
