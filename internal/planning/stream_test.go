package planning_test

import (
	"fmt"
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/planning"
	"github.com/tuma-sms/tuma/providers"
)

// pagesOf returns pages of recipients. The function "value" returns the value of the only merge
// field of a row.
func pagesOf(rows int, value func(row int) string) (pages []campaign.Page) {
	for row := 1; row <= rows; row++ {
		if (row-1)%campaign.MaxPageRows == 0 {
			pages = append(pages, campaign.Page{Number: len(pages), First: row})
		}
		p := &pages[len(pages)-1]
		p.Inputs = append(p.Inputs, fmt.Sprintf("07%08d", 10_000_000+row))
		p.Values = append(p.Values, []string{value(row)})
	}
	return pages
}

func planAll(t *testing.T, most int, pages []campaign.Page) (batches []campaign.PlannedBatch) {
	t.Helper()
	spec := campaign.Spec{Body: "Habari {{name}}", Fields: []string{"name"}}
	account := planning.Account(campaign.Card{Name: "a", Info: providers.Info{MaxRecipients: most}}, spec, 0, 0)
	p, err := planning.New(spec, campaign.PlanSnapshot{Country: "KE", Accounts: []campaign.SnapshotAccount{account}})
	if err != nil {
		t.Fatal(err)
	}
	for n, page := range pages {
		batches = append(batches, p.Page(page, n+1 == len(pages)).Batches...)
	}
	return batches
}

// The recipients have a few different bodies, in any order. They must need hardly more calls than
// the same number of recipients with one body.
func TestPlan_FewTextsNeedFewCalls(t *testing.T) {
	t.Parallel()
	const rows, most = 30_000, 500
	for texts, want := range map[int]int{1: 60, 3: 60, 7: 63, 100: 700, 1000: 12_000} {
		calls := 0
		for _, b := range planAll(t, most, pagesOf(rows, func(row int) string { return fmt.Sprint("name ", row*7919%texts) })) {
			calls += len(b.Calls)
		}
		if calls < rows/most || calls > want {
			t.Errorf("%d texts took %d calls, want at most %d", texts, calls, want)
		}
	}
}

// A recipient with a rare body must not wait until the last page for other recipients with this
// body. The reason: results are read in row order, and the reader caches batches only for a
// limited number of rows.
func TestPlan_NoRecipientWaitsForLong(t *testing.T) {
	t.Parallel()
	rare := func(row int) string {
		if row%9000 == 1 {
			return "Amina"
		}
		return "Juma"
	}
	last, seen := 0, 0
	for _, b := range planAll(t, 500, pagesOf(40_000, rare)) {
		for _, x := range b.To {
			if x.Row <= last-campaign.CarryRows-campaign.MaxPageRows {
				t.Fatalf("row %d is in a later batch than row %d", x.Row, last)
			}
			seen++
		}
		for _, x := range b.To {
			last = max(last, x.Row)
		}
	}
	if seen != 40_000 {
		t.Errorf("got %d rows, want 40,000", seen)
	}
}
