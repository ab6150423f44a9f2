package ledger

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// search returns everything that a search for a number finds, by campaign, newest first.
func (r *testLedger) search(number sms.MSISDN, countries ...string) (all []Searched) {
	r.Helper()
	for x, err := range NewSearch(r.Ledger, number, countries).After(r.Context(), Position{}) {
		r.ok(err)
		all = append(all, x)
	}
	return all
}

// foundRows returns the found rows without the fields that only a search sets.
func foundRows(x Searched) (rows []Row) {
	for _, f := range x.Found {
		rows = append(rows, f.Row)
	}
	return rows
}

// For each number, a search returns the same rows as Results, in every state of a recipient.
func TestSearch_FindsWhatResultsHas(t *testing.T) {
	t.Parallel()
	states := map[string]func(r *testLedger){
		"uploaded only": func(r *testLedger) { r.uploaded("c", campaign.Spec{Country: "KE"}, 3, 2) },
		"partly planned": func(r *testLedger) {
			r.uploaded("c", campaign.Spec{}, 3, 2, 2)
			_, _, err := r.startPlan("c", 2).CommitPage(r.Context(), script.NewToken(), campaign.PlannedPage{First: 1, Carry: plainCarry(plannedRows(1, 1), plannedRows(3, 1)),
				Skipped: []campaign.SkippedRecipient{{Row: 2, Reason: campaign.ReasonOptedOut}}})
			r.ok(err)
		},
		"partly settled": func(r *testLedger) { r.inHalves("c") },
		"cancelled": func(r *testLedger) {
			r.inHalves("c")
			_, err := r.Cancel(r.Context(), "c", "test")
			r.ok(err)
		},
		"moved to another account": func(r *testLedger) {
			f := r.routed("c", 6, 3, 3)
			c := r.claim("c", "0.0", 0, 0, keyed, long)
			r.settle(c, campaign.SettleAnswer, accepted("a"), rejected("no_credit"), refusedForNow())
			r.move("c", "0.0", f, 1)
		},
	}
	for name, prepare := range states {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newTestLedger(t)
			prepare(r)
			rows := r.rows("c")
			for _, want := range rows {
				got := r.search(msisdnOfRow(want.Row))
				if len(got) != 1 || got[0].Recipients != len(rows) || got[0].More || got[0].Unreadable != nil {
					t.Fatalf("row %d: got %+v, want one campaign of %d recipients", want.Row, got, len(rows))
				}
				want.MSISDN = msisdnOfRow(want.Row) // for a recipient that was never planned, Results returns no MSISDN
				if diff := cmp.Diff([]Row{want}, foundRows(got[0])); diff != "" {
					t.Errorf("row %d: (-results +search)\n%s", want.Row, diff)
				}
				if got[0].Found[0].Text != "Habari" {
					t.Errorf("row %d: got the text %q, want Habari", want.Row, got[0].Found[0].Text)
				}
			}
			if got := r.search(254799999999); len(got) != 1 || len(got[0].Found) != 0 {
				t.Errorf("a number that is in no campaign: got %+v, want nothing found", got)
			}
		})
	}
}

func TestSearch_TextsOfACampaignWithMergeFields(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	u, err := r.BeginUpload("c", campaign.Spec{Body: "Hi {{name|there}}", Fields: []string{"name"}})
	r.ok(err)
	for row, name := range []string{"Ann", "Ben", "", "Ann"} {
		r.ok(u.Add(t.Context(), msisdnOfRow(row+1).E164(), name))
	}
	_, err = u.Commit(t.Context())
	r.ok(err)
	// Rows 1 and 4 share a call. The search must return the text of this call, not a text rendered
	// from the uploaded value.
	_, _, err = r.startPlan("c", 1).CommitPage(t.Context(), script.NewToken(), campaign.PlannedPage{First: 1, OpenBatchLimits: map[int]int{0: 1},
		Batches: []campaign.PlannedBatch{{Calls: []int{2, 1}, Bodies: []string{"Hi Ann!", "Hi Ben!"}, To: append(append(plannedRows(1, 1), plannedRows(4, 1)...), plannedRows(2, 1)...)}},
		Skipped: []campaign.SkippedRecipient{{Row: 3, Reason: campaign.ReasonOptedOut}}})
	r.ok(err)
	for row, want := range map[int]string{1: "Hi Ann!", 2: "Hi Ben!", 3: "Hi there", 4: "Hi Ann!"} {
		if got := r.search(msisdnOfRow(row)); len(got[0].Found) != 1 || got[0].Found[0].Text != want {
			t.Errorf("row %d: got %+v, want the text %q", row, got[0].Found, want)
		}
	}
}

func TestSearch_NewestFirstInEveryFormAndOnlyWholeCampaigns(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for i, inputs := range [][]string{{"+254712345678"}, {"0712 345 678", "1"}, {"712345678.0", "254712345678", "0722000000"}, {"0712345678"}} {
		id := fmt.Sprintf("c%d", i)
		_, err := r.upload(id, campaign.Spec{Body: "x", Country: map[bool]string{true: "KE"}[i < 3]}, inputs...).Commit(t.Context())
		r.ok(err)
		r.age(id, time.Duration(10-i)*time.Hour)
	}
	open := r.upload("open", campaign.Spec{Body: "x"}, "+254712345678")
	r.ok(open.flush(t.Context(), 1))
	r.ok(open.waitForWrite())
	summarise := func(all []Searched) (out []string) {
		for _, x := range all {
			line := x.Position.ID
			for _, f := range x.Found {
				line += fmt.Sprintf(" %d:%s", f.Row.Row, f.Input)
			}
			out = append(out, line)
		}
		return out
	}
	want := []string{"c3 1:0712345678", "c2 1:712345678.0 2:254712345678", "c1 1:0712 345 678", "c0 1:+254712345678"}
	if diff := cmp.Diff(want, summarise(r.search(254712345678, "KE"))); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	// Campaign c3 has a national number and names no country. Without a default country, the search
	// cannot read this number, so it finds no row in c3.
	want[0] = "c3"
	all := r.search(254712345678)
	if diff := cmp.Diff(want, summarise(all)); diff != "" {
		t.Errorf("without a default country: (-want +got)\n%s", diff)
	}
	var rest []Searched
	for x, err := range NewSearch(r.Ledger, 254712345678, nil).After(t.Context(), all[1].Position) {
		r.ok(err)
		rest = append(rest, x)
	}
	if diff := cmp.Diff(want[2:], summarise(rest)); diff != "" {
		t.Errorf("after c2: (-want +got)\n%s", diff)
	}
}

func TestSearch_ContinuesAfterAnUnreadableCampaign(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for i, field := range []string{"b0.0", "r0.0.0", pageField(0), ""} {
		id := fmt.Sprintf("c%d", i)
		r.inHalves(id)
		r.age(id, time.Duration(i)*time.Hour)
		if field != "" {
			r.corrupt(id, field, func(string) string { return "\xf0" })
		}
	}
	all := r.search(msisdnOfRow(1))
	if len(all) != 4 {
		t.Fatalf("got %d campaigns, want 4", len(all))
	}
	for i, x := range all {
		if broken := i < 3; (AsUnreadable(x.Unreadable) != nil) != broken || (len(x.Found) == 0) != broken {
			t.Errorf("campaign %d: got %+v, want unreadable: %v", i, x, broken)
		}
	}
}

func TestSearch_BoundsTheRowsOfOneCampaign(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	for id, n := range map[string]int{"full": MaxFound, "over": MaxFound + 1, "pages": 2 * campaign.MaxPageRows} {
		_, err := r.upload(id, campaign.Spec{Body: "x"}, slices.Repeat([]string{"+254712345678"}, n)...).Commit(t.Context())
		r.ok(err)
	}
	for _, x := range r.search(254712345678) {
		if want := x.Position.ID != "full"; len(x.Found) != MaxFound || x.More != want {
			t.Errorf("%s: got %d rows and more: %v, want %d and %v", x.Position.ID, len(x.Found), x.More, MaxFound, want)
		}
	}
}

// A number can be written in many ways. If ParseMSISDN reads a text as a number, mayBe must return
// true for this text and this number.
func TestMayBe_IsTrueForEveryFormOfTheNumber(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(3, 4))
	national := []string{"0712345678", "712345678", "254712345678", "+254712345678", "00254712345678", "2540712345678", "08031234000", "2348031234000", "+447911123456", "256772123450"}
	fill := []string{" ", "-", ".", "/", "(", ")", "\u00a0", "\u2011", "\u200b", "", "", "", ""}
	before := []string{"", "", " ", "tel:", "p:", "wa.me/", "'", "\"", "mobile: ", "="}
	after := []string{"", "", " ", ".0", ".00", ",0", "'", "\"", "\t", ".", ";"}
	read := 0
	for range 15_000 {
		var b strings.Builder
		b.WriteString(before[random.IntN(len(before))])
		for _, d := range national[random.IntN(len(national))] {
			if d >= '0' && random.IntN(30) == 0 {
				d += '٠' - '0' // an Arabic digit
			}
			b.WriteRune(d)
			b.WriteString(fill[random.IntN(len(fill))])
		}
		b.WriteString(after[random.IntN(len(after))])
		for _, country := range []string{"KE", "NG", "UG", "GB", ""} {
			m, err := sms.ParseMSISDN(b.String(), country)
			if err != nil {
				continue
			}
			if read++; !mayBe(b.String(), m) {
				t.Fatalf("mayBe(%q, %d) = false, but ParseMSISDN reads this number in country %q", b.String(), m, country)
			}
		}
	}
	if read < 5_000 {
		t.Errorf("only %d forms were numbers; the test proves little", read)
	}
	for input, want := range map[string]bool{"254712345678": true, "254712345679": false, "254712345678000": false, "5678": true, "678": false, "": false, "n/a": false} {
		if got := mayBe(input, 254712345678); got != want {
			t.Errorf("mayBe(%q, 254712345678) = %v, want %v", input, got, want)
		}
	}
}
