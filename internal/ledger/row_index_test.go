package ledger

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
)

// Batches may have rows that are not in the order of the upload: the recipients waited for other
// recipients with the same text, or moved from another account.
func TestResults_OrderedWhenBatchesAreNot(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]campaign.Spec{"plain": {}, "own texts": {Fields: []string{"name"}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			const n = 2 * campaign.MaxPageRows
			r.enqueue("c", spec, n)
			left := r.planShuffled(n, len(spec.Fields) > 0)
			r.settle(r.claim("c", "1.3", 0, 0, keyed, long), campaign.SettleAnswer, repeat(37, accepted("m"))...)
			var rows []Row
			for row, err := range r.ResultsAfter(t.Context(), "c", 0) {
				r.ok(err)
				rows = append(rows, row)
			}
			if len(rows) != n {
				t.Fatalf("got %d results, want %d", len(rows), n)
			}
			taken := 0
			for i, row := range rows {
				if row.Row != i+1 || row.MSISDN != msisdnOfRow(i+1) || left[i+1] != (row.Status == campaign.Skipped) || !left[i+1] && row.Account == "" {
					t.Fatalf("row %d is %+v, want its number, and an account unless it is skipped", i+1, row)
				}
				if row.Status == campaign.Accepted {
					taken++
				}
			}
			if taken != 37 {
				t.Errorf("%d rows are accepted, want 37", taken)
			}
			for _, after := range []int{1, 500, campaign.MaxPageRows, n - 1, n} {
				var rest []Row
				for row, err := range r.ResultsAfter(t.Context(), "c", after) {
					r.ok(err)
					rest = append(rest, row)
				}
				if want := rows[after:]; len(rest) != len(want) || len(want) > 0 && !reflect.DeepEqual(rest, want) {
					t.Errorf("ResultsAfter(%d) returned %d rows, want the same rows as Results", after, len(rest))
				}
			}
		})
	}
}

// planShuffled plans the campaign "c" of n recipients. The batches of the last page have all
// recipients that are not skipped, in random order. It returns the rows of the skipped recipients.
func (r *testLedger) planShuffled(n int, personal bool) (left map[int]bool) {
	r.Helper()
	p := r.startPlan("c", 2)
	order := rand.New(rand.NewPCG(3, 7)).Perm(n)
	left = map[int]bool{}
	for page, err := range r.ReadPages(r.Context(), "c", 0, p.Pages, 1) {
		r.ok(err)
		out := campaign.PlannedPage{Page: page.Number, First: page.First, OpenBatchLimits: map[int]int{0: 100, 1: 100}}
		for i := range page.Inputs {
			if row := page.First + i; row%97 == 0 {
				left[row] = true
				out.Skipped = append(out.Skipped, campaign.SkippedRecipient{Row: row, Reason: campaign.ReasonDuplicate})
			}
		}
		if page.Number+1 == p.Pages {
			// All planned recipients are in the batches of the last page, in any order.
			order = slices.DeleteFunc(order, func(i int) bool { return left[i+1] })
			for k, some := range slices.Collect(slices.Chunk(order, 37)) {
				b := campaign.PlannedBatch{Stream: k % 2, Calls: []int{len(some)}}
				for _, i := range some {
					b.To = append(b.To, campaign.Planned{Row: i + 1, MSISDN: msisdnOfRow(i + 1)})
				}
				if personal {
					b.Bodies = []string{fmt.Sprint("Habari ", k)}
				}
				out.Batches = append(out.Batches, b)
			}
		}
		_, _, err := p.CommitPage(r.Context(), script.NewToken(), out)
		r.ok(err)
	}
	return left
}

func TestRowIndex_CachesOnlyRecentBatches(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{5}, []int{5}, []int{5})
	snapshot, total, err := r.Snapshot(t.Context(), "c")
	r.ok(err)
	f, stop := r.records.newRowIndex(t.Context(), "c", total, &rowReading{snapshot: snapshot})
	defer stop()
	r.ok(f.build(t.Context(), 1))
	f.cachedRows = maxCachedRows - 7 // as if the cache were almost full
	for _, n := range []int{1, 6, 11, 2, 7, 12} {
		row, ok, err := f.find(t.Context(), n)
		r.ok(err)
		if !ok || row.Row != n || len(f.cache) > 1+n/6 {
			t.Fatalf("row %d is %+v, %t, with %d cached batches; want the row, and only recent batches cached", n, row, ok, len(f.cache))
		}
	}
	if _, ok, err := f.find(t.Context(), 16); ok || err != nil {
		t.Errorf("finding a row that is in no batch returned %t, %v; want false", ok, err)
	}
}
