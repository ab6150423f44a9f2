package ledger

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tuma-sms/tuma/internal/campaign"
	"github.com/tuma-sms/tuma/internal/script"
	"github.com/tuma-sms/tuma/sms"
)

// personalizedPage encodes a page as an upload with merge fields writes it.
func personalizedPage(inputs []string, values [][]string) []byte {
	var raw []byte
	for i, input := range inputs {
		raw = append(append(raw, byte(len(input))), input...)
		raw = campaign.AppendValues(raw, values[i])
	}
	return compressPersonalized(raw)
}

func TestUploadPage_ValuesRoundTrip(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		inputs []string
		values [][]string
	}{
		"one":       {[]string{"0712345678"}, [][]string{{"Amina"}}},
		"blank":     {[]string{"", "1"}, [][]string{{"", ""}, {"", "x"}}},
		"too long":  {[]string{"1", "2"}, [][]string{nil, {"x"}}},
		"of a page": {make([]string, campaign.MaxPageRows), func() [][]string { v := make([][]string, campaign.MaxPageRows); v[999] = []string{"é\n"}; return v }()},
	} {
		inputs, values, err := decodeRows(personalizedPage(x.inputs, x.values))
		if err != nil || !cmp.Equal(inputs, x.inputs) || !cmp.Equal(values, x.values) {
			t.Errorf("%s decoded as %q %q, %v; want the encoded values", name, inputs, values, err)
		}
	}
	if inputs, values, err := decodeRows(encodedPage("1", "2")); err != nil || values != nil || !cmp.Equal(inputs, []string{"1", "2"}) {
		t.Errorf("a plain page decoded as %q %q, %v; want inputs 1 and 2 without values", inputs, values, err)
	}
	if _, err := decodePage(personalizedPage([]string{"1"}, [][]string{{"x"}})); !errors.Is(err, ErrNewer) {
		t.Errorf("decodePage of a page with values: got %v, want ErrNewer", err)
	}
}

func TestUploadPage_TooLongValuesAreNotKept(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", campaign.MaxValue)
	many := make([]string, 10)
	for i := range many {
		many[i] = long[:campaign.MaxValues/10]
	}
	for name, x := range map[string]struct {
		values []string
		kept   bool
	}{
		"as long as one may be": {[]string{"a", long}, true},
		"longer":                {[]string{"a", long + "x"}, false},
		"too long together":     {many, false},
		"blank":                 {[]string{""}, true},
	} {
		if got := keptValues(x.values); (got != nil) != x.kept {
			t.Errorf("%s: keptValues kept the values: %t, want the contrary", name, got != nil)
		}
	}
}

func TestBatchBodies_RoundTrip(t *testing.T) {
	t.Parallel()
	for _, bodies := range [][]string{{"x"}, {"Habari Amina", "Habari Juma"}, {strings.Repeat("é", 8<<10), "y"}} {
		got, err := decodeBodies(encodeBodies(bodies), len(bodies))
		if err != nil || !cmp.Equal(got, bodies) {
			t.Errorf("%d bodies decoded as %d, %v; want the same bodies", len(bodies), len(got), err)
		}
		if _, err := decodeBodies(encodeBodies(bodies), len(bodies)+1); !errors.Is(err, campaign.ErrRecord) {
			t.Errorf("bodies decoded for another number of calls: got %v, want errRecord", err)
		}
	}
	for name, b := range map[string][]byte{"none": nil, "cut": encodeBodies([]string{"abc"})[:3], "an empty one": {0, 1, 0}, "more": {0, 1, 1, 'x', 'y'}} {
		if got, err := decodeBodies(b, 1); !errors.Is(err, campaign.ErrRecord) {
			t.Errorf("%s: got %q, %v; want errRecord", name, got, err)
		}
	}
}

func TestBatchBodies_HaveTheirOwnFormat(t *testing.T) {
	t.Parallel()
	plain := campaign.PlannedBatch{Calls: []int{2}, To: plannedRows(1, 2)}
	own := plain
	own.Bodies = []string{"Habari"}
	batch, bodies := batchRecords(plain)
	if !cmp.Equal(batch, encodeBatch(plain.Calls, plain.To)) || bodies != nil {
		t.Errorf("a plain batch is %x with bodies %x, want the plain format without bodies", batch, bodies)
	}
	batch, bodies = batchRecords(own)
	if batch[0] == formatPlain || bodies == nil {
		t.Errorf("a batch with bodies is %x with bodies %x, want another format and bodies", batch, bodies)
	}
	for name, bad := range map[string]any{"no bodies": nil, "bodies cut short": string(bodies[:2])} {
		_, err := readBatch("c", "0.1", string(batch), bad)
		if u := AsUnreadable(err); u == nil || u.Record != "t0.1" {
			t.Errorf("%s: got %v, want an Unreadable of the record t0.1", name, err)
		}
	}
}

func TestCarry_ValuesRoundTrip(t *testing.T) {
	t.Parallel()
	carry := [][]campaign.Call{{{Values: []string{"Amina", ""}, To: plannedRows(1, 3)}, {Values: []string{"Juma", "x"}, To: plannedRows(9, 1)}}, nil, {{Values: []string{"", ""}, To: plannedRows(20, 40)}}}
	got, err := decodeCarry(encodeCarry(carry), len(carry), true)
	if err != nil || !cmp.Equal(got, carry, cmpopts.EquateEmpty()) {
		t.Errorf("%v decoded as %v, %v; want the same", carry, got, err)
	}
	sum := 0
	for _, c := range carry {
		sum += campaign.CarrySize(c)
	}
	var raw []byte
	for _, c := range carry {
		raw = campaign.AppendCarry(raw, c)
	}
	if sum != len(raw) {
		t.Errorf("the streams take %d bytes in sum, want %d as encoded together", sum, len(raw))
	}
}

func FuzzDecodeRows(f *testing.F) {
	f.Add(personalizedPage([]string{"0712345678", ""}, [][]string{{"Amina", ""}, nil}))
	f.Add(encodedPage("1", "2"))
	f.Fuzz(func(t *testing.T, b []byte) {
		inputs, values, err := decodeRows(b)
		if err != nil || values == nil {
			return
		}
		if len(inputs) != len(values) || len(inputs) > campaign.MaxPageRows {
			t.Fatalf("%d rows and %d lists of values, want equally many and at most MaxPageRows", len(inputs), len(values))
		}
		for i, v := range values {
			if len(v) > sms.MaxMergeFields || len(inputs[i]) > 127 {
				return // an upload never writes a page beyond these limits
			}
		}
		i2, v2, err := decodeRows(personalizedPage(inputs, values))
		if err != nil || !cmp.Equal(inputs, i2) || !cmp.Equal(values, v2) {
			t.Fatalf("%q %q encoded and decoded again as %q %q, %v; want the same", inputs, values, i2, v2, err)
		}
	})
}

func FuzzDecodeBodies(f *testing.F) {
	f.Add(encodeBodies([]string{"Habari Amina", "Habari Juma"}), 2)
	f.Fuzz(func(t *testing.T, b []byte, calls int) {
		calls &= 0xff
		got, err := decodeBodies(b, calls)
		if err != nil || len(got) == 0 {
			return
		}
		again, err := decodeBodies(encodeBodies(got), calls)
		if err != nil || !cmp.Equal(got, again) {
			t.Fatalf("%q encoded and decoded again as %q, %v; want the same", got, again, err)
		}
	})
}

// The results of a campaign with merge fields are in the order of the rows, although its batches
// are not.
func TestResults_OrderedWhenPersonalizedBatchesAreNot(t *testing.T) {
	t.Parallel()
	r := newTestLedger(t)
	u, err := r.BeginUpload("c", campaign.Spec{Body: "Habari {{n}}", Fields: []string{"n"}})
	r.ok(err)
	const rows = 2500
	for range rows {
		r.ok(u.Add(t.Context(), "0712345678", "Amina"))
	}
	_, err = u.Commit(t.Context())
	r.ok(err)
	p := r.startPlan("c", 1)
	for n := range 3 {
		page := campaign.PlannedPage{Page: n, First: n*campaign.MaxPageRows + 1, OpenBatchLimits: map[int]int{0: 1}}
		if n == 2 {
			two := "ŝ" + strings.Repeat("x", 80)
			page.Batches = []campaign.PlannedBatch{{Calls: []int{1000, 999}, To: append(plannedRows(1501, 1000), plannedRows(2, 999)...), Bodies: []string{"a", two}},
				{Calls: []int{1, 500}, To: append(plannedRows(1, 1), plannedRows(1001, 500)...), Bodies: []string{two, "b"}}}
		}
		_, _, err := p.CommitPage(t.Context(), script.NewToken(), page)
		r.ok(err)
	}
	for after := range 2 {
		want := after * 1200
		for x, err := range r.ResultsAfter(t.Context(), "c", want) {
			r.ok(err)
			if want++; x.Row != want || x.MSISDN != plannedRows(want, 1)[0].MSISDN {
				t.Fatalf("got row %d of %s, want row %d", x.Row, x.MSISDN, want)
			}
		}
		if want != rows {
			t.Errorf("%d rows read, want all", want)
		}
	}
}
