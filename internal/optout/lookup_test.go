package optout

import (
	"testing"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/sms"
)

// Lookup reads a whole list when that is faster than looking up every number. Both ways must have
// the same results.
func TestOptOutLookup_ReadsTheWholeListForManyNumbers(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*rig{"redis": newRig(t), "miniredis": rigOn(t, redistest.Mini(t))} {
		ctx := t.Context()
		const n = 3000
		var entries []Entry
		var page []sms.MSISDN
		for i := range sms.MSISDN(n) {
			// One number in three is on the list. Some buckets have several numbers.
			m := 254_700_000_000 + i*buckets/4
			if page = append(page, m); i%3 == 0 {
				entries = append(entries, Entry{MSISDN: m, Origin: OriginImport})
			}
		}
		_, err := r.Add(ctx, campaign.AllSenders, entries, true)
		r.ok(err)
		_, err = r.Add(ctx, "ACME", []Entry{{MSISDN: page[0]}, {MSISDN: page[1]}, {MSISDN: buckets - 1}}, true)
		r.ok(err)
		counts, err := r.Counts(ctx)
		r.ok(err)
		lists := []string{"OTHER", "ACME", campaign.AllSenders}
		for most, reads := range map[int]bool{0: false, copyFrom: false, copyFrom + n: true} {
			x := r.NewLookup(lists, counts, most)
			on, err := x.OptedOut(ctx, page)
			if err != nil || len(on) != len(entries)+1 || on[page[0]] != "ACME" || on[page[1]] != "ACME" || on[page[3]] != campaign.AllSenders || on[page[2]] != "" {
				t.Errorf("%s, %d to look up: got %d suppressed numbers, %v; want one more than the entries, each with its list", name, most, len(on), err)
			}
			if got := x.copies[1] != nil; !x.Any() || len(x.copies) != 2 || got != reads {
				t.Errorf("%s, %d to look up: the list is read: %t, want %t", name, most, got, reads)
			}
		}
		if x := r.NewLookup(lists[:1], counts, 0); x.Any() {
			t.Errorf("%s: Any is true for the empty list %s, want false", name, lists[0])
		}
	}
}

func TestOptOutLookup_ReadsTheWholeListAfterManyPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, err := r.Add(t.Context(), campaign.AllSenders, []Entry{{MSISDN: 254700000007}}, true)
	r.ok(err)
	x := r.NewLookup([]string{campaign.AllSenders}, map[string]int{campaign.AllSenders: 1}, 0)
	page := make([]sms.MSISDN, copyFrom)
	for i := range page {
		page[i] = sms.MSISDN(254700000000 + i)
	}
	for n, reads := range []bool{false, true, true} {
		on, err := x.OptedOut(t.Context(), page)
		if err != nil || len(on) != 1 || on[254700000007] != campaign.AllSenders || (x.copies[0] != nil) != reads {
			t.Errorf("page %d: suppressed are %v, %v; the list was read: %t", n, on, err, x.copies[0] != nil)
		}
	}
	_, err = r.Add(t.Context(), campaign.AllSenders, []Entry{{MSISDN: 254700000009}}, true)
	r.ok(err)
	for range 2 {
		if on, err := x.OptedOut(t.Context(), page); err != nil || len(on) != 2 || x.copies[0] != nil {
			t.Errorf("suppressed are %v, %v: a list that has grown since it was read was not looked up in Redis", on, err)
		}
	}
	big := r.NewLookup([]string{campaign.AllSenders}, map[string]int{campaign.AllSenders: maxCopied + 1}, 1_000_000_000)
	if on, err := big.OptedOut(t.Context(), page[:8]); err != nil || len(on) != 1 || big.copies[0] != nil {
		t.Errorf("suppressed are %v, %v: a list too long to copy was read", on, err)
	}
}
