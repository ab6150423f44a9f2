package optout

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/internal/test/redistest"
	"github.com/tuma-sms/tuma/sms"
)

func TestOptOut_KeptByList(t *testing.T) {
	t.Parallel()
	for name, r := range map[string]*rig{"redis": newRig(t), "miniredis": rigOn(t, redistest.Mini(t))} {
		ctx := t.Context()
		at := time.Date(2026, 11, 22, 10, 7, 31, 0, time.UTC)
		some := []sms.MSISDN{254712345678, 2348031234567, 1, 999_999_999_999_999}
		var entries []Entry
		for i, m := range some {
			entries = append(entries, Entry{MSISDN: m, Origin: []string{OriginHand, "gateway:at:406", "", OriginKeyword}[i], At: at})
		}
		if n, err := r.Add(ctx, campaign.AllSenders, entries, true); err != nil || n != 4 {
			t.Fatalf("%s: added %d, %v; want 4", name, n, err)
		}
		again := []Entry{{MSISDN: some[0], Origin: OriginImport, At: at.Add(time.Hour)}, {MSISDN: 254712345679, Origin: OriginImport, At: at}}
		if n, err := r.Add(ctx, campaign.AllSenders, again, true); err != nil || n != 1 {
			t.Errorf("%s: added %d, %v; want 1, because the others are on the list already", name, n, err)
		}
		if n, err := r.Add(ctx, "ACME", []Entry{{MSISDN: some[1], Origin: OriginHand}}, false); err != nil || n != 1 {
			t.Errorf("%s: added %d, %v; want 1", name, n, err)
		}
		counts, err := r.Counts(ctx)
		if err != nil || counts[campaign.AllSenders] != 5 || counts["ACME"] != 1 || len(counts) != 2 {
			t.Errorf("%s: counts are %v, %v; want 5 on the list for all senders and 1 on ACME", name, counts, err)
		}
		have, err := r.NotEmpty(ctx, []string{"OTHER", "ACME", campaign.AllSenders})
		if err != nil || !slices.Equal(have, []string{"ACME", campaign.AllSenders}) {
			t.Errorf("%s: lists that are not empty are %v, %v; want ACME and the list for all senders", name, have, err)
		}
		on, err := r.Find(ctx, []string{"ACME", campaign.AllSenders}, []sms.MSISDN{some[0], some[1], 254700000000})
		if err != nil || len(on) != 2 || on[some[0]] != campaign.AllSenders || on[some[1]] != "ACME" {
			t.Errorf("%s: suppressed are %v, %v; want the first number on the list for all senders, the second on ACME", name, on, err)
		}
		var listed []Entry
		for x, err := range r.Entries(ctx, campaign.AllSenders) {
			r.ok(err)
			listed = append(listed, x)
		}
		slices.SortFunc(listed, func(a, b Entry) int { return strings.Compare(a.MSISDN.String(), b.MSISDN.String()) })
		minute := at.Truncate(time.Minute)
		want := []Entry{{1, "*", "", minute}, {some[1], "*", "gateway:at:406", minute}, {some[0], "*", OriginHand, minute},
			{254712345679, "*", OriginImport, minute}, {some[3], "*", OriginKeyword, minute}}
		if !slices.Equal(listed, want) {
			t.Errorf("%s: listed %v, want %v", name, listed, want)
		}
		if found, err := r.EntriesOf(ctx, some[1]); err != nil || len(found) != 2 {
			t.Errorf("%s: entries of the number are %v, %v; want two", name, found, err)
		}
		if n, err := r.Remove(ctx, campaign.AllSenders, []sms.MSISDN{some[0], some[1], 7}); err != nil || n != 2 {
			t.Errorf("%s: removed %d, %v; want 2", name, n, err)
		}
		if n, err := r.Remove(ctx, "ACME", some[:2]); err != nil || n != 1 {
			t.Errorf("%s: removed %d, %v; want 1", name, n, err)
		}
		if counts, err := r.Counts(ctx); err != nil || counts[campaign.AllSenders] != 3 || len(counts) != 1 {
			t.Errorf("%s: counts are %v, %v; want only 3 on the list for all senders", name, counts, err)
		}
	}
}

func TestOptOut_NumberOfOriginsIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for n := range 70 {
		_, err := r.Add(t.Context(), campaign.AllSenders, []Entry{{MSISDN: sms.MSISDN(254700000000 + n), Origin: "gateway:a:" + string(rune('A'+n))}}, true)
		r.ok(err)
	}
	by := map[string]int{}
	for x, err := range r.Entries(t.Context(), campaign.AllSenders) {
		r.ok(err)
		by[x.Origin]++
	}
	if len(by) != lastOrigin-firstOrigin+2 || by[OriginGateway] != 70-(lastOrigin-firstOrigin+1) {
		t.Errorf("entries by origin are %v, want %d origins, and %d entries with the origin gateway", by, lastOrigin-firstOrigin+2, 70-(lastOrigin-firstOrigin+1))
	}
}

func TestOptOutList_NameOfASendersList(t *testing.T) {
	t.Parallel()
	for sender, want := range map[string]string{"": "*", "*": "*", "Acme": "ACME", " My-Brand & Co": "MY-BRAND & CO", "+25420": "25420"} {
		if got, err := ListOf(sender); err != nil || got != want {
			t.Errorf("the list of sender %q: got %q, %v; want %q", sender, got, err, want)
		}
	}
	for _, sender := range []string{"a:b", "ÄCME", "a*", "12345678901234567", "{x}", "a\nb"} {
		if got, err := ListOf(sender); !errors.Is(err, ErrSender) {
			t.Errorf("the list of sender %q: got %q, %v; want ErrSender", sender, got, err)
		}
	}
}

// optOutBytes is the maximum memory of Redis, in bytes, that a suppression list may take for each
// number: 200 MB for 10,000,000 numbers (measured by make bench-optout).
const optOutBytes = 20

func TestOptOut_MemoryOfAListIsBounded(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	before := usedMemory(r)
	const n = 500_000
	perNumber := float64(0)
	entries := make([]Entry, 0, 10_000)
	for i := range n {
		// The numbers are like the numbers of a country, spread over its networks. The list is short,
		// so each bucket has few numbers.
		entries = append(entries, Entry{MSISDN: sms.MSISDN(254700000000 + uint64(i)*199), Origin: OriginImport})
		if len(entries) == cap(entries) {
			_, err := r.Add(t.Context(), campaign.AllSenders, entries, false)
			r.ok(err)
			entries = entries[:0]
		}
	}
	perNumber = float64(usedMemory(r)-before) / n
	t.Logf("%.1f bytes a number", perNumber)
	// Each of the 131,072 buckets also costs about 100 bytes. For a list of 10,000,000 numbers,
	// optOutBytes includes this memory. For this shorter list, the test allows 150 bytes a bucket
	// in addition.
	if most := optOutBytes + 150.0*buckets/n; perNumber > most {
		t.Errorf("the list takes %.1f bytes a number, want less than %.1f", perNumber, most)
	}
}

func usedMemory(r *rig) int {
	r.Helper()
	info, err := r.rdb.InfoMap(r.Context(), "memory").Result()
	r.ok(err)
	return script.Int(info["Memory"]["used_memory"])
}
