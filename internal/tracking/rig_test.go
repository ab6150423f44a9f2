package tracking

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/rs/zerolog"

	"github.com/tuma-sms/tuma/internal/attempts"
	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/ledger"
	"github.com/tuma-sms/tuma/internal/reconcile"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

const testLogin = "login0123456789ab"

// rig is a Tracker on a separate Redis, with a ledger whose campaigns it tracks.
type rig struct {
	testing.TB
	rdb      *redis.Client
	ledger   *ledger.Ledger
	calls    *reconcile.Tracker
	attempts *attempts.Index
	*Tracker
	counted map[Result]int
}

func newRig(t testing.TB) *rig {
	t.Helper()
	rdb := redistest.Start(t).Client()
	l := ledger.New(rdb)
	r := &rig{TB: t, rdb: rdb, ledger: l, attempts: attempts.New(l.Runner()), counted: map[Result]int{}}
	r.calls = &reconcile.Tracker{Attempts: r.attempts, Ledger: l, Log: zerolog.Nop(), Info: providers.Info{Fingerprint: testLogin, DLRNamesRecipient: true}}
	r.Tracker = r.another()
	return r
}

// The method "another" returns a Tracker for a further simulated process.
func (r *rig) another() *Tracker {
	return New(Config{Ledger: r.ledger, Log: zerolog.Nop(), Login: testLogin, For: 72 * time.Hour, Calls: r.calls,
		Count: func(x Result, n int) { r.counted[x] += n }})
}

func (r *rig) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func msisdn(row int) sms.MSISDN { return sms.MSISDN(254700000000 + row) }

// messageID returns the gateway's id of a row's message.
func messageID(id string, row int) string {
	u := uuid.NewSHA1(uuid.NameSpaceOID, fmt.Appendf(nil, "%s %d", id, row))
	return "ATXid_" + hex.EncodeToString(u[:])
}

// plan enqueues a campaign and plans its batches. Each batch has the same number of calls, and
// each call has the given size.
func (r *rig) plan(id string, batches, calls, size int) {
	r.Helper()
	r.planAt(id, []string{"at"}, batches, calls, size)
}

// planAt enqueues and plans a campaign like the method "plan", but the route of the campaign has several
// accounts. All batches belong to the first account.
func (r *rig) planAt(id string, accounts []string, batches, calls, size int) {
	r.Helper()
	ctx := r.Context()
	u, err := r.ledger.BeginUpload(id, campaign.Spec{Body: "Habari"})
	r.ok(err)
	page := campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 10_000}}
	row := 0
	for range batches {
		b := campaign.PlannedBatch{Calls: slices.Repeat([]int{size}, calls)}
		for range calls * size {
			row++
			r.ok(u.Add(ctx, msisdn(row).E164()))
			b.To = append(b.To, campaign.Planned{Row: row, MSISDN: msisdn(row)})
		}
		page.Batches = append(page.Batches, b)
	}
	_, err = u.Commit(ctx)
	r.ok(err)
	p, err := r.ledger.StartPlan(ctx, id, func(campaign.Spec) (campaign.PlanSnapshot, error) {
		s := campaign.PlanSnapshot{Country: "KE", Routes: []campaign.Route{{Match: "254", Via: accounts}}}
		for _, name := range accounts {
			s.Accounts = append(s.Accounts, campaign.SnapshotAccount{Name: name, MaxRecipients: 500, BatchSize: 500})
		}
		return s, nil
	})
	r.ok(err)
	_, _, err = p.CommitPage(ctx, script.NewToken(), page)
	r.ok(err)
}

// call is a claimed call with the rows of its recipients.
type call struct {
	claim *ledger.Claim
	gen   *ledger.Generation
}

// claim claims a call, as a worker does, and records the attempt.
func (r *rig) claim(id string, batch, k int, lease time.Duration) call {
	r.Helper()
	w, err := r.ledger.LoadWork(r.Context(), id, campaign.BatchName(0, batch))
	r.ok(err)
	return r.claimOf(id, w, k, lease)
}

// claimOf claims a call of a batch that was loaded.
func (r *rig) claimOf(id string, w *ledger.Work, k int, lease time.Duration) call {
	r.Helper()
	ctx := r.Context()
	for _, g := range w.Open {
		if g.Call != k {
			continue
		}
		c, err := r.ledger.Claim(ctx, ledger.ClaimRequest{ID: id, Batch: w.Batch.Name, Gen: g, IdempotencyKey: uuid.New(), Login: testLogin, Lease: lease, OpenBatchLimit: 10_000})
		r.ok(err)
		if c.Result != ledger.ClaimGranted {
			r.Fatalf("claim of call %d of batch %s: %s", k, w.Batch.Name, c.Result)
		}
		r.ok(r.attempts.Begin(ctx, testLogin, c.Attempt()))
		return call{c, g}
	}
	r.Fatalf("call %d of batch %s is not open", k, w.Batch.Name)
	return call{}
}

// accepted returns the records of a call whose messages were all accepted.
func (c call) accepted(id string) []campaign.Record {
	out := make([]campaign.Record, len(c.gen.To))
	for i, to := range c.gen.To {
		out[i] = campaign.Record{Status: campaign.Accepted, MessageID: messageID(id, to.Row)}
	}
	return out
}

// The method "note" enters the message IDs of a call in the index and records them, as a worker does
// before it settles the call.
func (r *rig) note(id string, c call) {
	r.Helper()
	records := c.accepted(id)
	r.ok(r.calls.NoteSent(r.Context(), c.claim, records))
	r.ok(r.Note(r.Context(), c.claim, records, len(records)))
	r.ok(r.Flush(r.Context()))
}

func (r *rig) settle(c call, records []campaign.Record) {
	r.Helper()
	_, err := r.ledger.Settle(r.Context(), c.claim, records, campaign.SettleAnswer, 1, 0)
	r.ok(err)
}

// The method "send" claims a call, enters its message IDs in the index, and settles it. The gateway
// has accepted all its messages.
func (r *rig) send(id string, batch, k int) {
	r.Helper()
	c := r.claim(id, batch, k, time.Hour)
	r.note(id, c)
	r.settle(c, c.accepted(id))
	r.ok(r.attempts.End(r.Context(), testLogin, c.claim.Attempt()))
	r.Settled(r.Context(), c.accepted(id))
}

// The method "report" returns a final report about a row: delivered or undelivered.
func (r *rig) report(id string, row int, delivered bool) Report {
	x := Report{At: time.Now()}
	x.MessageID, x.To = messageID(id, row), msisdn(row)
	x.Status = providers.MessageStatus{Final: true, Delivered: delivered, State: "Success"}
	if !delivered {
		x.Status.State, x.Reason = "Failed", "AbsentSubscriber"
	}
	return x
}

// apply applies reports, and returns the results as one text.
func (r *rig) apply(reports ...Report) string {
	r.Helper()
	out, err := r.Apply(r.Context(), reports)
	r.ok(err)
	return strings.Trim(fmt.Sprint(out), "[]")
}

func (r *rig) summary(id string) ledger.Summary {
	r.Helper()
	s, err := r.ledger.Summary(r.Context(), id)
	r.ok(err)
	if n := s.Pending + s.Accepted + s.Delivered + s.Undelivered + s.Rejected + s.Unknown + s.Skipped; n != s.Total {
		r.Errorf("I1: the counts of %s add up to %d of %d", id, n, s.Total)
	}
	return s
}

// statuses returns the status and the reason of every row.
func (r *rig) statuses(id string) string {
	r.Helper()
	var out []string
	for row, err := range r.ledger.ResultsAfter(r.Context(), id, 0) {
		r.ok(err)
		word := row.Status.String()
		if row.Reason != "" {
			word += ":" + row.Reason
		}
		out = append(out, word)
	}
	return strings.Join(out, " ")
}

// lookNow makes all parked reports due, and calls LookAgain.
func (r *rig) lookNow() {
	r.Helper()
	ids, err := r.rdb.ZRange(r.Context(), parkDueKey(testLogin), 0, -1).Result()
	r.ok(err)
	for _, id := range ids {
		r.ok(r.rdb.ZAdd(r.Context(), parkDueKey(testLogin), redis.Z{Score: 1, Member: id}).Err())
	}
	for n := 1; n > 0; {
		n, err = r.LookAgain(r.Context())
		r.ok(err)
	}
}

func (r *rig) parkedCount() int {
	r.Helper()
	n, err := r.rdb.HLen(r.Context(), parkedKey(testLogin)).Result()
	r.ok(err)
	due, err := r.rdb.ZCard(r.Context(), parkDueKey(testLogin)).Result()
	r.ok(err)
	if n != due {
		r.Errorf("%d parked reports, %d due times", n, due)
	}
	return int(n)
}
