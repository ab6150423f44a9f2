package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/campaign"
)

// encodedRefs returns the stored references of one page.
func encodedRefs(refs ...string) []byte {
	var w refsWriter
	for i, ref := range refs {
		w.add(i, ref)
	}
	return compress(w.take())
}

func FuzzDecodeRefs(f *testing.F) {
	f.Add(encodedRefs("a", "", "order 7"), uint16(3))
	f.Add(encodedRefs("", "", ""), uint16(3))
	f.Add([]byte{0, 200, 1}, uint16(9))
	f.Fuzz(func(t *testing.T, b []byte, n uint16) {
		rows := int(n % campaign.MaxPageRows)
		got, err := decodeRefs(b, rows)
		if err != nil {
			if !errors.Is(err, campaign.ErrRecord) && !errors.Is(err, ErrNewer) {
				t.Fatalf("error %v, want ErrRecord or ErrNewer", err)
			}
			return
		}
		if len(got) != rows {
			t.Fatalf("decoded %d references, want %d", len(got), rows)
		}
		again, err := decodeRefs(encodedRefs(got...), rows)
		if err != nil || !cmp.Equal(got, again) {
			t.Fatalf("%q encoded and decoded again as %q, %v; want the same", got, again, err)
		}
	})
}

// uploadRefs uploads and commits n recipients. The function "ref" returns the reference of a row.
func (r *testLedger) uploadRefs(id string, n int, ref func(row int) string) error {
	r.Helper()
	u, err := r.BeginUpload(id, campaign.Spec{Body: "Habari"})
	r.ok(err)
	for row := 1; row <= n; row++ {
		r.ok(u.AddWithRef(r.Context(), msisdnOfRow(row).E164(), ref(row)))
	}
	_, err = u.Commit(r.Context())
	return err
}

func TestRefs_ComeBackInRowsOfEveryPage(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	refs := map[string]func(row int) string{
		"long": func(row int) string { return fmt.Sprintf("%064d", row) },
		"some": func(row int) string {
			return map[bool]string{true: fmt.Sprintf("order %d", row)}[row > 3000 && row%2 == 0]
		},
		"none": func(int) string { return "" },
	}
	const n = 9000
	for id, ref := range refs {
		r.ok(r.uploadRefs(id, n, ref))
		rows := r.rows(id)
		for i, row := range rows {
			if want := ref(i + 1); row.Ref != want {
				t.Fatalf("%s: row %d has the reference %q, want %q", id, i+1, row.Ref, want)
			}
		}
		if len(rows) != n {
			t.Errorf("%s: %d rows, want %d", id, len(rows), n)
		}
	}
	for field, value := range r.rdb.HGetAll(t.Context(), ledgerKey("long")).Val() {
		if len(value) > 64<<10 {
			t.Errorf("the field %s has %d bytes, want at most 64 KB", field, len(value))
		}
	}
	// A page without references has no field for references in the ledger hash.
	if has := r.rdb.HMGet(t.Context(), ledgerKey("some"), refsField(0), refsField(1), refsField(2)).Val(); has[0] == nil && has[1] == nil {
		t.Errorf("the first pages have the fields %v, want one", has)
	}
	if r.rdb.HExists(t.Context(), ledgerKey("none"), refsField(0)).Val() {
		t.Error("a campaign without references has a field for them")
	}
}

// The content hash of a campaign without references is the same as in earlier versions of Tuma.
func TestRefs_ArePartOfTheContent(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	a := func(row int) string { return fmt.Sprintf("a%d", row) }
	r.ok(r.uploadRefs("c", 3, a))
	r.ok(r.uploadRefs("c", 3, a))
	for name, ref := range map[string]func(int) string{
		"none": func(int) string { return "" }, "moved": func(row int) string { return a(4 - row) }, "only the last": func(row int) string { return a(row)[:2*(row/3)] },
	} {
		if err := r.uploadRefs("c", 3, ref); !errors.Is(err, ErrConflict) {
			t.Errorf("%s: error %v, want ErrConflict", name, err)
		}
	}
	plain, err := NewDigest(campaign.Spec{Body: "b"})
	r.ok(err)
	plain.Add("+254712345678")
	with, err := NewDigest(campaign.Spec{Body: "b"})
	r.ok(err)
	with.Add("+254712345678")
	with.AddRef("")
	if x, y := plain.Sum(), with.Sum(); x != y {
		t.Errorf("the hash with an empty reference is %q, want %q", y, x)
	}
	u, err := r.BeginUpload("long", campaign.Spec{Body: "b"})
	r.ok(err)
	if err := u.AddWithRef(t.Context(), "1", strings.Repeat("x", campaign.MaxRef+1)); err == nil {
		t.Error("a reference that is too long is accepted")
	}
}

func TestRefs_StayAfterFailoverAndRetry(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	f := r.routed("c", 6, 3, 3)
	want := []string{"r1", "", "r3", "r4", "r5", ""}
	r.ok(r.rdb.HSet(t.Context(), ledgerKey("c"), refsField(0), encodedRefs(want...)).Err())
	check := func(when string) {
		t.Helper()
		var got []string
		for _, row := range r.rows("c") {
			got = append(got, row.Ref)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	names := r.move("c", "0.0", f, 1)
	check("after the failover")
	for k := range 2 {
		r.settle(r.claim("c", names[0], k, 0, noKey, long), campaign.SettleAnswer, unknown("no_answer"), rejected("x"))
	}
	_, err := r.Retry(t.Context(), "c", "op", true, true)
	r.ok(err)
	check("after the retry")
	for x, err := range NewSearch(r.Ledger, msisdnOfRow(4), nil).After(t.Context(), Position{}) {
		r.ok(err)
		if len(x.Found) != 1 || x.Found[0].Ref != "r4" {
			t.Errorf("the search found %+v, want one row with the reference r4", x.Found)
		}
	}
}

// If a record of references cannot be read, the results end with an error that names the record. A
// search still finds every campaign.
func TestRefs_DamagedRecordIsNamed(t *testing.T) {
	t.Parallel()
	for name, damaged := range map[string][]byte{"cut": {0, 200, 1}, "too many": encodedRefs("a", "b", "c", "d"), "empty": {}, "too long": append([]byte{0, 100}, slices.Repeat([]byte{'x'}, 100)...)} {
		r := newTestLedgerOnMiniredis(t)
		r.ok(r.uploadRefs("c", 3, func(row int) string { return fmt.Sprint("a", row) }))
		r.ok(r.rdb.HSet(t.Context(), ledgerKey("c"), refsField(0), damaged).Err())
		var last error
		for _, err := range r.ResultsAfter(context.Background(), "c", 0) {
			last = err
		}
		if bad := AsUnreadable(last); bad == nil || !strings.Contains(last.Error(), refsField(0)) {
			t.Errorf("%s: error %v, want one that names %s", name, last, refsField(0))
		}
	}
}
