package ledger

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/sms"
)

// forget forgets a number in each campaign in which a search finds it.
func (r *testLedger) forget(number sms.MSISDN, dry bool) (all []Forgetting) {
	r.Helper()
	for _, x := range r.search(number) {
		if len(x.Found) > 0 {
			f, err := Forget(r.Context(), r.Ledger, x, number, dry)
			r.ok(err)
			all = append(all, f)
		}
	}
	return all
}

func (r *testLedger) hash(id string) map[string]string {
	r.Helper()
	got, err := r.rdb.HGetAll(r.Context(), ledgerKey(id)).Result()
	r.ok(err)
	return got
}

func TestForget_RemovesTheNumberAndNothingElse(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{2}, []int{1, 1})
	rows := r.rows("c")
	gone := rows[1].MSISDN
	if got := r.forget(gone, false); len(got) != 1 || !got[0].Open {
		t.Fatalf("in a campaign that has not ended: got %+v, want Open", got)
	}
	r.settle(r.claim("c", "0.0", 0, 0, noKey, long), campaign.SettleAnswer, rejected("x"), accepted("id"))
	r.settle(r.claim("c", "0.1", 0, 0, noKey, long), campaign.SettleAnswer, accepted("id2"))
	r.settle(r.claim("c", "0.1", 1, 0, noKey, long), campaign.SettleAnswer, accepted("id3"))
	before, stored := r.rows("c"), r.hash("c")
	if got := r.forget(gone, true); len(got) != 1 || got[0].Rows != 1 || got[0].NoRetry || !cmp.Equal(r.hash("c"), stored) {
		t.Errorf("a dry run: got %+v, want one row and no change", got)
	}
	r.forget(gone, false)
	want := slices.Clone(before)
	want[1].MSISDN, want[1].Input = 0, forgottenText
	if diff := cmp.Diff(want, r.rows("c"), cmp.AllowUnexported(Row{})); diff != "" {
		t.Errorf("the rows differ (-want +got):\n%s", diff)
	}
	r.sound("c")
	for _, x := range r.search(gone) {
		if len(x.Found) > 0 {
			t.Errorf("a search still finds %+v", x.Found)
		}
	}
	if got := r.forget(rows[0].MSISDN, false); len(got) != 1 || !got[0].NoRetry {
		t.Fatalf("forget a rejected number: got %+v, want NoRetry", got)
	}
	if _, err := r.Retry(t.Context(), "c", "token", true, true); !errors.Is(err, ErrPurged) {
		t.Errorf("a retry would send to the number 0: got %v, want ErrPurged", err)
	}
}

// A campaign with merge fields stores a text for each call, and stores each recipient's values with the number.
func TestForget_RemovesValuesTextsAndReferences(t *testing.T) {
	t.Parallel()
	for _, segments := range []int{1, 3} {
		body := strings.Repeat("Wanjiku ", 15*segments)
		n, _ := sms.Segments(forgottenBody(segments))
		want, _ := sms.Segments(body)
		if want != segments || n != segments {
			t.Errorf("the text that stands for %d segments has %d, want %d", segments, n, want)
		}
	}
	r := newTestLedger(t)
	spec := campaign.Spec{Body: "Hello {{name}}", Fields: []string{"name"}}
	u, err := r.BeginUpload("c", spec)
	r.ok(err)
	inputs := []string{"254712345001", "254712345002", "254712345001"}
	for i, name := range []string{"Wanjiku", "Achieng", "Wanjiku"} {
		r.ok(u.AddWithRef(r.Context(), inputs[i], "ref-"+name, name))
	}
	_, err = u.Commit(r.Context())
	r.ok(err)
	to := []campaign.Planned{{Row: 1, MSISDN: 254712345001}, {Row: 2, MSISDN: 254712345002}}
	_, _, err = r.startPlan("c", 1).CommitPage(r.Context(), "token", campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 9},
		Batches: []campaign.PlannedBatch{{Calls: []int{1, 1}, To: to, Bodies: []string{"Hello Wanjiku", "Hello Achieng"}}},
		Skipped: []campaign.SkippedRecipient{{Row: 3, Reason: campaign.ReasonDuplicate}}})
	r.ok(err)
	for k := range 2 {
		r.settle(r.claim("c", "0.0", k, 0, noKey, long), campaign.SettleAnswer, accepted("id"))
	}
	if got := r.forget(254712345001, false); len(got) != 1 || got[0].Rows != 2 {
		t.Fatalf("got %+v, want two rows", got)
	}
	var all strings.Builder
	for field, value := range r.hash("c") {
		switch {
		case strings.HasPrefix(field, "ref"):
			refs, err := decodeRefs([]byte(value), 3)
			r.ok(err)
			all.WriteString(strings.Join(refs, " "))
		case field == "p0":
			in, values, err := decodeRows([]byte(value))
			r.ok(err)
			all.WriteString(strings.Join(in, " ") + strings.Join(slices.Concat(values...), " "))
		case field == "t0.0":
			bodies, err := decodeBodies([]byte(value), 2)
			r.ok(err)
			all.WriteString(strings.Join(bodies, " "))
		}
	}
	if text := all.String(); strings.Contains(text, "Wanjiku") || strings.Contains(text, "254712345001") || strings.Count(text, "Achieng") != 3 {
		t.Errorf("the campaign holds %q; want no part of the forgotten recipient, and all of the other", text)
	}
	r.sound("c")
}

func TestForgetExclusions_OnlyInAnEndedCampaign(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	r.sending("c", []int{1})
	const gone, other = 254700000001, 254700000002
	_, err := r.Exclude(r.Context(), "c", "*", []sms.MSISDN{gone, other})
	r.ok(err)
	forget := func(want int) {
		t.Helper()
		if n, err := ForgetExclusions(r.Context(), r.Ledger, "c", gone, false); err != nil || n != want {
			t.Errorf("got %d entries, %v; want %d", n, err, want)
		}
	}
	forget(0)
	var x Exclusions
	r.ok(x.Read(r.Context(), r.Ledger, "c"))
	g := r.open("c", "0.0", 0, 0)
	r.settle(r.excluding("c", "0.0", g, &x), campaign.SettleAnswer, accepted("id"))
	forget(1)
	forget(0)
	if e := r.hash("c")["e1"]; strings.Contains(e, "254700000001") || !strings.Contains(e, "254700000002") {
		t.Errorf("the entry is %q", e)
	}
}
