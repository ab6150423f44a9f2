package ledger

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/sms"
)

// Gateways may send a thousand callbacks at once, each with an opt-out. The callers of ExcludeOpen then share runs. Each
// caller gets only the calls to its own number.
func TestOptOutExcludeOpen_CallersShareRuns(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	const campaigns, callers = 30, 200
	for i := range campaigns {
		r.sending(fmt.Sprint("c", i), []int{3, 2})
	}
	r.claim("c7", "0.0", 1, 0, keyed, long) // rows 4 and 5
	trips := redistest.CountTrips(r.rdb)
	var group sync.WaitGroup
	for i := range callers {
		group.Go(func() {
			row := i%5 + 1
			in, err := r.ExcludeOpen(t.Context(), campaign.AllSenders, []sms.MSISDN{msisdnOfRow(row)})
			if err != nil {
				t.Error(err)
			}
			want := 0
			if row > 3 {
				want = 1
			}
			if len(in) != want || want == 1 && (in[0].Campaign != "c7" || in[0].Recipients != 1) {
				t.Errorf("row %d: calls in flight are %+v, want %d", row, in, want)
			}
			if !excludes(r, "c29", row) {
				t.Errorf("row %d: the opt-out is not in a campaign when ExcludeOpen returns", row)
			}
		})
	}
	group.Wait()
	// The two round trips of each caller in the function "excludes" do not count. One pass of ExcludeOpen over the
	// 30 campaigns takes more than 30 round trips.
	if n := trips() - 2*callers; n > 5*callers {
		t.Errorf("%d callers took %d round trips, want them to share their runs", callers, n)
	} else {
		t.Logf("%d callers took %d round trips", callers, n)
	}
}

// excludes reports whether an entry of a campaign's opt-outs names the row.
func excludes(r *testLedger, id string, row int) bool {
	var x Exclusions
	r.ok(x.Read(r.Context(), r.Ledger, id))
	optedOut, _, _ := x.In([]campaign.Planned{{Row: row, MSISDN: msisdnOfRow(row)}})
	return len(optedOut) > 0
}

// If the context of a caller ends, this caller leaves. The run continues until the last caller has left.
func TestOptOutExcludeOpen_CallersLeave(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{3, 2})
	r.server.Stop()
	first, leaveFirst := context.WithCancel(t.Context())
	errs := make(chan error, 2)
	go func() {
		_, err := r.ExcludeOpen(first, campaign.AllSenders, []sms.MSISDN{msisdnOfRow(1)})
		errs <- err
	}()
	second, leaveSecond := context.WithCancel(t.Context())
	go func() {
		_, err := r.ExcludeOpen(second, campaign.AllSenders, []sms.MSISDN{msisdnOfRow(2)})
		errs <- err
	}()
	leaveFirst()
	if err := <-errs; err == nil {
		t.Error("a caller whose context has ended got no error")
	}
	r.server.Cont()
	if err := <-errs; err != nil {
		t.Errorf("the caller that still waits got %v", err)
	}
	leaveSecond()
	if !excludes(r, "c", 2) {
		t.Error("the opt-out of the caller that waited is not in the campaign")
	}
	if _, err := r.ExcludeOpen(t.Context(), campaign.AllSenders, []sms.MSISDN{msisdnOfRow(3)}); err != nil || !excludes(r, "c", 3) {
		t.Errorf("a later opt-out got %v; it is in the campaign: %t", err, excludes(r, "c", 3))
	}
}
