// Package tracking matches the delivery reports of a gateway with recipients. An index finds the
// recipient by the gateway's message ID. Reports that arrive before the answer to their call is
// settled are parked. The first final report about a message decides its status, and is applied
// once. The order and the number of reports do not matter.
package tracking

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/reconcile"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/providers"
)

// Report is a delivery report, with its time of arrival by Redis' clock.
type Report struct {
	providers.DLR
	At time.Time
	// Call is the name of the call (CallName), if the URL of the callback contained one.
	Call string
}

// Result is the outcome of a delivery report. The values are those of the label "result" of the
// metric tuma_reports_total.
type Result string

const (
	// Delivered means that this report made the recipient delivered.
	Delivered Result = "delivered"
	// Undelivered means that this report made the recipient undelivered.
	Undelivered Result = "undelivered"
	// Pending means that the report is not final.
	Pending Result = "pending"
	// Duplicate means that the recipient already had a final report.
	Duplicate Result = "duplicate"
	// Parked means that the message is not known yet.
	Parked Result = "parked"
	// Unmatched means that a parked report has waited too long, and its message was never found.
	Unmatched Result = "unmatched"
)

// Config configures a Tracker. All fields except Calls, Count and Applied are required.
type Config struct {
	Ledger *ledger.Ledger
	Log    zerolog.Logger
	// Login is the fingerprint of the login (providers.Info.Fingerprint).
	Login string
	// For is how long a report waits for its message.
	For time.Duration
	// Calls has the calls with an unknown outcome. If it is nil, a report cannot prove that the gateway
	// took such a call.
	Calls *reconcile.Tracker
	// Count counts reports by their result. A report counts once for each result that it gets: a
	// report that was parked first is counted a second time when it is applied.
	Count func(r Result, n int)
	// The Tracker calls Applied after final reports were applied, unless Applied is nil. If a report
	// says that the gateway has blacklisted the number, Applied may be called several times for this
	// report. For any other report it is called at most once. ctx is the context of the caller.
	Applied func(ctx context.Context, reports []Applied)
}

// Applied is a final report that was applied. The BatchRef names the batch in which its message went out.
type Applied struct {
	ledger.BatchRef
	providers.DLR
	// Batch, Call and Position are the place where the recipient is now.
	Batch          string
	Call, Position int
}

// Tracker applies the delivery reports of one login. It is safe for concurrent use, even by several
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
	waiting waiting
	// parkedSeen is true if the last Note found parked reports. If it is false, Settled does nothing.
	// If a report was parked after that Note, LookAgain applies it.
	parkedSeen atomic.Bool
}

// New returns a Tracker. New sends nothing to Redis.
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

// Settled applies the parked reports about the messages of a call that was just settled. A failure
// is only logged, because LookAgain applies these reports too.
func (t *Tracker) Settled(ctx context.Context, records []campaign.Record) {
	var ids []string
	for _, r := range records {
		if r.Status == campaign.Accepted && r.MessageID != "" {
			ids = append(ids, r.MessageID)
		}
	}
	if t.parkedSeen.Load() {
		t.applyParked(ctx, ids)
	}
}

// parkedAtOnce is the number of message IDs whose parked reports are read at once.
const parkedAtOnce = 1000

// applyParked applies the parked reports about the given messages, if they are in the index and their
// calls are settled.
func (t *Tracker) applyParked(ctx context.Context, ids []string) {
	for some := range slices.Chunk(ids, parkedAtOnce) {
		reports, err := t.parked(ctx, some)
		if err == nil && len(reports) > 0 {
			var results []Result
			if results, _, err = t.match(ctx, reports); err == nil {
				err = t.finish(ctx, reports, results)
			}
		}
		if err != nil {
			t.log.Debug().Err(err).Msg("could not apply parked delivery reports; will retry")
			return
		}
	}
}

// Apply applies delivery reports. It parks reports whose messages are not known yet. If it returns
// nil, Redis has stored every final report with the ledger's durability. After an error, the caller
// may call Apply again with all reports. The results are in the order of the reports. If the error
// is ErrParkedFull, the results are valid too. In that case, a report that the gateway must repeat
// has an empty result.
func (t *Tracker) Apply(ctx context.Context, reports []Report) ([]Result, error) {
	out := make([]Result, len(reports))
	var finals []Report
	var at []int // for each element of the slice "finals", its index in the slice "reports"
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

// match applies final reports whose messages are settled. For any other report the result is "",
// and "unsettled" has the places at which the ledger has no accepted message yet.
func (t *Tracker) match(ctx context.Context, reports []Report) (results []Result, unsettled [][]Place, err error) {
	results, unsettled = make([]Result, len(reports)), make([][]Place, len(reports))
	if len(reports) == 0 {
		return results, unsettled, nil
	}
	places, err := t.places(ctx, reports, results)
	if err != nil {
		return nil, nil, err
	}
	list, err := t.locateAll(ctx, places)
	if err != nil {
		return nil, nil, err
	}
	// If a recipient has moved to another batch, the report is applied in that batch. The tracker
	// follows at most maxMoves moves.
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

// applyAll applies reports to the recipients in the parameter "list", campaign by campaign. For
// each recipient that has moved, it returns the places where the recipient may be now.
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
				applied = append(applied, x.applied(reports[x.of]))
				if results[x.of] = Undelivered; reports[x.of].Status.Delivered {
					results[x.of] = Delivered
				}
			case ledger.ReportRepeated:
				results[x.of] = Duplicate
				if reports[x.of].Blacklisted { // the process that applied this report may have died before it called Applied
					applied = append(applied, x.applied(reports[x.of]))
				}
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
