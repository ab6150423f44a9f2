package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/sms"
)

// testLedger is a ledger on a separate Redis, with helpers that act as producers, planners and
// workers.
type testLedger struct {
	testing.TB
	server *redistest.Server // nil if the ledger is on miniredis
	rdb    *redis.Client
	*Ledger
}

func newTestLedger(t testing.TB, opts ...redistest.Option) *testLedger {
	t.Helper()
	server := redistest.Start(t, opts...)
	rdb := server.Client()
	return &testLedger{TB: t, server: server, rdb: rdb, Ledger: New(rdb)}
}

func newTestLedgerOnMiniredis(t testing.TB) *testLedger {
	t.Helper()
	rdb := redistest.Mini(t)
	return &testLedger{TB: t, rdb: rdb, Ledger: New(rdb)}
}

func (r *testLedger) ok(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

// msisdnOfRow returns the MSISDN of row n of a test's upload.
func msisdnOfRow(row int) sms.MSISDN { return sms.MSISDN(254700000000 + row) }

// enqueue uploads and commits n recipients.
func (r *testLedger) enqueue(id string, spec campaign.Spec, n int) Receipt {
	r.Helper()
	if spec.Body == "" {
		spec.Body = "Habari"
	}
	u, err := r.BeginUpload(id, spec)
	r.ok(err)
	for row := 1; row <= n; row++ {
		r.ok(u.Add(r.Context(), msisdnOfRow(row).E164(), slices.Repeat([]string{"x"}, len(spec.Fields))...))
	}
	receipt, err := u.Commit(r.Context())
	r.ok(err)
	return receipt
}

// startPlan starts planning for accounts named a0, a1, ….
func (r *testLedger) startPlan(id string, accounts int) *Plan {
	r.Helper()
	p, err := r.StartPlan(r.Context(), id, func(campaign.Spec) (campaign.PlanSnapshot, error) {
		f := campaign.PlanSnapshot{Country: "KE"}
		for a := range accounts {
			f.Accounts = append(f.Accounts, campaign.SnapshotAccount{Name: "a" + strconv.Itoa(a), MaxRecipients: 500, BatchSize: 500})
		}
		return f, nil
	})
	r.ok(err)
	if p == nil {
		r.Fatal("nothing to plan")
	}
	return p
}

// plannedRows returns n recipients. The first recipient has the row "first".
func plannedRows(first, n int) []campaign.Planned {
	out := make([]campaign.Planned, n)
	for i := range out {
		out[i] = campaign.Planned{Row: first + i, MSISDN: msisdnOfRow(first + i)}
	}
	return out
}

// The method "sending" enqueues a campaign and plans it for account 0, into batches with calls of the given
// sizes. All batches are handed out.
func (r *testLedger) sending(id string, batches ...[]int) {
	r.Helper()
	r.sendingSpec(id, campaign.Spec{}, batches...)
}

func (r *testLedger) sendingSpec(id string, spec campaign.Spec, batches ...[]int) {
	r.Helper()
	page := campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1000}}
	row := 1
	for _, calls := range batches {
		n := 0
		for _, c := range calls {
			n += c
		}
		page.Batches = append(page.Batches, campaign.PlannedBatch{Calls: calls, To: plannedRows(row, n)})
		row += n
	}
	r.enqueue(id, spec, row-1)
	_, _, err := r.startPlan(id, 1).CommitPage(r.Context(), script.NewToken(), page)
	r.ok(err)
}

// The method "open" reads a generation of a call. The parameter "number" is the number of the
// generation. The generation must be open.
func (r *testLedger) open(id, batch string, call, number int) *Generation {
	r.Helper()
	w, err := r.LoadWork(r.Context(), id, batch)
	r.ok(err)
	for _, g := range w.Open {
		if g.Call == call && g.Number == number {
			return g
		}
	}
	r.Fatalf("generation %d.%d of batch %s is not open", call, number, batch)
	return nil
}

const (
	keyed   = MaxKeyAge
	noKey   = time.Duration(0)
	long    = time.Hour // longer than any test
	lapsed  = time.Duration(0)
	account = "a0"
)

// tryClaim claims a generation that was read before. It returns the claim even if the claim was
// not granted.
func (r *testLedger) tryClaim(id, batch string, g *Generation, keyLife, lease time.Duration) *Claim {
	r.Helper()
	c, err := r.Claim(r.Context(), ClaimRequest{ID: id, Batch: batch, Gen: g, IdempotencyKey: requestID(batch, g, "login"), Login: "login",
		KeyTTL: keyLife, Lease: lease, OpenBatchLimit: 1000})
	r.ok(err)
	return c
}

// The method "claim" reads a generation and claims it. The claim must be granted.
func (r *testLedger) claim(id, batch string, call, number int, keyLife, lease time.Duration) *Claim {
	r.Helper()
	c := r.tryClaim(id, batch, r.open(id, batch, call, number), keyLife, lease)
	if c.Result != ClaimGranted {
		r.Fatalf("claim of %s %d.%d: got %q, want go", batch, call, number, c.Result)
	}
	return c
}

// requestID computes an idempotency key for a request, as a worker does.
func requestID(batch string, g *Generation, login string) uuid.UUID {
	b := fmt.Appendf(nil, "%s %d %d %s %s", batch, g.Call, g.Number, g.Revision, login)
	for _, p := range g.To {
		b = binary.BigEndian.AppendUint64(b, uint64(p.MSISDN))
	}
	return uuid.NewSHA1(uuid.NameSpaceOID, b)
}

func (r *testLedger) settle(c *Claim, reason campaign.SettleReason, records ...campaign.Record) Settled {
	r.Helper()
	out, err := r.Settle(r.Context(), c, records, reason, 1, 0)
	r.ok(err)
	return out
}

func accepted(id string) campaign.Record {
	return campaign.Record{Status: campaign.Accepted, MessageID: id}
}

// priced returns the record of an accepted message with a cost. All tests use the same cost.
func priced(id string) campaign.Record {
	return campaign.Record{Status: campaign.Accepted, MessageID: id, Cost: "0.8", Currency: "KES"}
}
func rejected(reason string) campaign.Record {
	return campaign.Record{Status: campaign.Rejected, Reason: reason}
}
func unknown(reason string) campaign.Record {
	return campaign.Record{Status: campaign.Unknown, Reason: reason}
}
func refusedForNow() campaign.Record {
	return campaign.Record{Status: campaign.Pending, Reason: "busy"}
}
func notSent() campaign.Record {
	return campaign.Record{Status: campaign.Pending, Reason: campaign.ReasonNotSent}
}
func repeat(n int, r campaign.Record) (all []campaign.Record) {
	for range n {
		all = append(all, r)
	}
	return all
}

// nameID turns the name of a test case into a campaign id.
func nameID(name string) string {
	return strings.NewReplacer(" ", "-", ",", "", "'", "").Replace(name)
}

// The method "rows" reads all results. There must be one for each row, in order.
func (r *testLedger) rows(id string) []Row {
	r.Helper()
	var out []Row
	for row, err := range r.ResultsAfter(r.Context(), id, 0) {
		r.ok(err)
		out = append(out, row)
		if row.Row != len(out) {
			r.Fatalf("result %d is of row %d, want the same number", len(out), row.Row)
		}
	}
	return out
}

// statuses returns the status words of all rows.
func (r *testLedger) statuses(id string) string {
	r.Helper()
	var out []string
	for _, row := range r.rows(id) {
		out = append(out, row.Status.String())
	}
	return strings.Join(out, " ")
}

// expect checks that the recipients of a campaign have the statuses "want", in the order of their
// rows. It also checks that the ledger is sound.
func (r *testLedger) expect(id, want string) {
	r.Helper()
	if got := r.statuses(id); got != want {
		r.Errorf("statuses are %q, want %q", got, want)
	}
	r.sound(id)
}

func (r *testLedger) sound(id string) {
	r.Helper()
	a, err := findViolations(r.Context(), r.Ledger, r.rdb, id)
	r.ok(err)
	for _, problem := range a.problems {
		r.Error(problem)
	}
}

func (r *testLedger) summary(id string) Summary {
	r.Helper()
	s, err := r.Summary(r.Context(), id)
	r.ok(err)
	return s
}

// The method "state" returns everything that Redis holds of a campaign, except times.
func (r *testLedger) state(id string) string {
	r.Helper()
	s, err := ledgerText(r.Context(), r.rdb, id)
	r.ok(err)
	return s
}

// The method "travel" moves a campaign's times into the past by d: leases end, back-offs end, keys age.
func (r *testLedger) travel(id string, d time.Duration) {
	r.Helper()
	r.ok(moveTimesBack(r.Context(), r.rdb, id, d))
}

func moveTimesBack(ctx context.Context, rdb *redis.Client, id string, d time.Duration) error {
	all, err := rdb.HGetAll(ctx, ledgerKey(id)).Result()
	if err != nil {
		return err
	}
	earlier := func(s string) string {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n == 0 {
			return s
		}
		return strconv.FormatInt(n-d.Milliseconds(), 10)
	}
	for f, v := range all {
		switch {
		case f[0] == 'g' && strings.HasPrefix(v, "t "):
		case f[0] == 'g' && f[1] >= '0' && f[1] <= '9':
			w := strings.Fields(v)
			for _, i := range []int{2, 3, 4, 11} { // positions of the words "lease", "claimed", "first" and "due"
				w[i] = earlier(w[i])
			}
			v = strings.Join(w, " ")
		case f == "exp":
			v = earlier(v)
		}
		if v != all[f] {
			if err := rdb.HSet(ctx, ledgerKey(id), f, v).Err(); err != nil {
				return err
			}
		}
	}
	return nil
}

// plainCarry returns carried-over recipients of a plain campaign, by stream.
func plainCarry(streams ...[]campaign.Planned) (out [][]campaign.Call) {
	for _, to := range streams {
		if len(to) == 0 {
			out = append(out, nil)
			continue
		}
		out = append(out, []campaign.Call{{To: to}})
	}
	return out
}

// milli returns the time that is ms milliseconds after the start of 1970, in UTC.
func milli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func (r *testLedger) clock() time.Time {
	r.Helper()
	now, err := r.Now(r.Context())
	r.ok(err)
	return now
}
