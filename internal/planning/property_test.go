package planning_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/planning"
	"github.com/tuma-sms/tuma/providers"
	"github.com/tuma-sms/tuma/sms"
)

// randomCampaign is a randomly drawn campaign with its recipients.
type randomCampaign struct {
	spec     campaign.Spec
	snapshot campaign.PlanSnapshot
	pages    []campaign.Page
}

func drawCampaign(t *rapid.T) randomCampaign {
	var w randomCampaign
	w.spec = drawSpec(t)
	for i := range rapid.IntRange(1, 3).Draw(t, "accounts") {
		card := campaign.Card{Name: fmt.Sprintf("a%d", i), Unit: rapid.SampledFrom([]string{campaign.UnitMessages, campaign.UnitSegments, campaign.UnitRequests}).Draw(t, "unit"),
			Rate: rapid.SampledFrom([]float64{0, 0.1, 2, 1000}).Draw(t, "rate"),
			Info: providers.Info{MaxRecipients: rapid.SampledFrom([]int{1, 2, 7, 100, 500}).Draw(t, "most"),
				MaxChars: rapid.SampledFrom([]int{0, 20, 160, 905}).Draw(t, "characters"), MaxSegments: rapid.SampledFrom([]int{0, 1, 2, 6}).Draw(t, "segments")}}
		a := planning.Account(card, w.spec, rapid.SampledFrom([]int{0, 60, 20_000, 1_000_000}).Draw(t, "recipients"), rapid.SampledFrom([]int{0, 8, 64}).Draw(t, "slots"))
		a.Held = rapid.IntRange(0, 3).Draw(t, "held") == 0
		w.snapshot.Accounts = append(w.snapshot.Accounts, a)
	}
	w.snapshot.Country = "KE"
	if rapid.Bool().Draw(t, "routes") {
		for _, match := range []string{"25471", "2547", "234"} {
			var via []string
			for _, a := range rapid.Permutation(w.snapshot.Accounts).Draw(t, "via") {
				via = append(via, a.Name)
			}
			w.snapshot.Routes = append(w.snapshot.Routes, campaign.Route{Match: match, Via: via[:rapid.IntRange(0, len(via)).Draw(t, "accounts of the route")]})
		}
	}
	if rapid.Bool().Draw(t, "windows") {
		w.snapshot.SendingHours = []campaign.CountryHours{{Country: "KE", Hours: "08:00-18:00"}}
	}
	w.pages = drawPages(t, w.spec)
	return w
}

func drawSpec(t *rapid.T) campaign.Spec {
	pieces := []string{"Habari ", "{{name}}", "{{name|there}}", "{{name:first:upper|you}}", "{{city}}", "{{city|}}", "{{city:max:3}}", ", ", "€", "ŝ", "😀", "₦", "‘",
		"{{{{", strings.Repeat("x", 70), strings.Repeat("long ", 200)}
	s := campaign.Spec{Body: "x" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 0, 6).Draw(t, "body"), "")}
	if rapid.IntRange(0, 9).Draw(t, "blank but for fields") == 0 {
		s.Body = "{{name}} "
	}
	template, err := sms.ParseTemplate(s.Body)
	if err != nil {
		t.Fatal(err)
	}
	s.Fields = template.Fields()
	s.OnMissing = rapid.SampledFrom([]string{"", campaign.MissingSkip, campaign.MissingDefault}).Draw(t, "on missing")
	s.Transliterate = s.Personalized() && rapid.Bool().Draw(t, "transliterate")
	if s.Personalized() {
		s.Duplicates = rapid.SampledFrom([]string{"", campaign.DuplicatesEach}).Draw(t, "duplicates")
	}
	s.MaxMessages = rapid.SampledFrom([]int{0, 0, 5, 100}).Draw(t, "messages")
	s.MaxSegments = rapid.SampledFrom([]int{0, 0, 9, 200}).Draw(t, "segments in all")
	s.Canary = rapid.SampledFrom([]int{0, 0, 1, 60}).Draw(t, "canary")
	return s
}

func drawPages(t *rapid.T, s campaign.Spec) (pages []campaign.Page) {
	values := rapid.SampledFrom([]string{"Amina", "Amina Wanjiru", "Juma", "Ọláyínká", "", "  ", "#N/A", strings.Repeat("né", 60), strings.Repeat("y", 1000)})
	distinct := rapid.Bool().Draw(t, "all names differ")
	row := 1
	for n := range rapid.IntRange(1, 5).Draw(t, "pages") {
		page := campaign.Page{Number: n, First: row}
		for range rapid.IntRange(1, 400).Draw(t, "rows") {
			page.Inputs = append(page.Inputs, drawNumber(t, row))
			if s.Personalized() {
				mine := make([]string, len(s.Fields))
				for i := range mine {
					if mine[i] = values.Draw(t, "value"); distinct && strings.TrimSpace(mine[i]) != "" {
						mine[i] += fmt.Sprint(" ", row)
					}
				}
				if rapid.IntRange(0, 99).Draw(t, "too long") == 0 {
					mine = nil
				}
				page.Values = append(page.Values, mine)
			}
			row++
		}
		pages = append(pages, page)
	}
	return pages
}

func drawNumber(t *rapid.T, row int) string {
	switch rapid.IntRange(0, 19).Draw(t, "number") {
	case 0:
		return "n/a"
	case 1:
		return "0712000001"
	case 2:
		return fmt.Sprintf("23480%08d", row)
	case 3:
		return fmt.Sprintf("+2567%08d", row)
	case 4:
		return fmt.Sprintf("0722%06d", row%10)
	}
	return fmt.Sprintf("0710%06d", row)
}

// The method "plan" plans the whole campaign. Before each page except the first, it calls the
// function takesOver. If takesOver returns true, another planner plans this page.
func (w randomCampaign) plan(t *rapid.T, takesOver func() bool) (out []campaign.PlannedPage) {
	p, err := planning.New(w.spec, w.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	for n, page := range w.pages {
		if n > 0 && takesOver() {
			p = w.takeOver(t, out)
		}
		out = append(out, p.Page(page, n+1 == len(w.pages)))
	}
	return out
}

// takeOver returns a planner that continues the plan of earlier planners. The parameter "out"
// has the pages that these planners have committed.
func (w randomCampaign) takeOver(t *rapid.T, out []campaign.PlannedPage) *planning.Planner {
	p, err := planning.New(w.spec, w.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	segments := 0
	for _, page := range out {
		for _, b := range page.Batches {
			to := b.To
			for k, n := range b.Calls {
				body := ""
				if b.Bodies != nil {
					body = b.Bodies[k]
					s, _ := sms.Segments(body)
					segments += n * s
				}
				for _, x := range to[:n] {
					p.Remember(x, body)
				}
				to = to[n:]
			}
		}
	}
	var carry [][]campaign.Call // the carried-over calls, in the form that Redis stores
	for _, calls := range out[len(out)-1].Carry {
		var stream []campaign.Call
		for _, c := range calls {
			for _, x := range c.To {
				p.Remember(x, "")
			}
			if w.spec.Personalized() || len(stream) == 0 {
				stream = append(stream, campaign.Call{Values: c.Values, To: slices.Clone(c.To)})
			} else {
				stream[0].To = append(stream[0].To, c.To...)
			}
		}
		carry = append(carry, stream)
	}
	if err := p.Resume(carry, segments); err != nil {
		t.Fatal(err)
	}
	return p
}

// rowOutcome is the expected result for a row. The test computes it row by row, without batches.
type rowOutcome struct {
	reason, body string
	otherText    bool
	stream       int
	msisdn       sms.MSISDN
}

func (w randomCampaign) oracle(t *rapid.T) []rowOutcome {
	template, err := sms.ParseTemplate(w.spec.Body)
	if err != nil {
		t.Fatal(err)
	}
	var out []rowOutcome
	seen := map[sms.MSISDN][]string{} // the texts that each number has got so far
	count, segments := 0, 0
	for _, page := range w.pages {
		for i, input := range page.Inputs {
			var values []string
			if w.spec.Personalized() {
				values = page.Values[i]
			}
			f := w.outcomeOf(template, input, values, seen)
			if f.reason == "" {
				body := f.body
				if !w.spec.Personalized() {
					body = w.spec.Body
				}
				n, _ := sms.Segments(body)
				if w.spec.MaxMessages > 0 && count == w.spec.MaxMessages || w.spec.MaxSegments > 0 && segments+n > w.spec.MaxSegments {
					f.reason = campaign.ReasonOverCap
				} else {
					seen[f.msisdn] = append(seen[f.msisdn], f.body)
					count, segments = count+1, segments+n
				}
			}
			out = append(out, f)
		}
	}
	return out
}

func (w randomCampaign) outcomeOf(template *sms.Template, input string, values []string, seen map[sms.MSISDN][]string) (f rowOutcome) {
	var err error
	if f.msisdn, err = sms.ParseMSISDN(input, "KE"); err != nil {
		return rowOutcome{reason: campaign.ReasonInvalidNumber}
	}
	unsendable := w.render(template, values, &f)
	texts, again := seen[f.msisdn]
	each := w.spec.Duplicates == campaign.DuplicatesEach
	switch same := slices.Contains(texts, f.body); {
	case again && !each:
		return rowOutcome{reason: campaign.ReasonDuplicate, otherText: unsendable == "" && !same}
	case unsendable != "":
		return rowOutcome{reason: unsendable}
	case again && same:
		return rowOutcome{reason: campaign.ReasonDuplicate}
	}
	account, reason := w.accountOf(f.msisdn, f.body)
	if reason != "" {
		return rowOutcome{reason: reason}
	}
	f.stream = account
	if len(w.snapshot.SendingHours) > 0 && f.msisdn.Country() == "KE" {
		f.stream += len(w.snapshot.Accounts)
	}
	return f
}

// render sets the body in the outcome f. If the recipient has no body, render returns the reason.
func (w randomCampaign) render(template *sms.Template, values []string, f *rowOutcome) (reason string) {
	if !w.spec.Personalized() {
		return ""
	}
	if values == nil {
		return campaign.ReasonBodyTooLong
	}
	body, missing := template.Render(nil, func(field string) string { return values[slices.Index(w.spec.Fields, field)] })
	f.body = string(body)
	if w.spec.Transliterate {
		f.body, _ = sms.Transliterate(f.body)
	}
	if missing != "" && w.spec.OnMissing != campaign.MissingDefault || strings.TrimSpace(f.body) == "" {
		return campaign.ReasonMissingField
	}
	return ""
}

func (w randomCampaign) accountOf(m sms.MSISDN, body string) (int, string) {
	via := []string{w.snapshot.Accounts[0].Name}
	if len(w.snapshot.Routes) > 0 {
		i := slices.IndexFunc(w.snapshot.Routes, func(r campaign.Route) bool { return len(r.Via) > 0 && strings.HasPrefix(m.String(), r.Match) })
		if i < 0 {
			return 0, campaign.ReasonNoRoute
		}
		via = w.snapshot.Routes[i].Via
	}
	for _, held := range []bool{false, true} {
		for _, name := range via {
			i := slices.IndexFunc(w.snapshot.Accounts, func(a campaign.SnapshotAccount) bool { return a.Name == name })
			if w.fits(i, body) && (len(w.snapshot.Routes) == 0 || w.snapshot.Accounts[i].Held == held) {
				return i, ""
			}
		}
	}
	return 0, campaign.ReasonBodyTooLong
}

func (w randomCampaign) fits(account int, body string) bool {
	a := w.snapshot.Accounts[account]
	segments, _ := sms.Segments(body)
	return (a.MaxChars == 0 || sms.CodeUnits(body) <= a.MaxChars) && (a.MaxSegments == 0 || segments <= a.MaxSegments)
}

// The following holds for all bodies and all sets of recipients. Each recipient is in exactly one
// call, or is skipped for the right reason. Each call has one body, which is the body rendered for
// each of its recipients. No call, batch or record exceeds the limits of its gateway, its account
// or Redis.
func TestPlan_CallsPartitionTheRecipients(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		w := drawCampaign(t)
		want := w.oracle(t)
		once := w.plan(t, func() bool { return false })
		again := w.plan(t, func() bool { return rapid.Bool().Draw(t, "another planner") })
		if diff := cmp.Diff(once, again, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("another planner made a different plan: %s", diff)
		}
		got := make([]string, len(want)) // for each row, the result in the plan
		for n, page := range once {
			for _, x := range page.Skipped {
				got[x.Row-1] += x.Reason
				if f := want[x.Row-1]; f.reason != x.Reason || f.otherText != (x.Code == campaign.CodeOtherText) {
					t.Fatalf("row %d: skipped with reason %s and code %q, want %+v", x.Row, x.Reason, x.Code, f)
				}
			}
			for _, b := range page.Batches {
				w.checkBatch(t, b, want, got)
			}
			carried, size := 0, 0
			for _, calls := range page.Carry {
				carried += len(calls)
				size += campaign.CarrySize(calls)
			}
			if size > campaign.MaxBodies || n+1 == len(once) && carried > 0 {
				t.Fatalf("%d bytes and %d calls are carried over from page %d of %d; want at most %d bytes, and none from the last page", size, carried, n, len(once), campaign.MaxBodies)
			}
		}
		for i, x := range got {
			if f := want[i]; x != f.reason && x != "sent" || x == "sent" && f.reason != "" {
				t.Fatalf("row %d: got %q, want %+v", i+1, x, f)
			}
		}
		w.checkCanary(t, once)
	})
}

func (w randomCampaign) checkBatch(t *rapid.T, b campaign.PlannedBatch, want []rowOutcome, got []string) {
	a := w.snapshot.Stream(b.Stream).Account
	text, at, halfFull := 0, 0, map[string]bool{}
	for _, body := range b.Bodies {
		text += len(body) + 4
	}
	if len(b.Calls) > 1 && (len(b.To) > a.BatchSize || a.Calls > 0 && len(b.Calls) > a.Calls) || text > campaign.MaxBodies || len(b.Bodies) > 0 != w.spec.Personalized() {
		t.Fatalf("batch with %d calls, %d recipients and %d bodies of %d bytes does not fit account %+v", len(b.Calls), len(b.To), len(b.Bodies), text, a)
	}
	for k, n := range b.Calls {
		body := ""
		if w.spec.Personalized() {
			body = b.Bodies[k]
		}
		if n < 1 || n > a.MaxRecipients || w.spec.Personalized() && !w.fits(b.Stream%len(w.snapshot.Accounts), body) {
			t.Fatalf("call with %d recipients and %d characters in %q does not fit account %+v", n, sms.CodeUnits(body), body, a)
		}
		if n < a.CallSize() && halfFull[body] {
			t.Fatalf("a batch has two calls for %q", body)
		}
		halfFull[body] = halfFull[body] || n < a.CallSize()
		for _, x := range b.To[at : at+n] {
			got[x.Row-1] += "sent"
			if f := want[x.Row-1]; f.reason != "" || f.msisdn != x.MSISDN || f.stream != b.Stream || f.body != body {
				t.Fatalf("row %d: got body %q to %s in stream %d, want %+v", x.Row, body, x.MSISDN, b.Stream, f)
			}
		}
		at += n
	}
	if at != len(b.To) {
		t.Fatalf("the calls hold %d of %d recipients; want all", at, len(b.To))
	}
}

// checkCanary checks that the first batches hold exactly the canary. The canary consists of the
// first recipients that are not skipped.
func (w randomCampaign) checkCanary(t *rapid.T, pages []campaign.PlannedPage) {
	var order []int
	for _, p := range pages {
		for _, b := range p.Batches {
			n := len(order)
			for _, x := range b.To {
				order = append(order, x.Row)
			}
			if n < w.spec.Canary && len(order) > w.spec.Canary {
				t.Fatalf("a batch has recipients of the canary and other recipients; want only one kind")
			}
		}
	}
	n := min(w.spec.Canary, len(order))
	if rest := slices.Clone(order); n > 0 && n < len(order) && slices.Max(rest[:n]) > slices.Min(rest[n:]) {
		t.Fatalf("the canary's %d recipients do not have the lowest rows; want the first recipients", n)
	}
}
