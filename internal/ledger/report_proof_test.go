package ledger

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// dump saves keys of a campaign. The function "restore" sets them back, as if Redis had lost
// all later changes.
func (r *testLedger) dump(keys ...string) (restore func()) {
	r.Helper()
	saved := map[string]string{}
	for _, key := range keys {
		v, err := r.rdb.Dump(r.Context(), key).Result()
		if err == redis.Nil { //nolint:errorlint // a missing key
			continue
		}
		r.ok(err)
		saved[key] = v
	}
	return func() {
		r.Helper()
		for _, key := range keys {
			r.ok(r.rdb.Del(r.Context(), key).Err())
			if v, ok := saved[key]; ok {
				r.ok(r.rdb.Restore(r.Context(), key, 0, v).Err())
			}
		}
	}
}

// A process reads that a call is settled, and then Redis loses this settle. Until the call is
// settled again, reports about it change nothing. After that, the reports are applied.
func TestReports_ProofOfAForgottenSettle(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{4})
	c := r.claim("c", "0.0", 0, 0, noKey, long)
	restore := r.dump(ledgerKey("c"), openKey("c"), overlayKey("c", 0), delaysKey("c"))
	settle := func() {
		t.Helper()
		r.settle(c, campaign.SettleAnswer, accepted(atID(1)), accepted(atID(2)), accepted(atID(3)), accepted(atID(4)))
	}
	settle()
	x, now := NewReports(r.Ledger), r.clock()
	apply := func(want string, reports ...Report) {
		t.Helper()
		out, err := x.Apply(t.Context(), "c", r.uploadOf("c"), reports)
		r.ok(err)
		if got := strings.Trim(fmt.Sprint(out), "[]"); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	apply("applied applied", about(1, true, now), about(2, false, now))
	if len(x.proofs.byCall) != 1 {
		t.Fatalf("%d calls have a proof, want 1", len(x.proofs.byCall))
	}
	restore()
	apply("unsettled unsettled", about(1, true, now), about(3, true, now))
	if s := r.summary("c"); s.Accepted != 0 || s.Delivered != 0 || s.Pending != 4 {
		t.Errorf("after the loss: %+v, want 4 pending", s)
	}
	settle()
	apply("applied repeated applied other", about(3, true, now), about(3, false, now), about(1, false, now), Report{Batch: "0.0", Position: 1, Row: 2, MessageID: atID(9), Delivered: true, At: now})
	apply("applied", about(2, true, now))
	if s := r.summary("c"); s.Accepted != 1 || s.Delivered != 2 || s.Undelivered != 1 {
		t.Errorf("at the end: %+v", s)
	}
}

// With and without a proof, a report has the same result.
func TestReports_ProofChangesNoResult(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for _, id := range []string{"with", "without"} {
		r.sending(id, []int{3, 3})
		r.settleAll(id, 3)
	}
	now := r.clock()
	reports := []Report{about(1, true, now), about(2, false, now), about(2, true, now), about(9, true, now), {Batch: "0.0", Call: 1, Position: 0, Row: 4, MessageID: atID(4), Delivered: true, At: now},
		{Batch: "0.0", Position: 7, Row: 3, MessageID: atID(3), Delivered: true, At: now}, {Batch: "0.0", Position: 2, Row: 77, MessageID: atID(3), Delivered: true, At: now}}
	with, err := NewReports(r.Ledger).Apply(t.Context(), "with", r.uploadOf("with"), reports)
	r.ok(err)
	without, err := NewReports(r.Ledger).apply(t.Context(), "without", r.uploadOf("without"), reports, nil)
	r.ok(err)
	if fmt.Sprint(with) != fmt.Sprint(without) {
		t.Errorf("with proofs %v, without %v", with, without)
	}
	if a, b := r.summary("with"), r.summary("without"); a.Delivered != b.Delivered || a.Undelivered != b.Undelivered || a.Accepted != b.Accepted || a.Delivered != 1 {
		t.Errorf("with proofs %+v, without %+v", a, b)
	}
}

// The proofs that a process keeps are bounded.
func TestProofs_AreBounded(t *testing.T) {
	t.Parallel()
	p := newProofs()
	for i := range 5 {
		p.put(callRef{call: i}, &callProof{ids: make([]uint64, mostProved/3)})
	}
	if p.held > mostProved || len(p.byCall) != 3 || p.held != 3*(mostProved/3) {
		t.Errorf("%d recipients in %d calls, want at most %d", p.held, len(p.byCall), mostProved)
	}
	for c := range p.byCall {
		p.drop(c)
	}
	if p.held != 0 || len(p.byCall) != 0 {
		t.Errorf("after all were dropped: %d recipients in %d calls", p.held, len(p.byCall))
	}
}

func FuzzCallProof(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendRecord(appendRecord(nil, campaign.Record{Status: campaign.Accepted, MessageID: atID(1)}), campaign.Record{Status: campaign.Rejected, Reason: "x"}))
	f.Fuzz(func(t *testing.T, records []byte) {
		p := newProofs()
		got := p.parse(string(records))
		if got == nil {
			return
		}
		list, err := decodeRecords(records, len(got.ids))
		if err != nil {
			return
		}
		rest := records
		for i, r := range list {
			detail := rest[2 : 2+int(rest[1])]
			rest = rest[2+len(detail):]
			stored := appendRecord(nil, campaign.Record{Status: r.Status, Generation: r.Generation, MessageID: r.MessageID})
			if r.Status != campaign.Accepted || r.MessageID == "" || !bytes.HasPrefix(detail, stored[2:]) {
				continue // the recipient was not accepted, or Tuma never writes a record with this detail
			}
			if got.ids[i] != p.hash(storedID(r.MessageID)) || int(got.generations[i]) != r.Generation {
				t.Errorf("recipient %d: the proof is not that of the id %q of generation %d", i, r.MessageID, r.Generation)
			}
		}
	})
}
