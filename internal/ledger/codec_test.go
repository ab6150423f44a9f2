package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/tuma-sms/tuma/internal/campaign"
)

func encodedPage(inputs ...string) []byte {
	var b []byte
	for _, s := range inputs {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return compress(b)
}

func TestUploadPage_RoundTrip(t *testing.T) {
	t.Parallel()
	for _, inputs := range [][]string{{}, {""}, {"+254700000001"}, {"", "\x00\xff", strings.Repeat("9", campaign.MaxInput)}, strings.Split(strings.Repeat("0712345678,", 999), ",")} {
		got, err := decodePage(encodedPage(inputs...))
		if err != nil || !cmp.Equal(got, inputs, cmpopts.EquateEmpty()) {
			t.Errorf("%d inputs decoded as %d, %v; want the same inputs", len(inputs), len(got), err)
		}
	}
	if _, err := decodePage(encodedPage(make([]string, campaign.MaxPageRows+1)...)); !errors.Is(err, campaign.ErrRecord) {
		t.Errorf("decoding a page of too many rows: got %v, want errRecord", err)
	}
}

func TestSkipped_RoundTrip(t *testing.T) {
	t.Parallel()
	rows := []campaign.SkippedRecipient{{Row: 2001, Reason: campaign.ReasonInvalidNumber, Code: "too_short"}, {Row: 2002, Reason: campaign.ReasonDuplicate},
		{Row: 2500, Reason: campaign.ReasonInvalidNumber, Code: "a:b"}, {Row: 3000, Reason: campaign.ReasonInvalidNumber, Code: "too_short"}}
	got, err := decodeSkipped(2000, encodeSkipped(2000, rows))
	if err != nil || !cmp.Equal(got, rows) {
		t.Errorf("decoded as %v, %v; want the encoded rows", got, err)
	}
	if b := encodeSkipped(7, nil); b != nil {
		t.Errorf("an empty list of skipped recipients takes %d bytes, want 0", len(b))
	}
}

func TestBatch_RoundTrip(t *testing.T) {
	t.Parallel()
	for name, b := range map[string]Batch{
		"one":                 {Calls: []int{1}, To: plannedRows(1, 1)},
		"several calls":       {Calls: []int{2, 1, 4}, To: plannedRows(90, 7)},
		"not in order of row": {Calls: []int{3}, To: []campaign.Planned{{Row: 9, MSISDN: 2}, {Row: 3, MSISDN: 999999999999999}, {Row: 1 << 40, MSISDN: 1}}},
		"full":                {Calls: []int{500}, To: plannedRows(1, 500)},
	} {
		calls, to, err := decodeBatch(encodeBatch(b.Calls, b.To))
		if err != nil || !cmp.Equal(calls, b.Calls) || !cmp.Equal(to, b.To) {
			t.Errorf("%s decoded as %v %v, %v; want the encoded batch", name, calls, to, err)
		}
	}
}

func TestCarry_RoundTrip(t *testing.T) {
	t.Parallel()
	for _, carry := range [][][]campaign.Call{plainCarry(nil), plainCarry(nil, nil, nil), plainCarry(plannedRows(1, 3), nil, plannedRows(4, 499)), plainCarry(nil, plannedRows(7, 1))} {
		got, err := decodeCarry(encodeCarry(carry), len(carry), false)
		if err != nil || !cmp.Equal(got, carry, cmpopts.EquateEmpty()) {
			t.Errorf("%v decoded as %v, %v; want the same", carry, got, err)
		}
	}
	if b := encodeCarry([][]campaign.Call{nil, {}}); b != nil {
		t.Errorf("an empty carry takes %d bytes, want 0", len(b))
	}
}

func TestRecord_RoundTrip(t *testing.T) {
	t.Parallel()
	const id = "0191d7a0-aaaa-7000-8000-00000000000f"
	for name, r := range map[string]campaign.Record{
		"nothing":          {},
		"all of it":        {Status: campaign.Accepted, Generation: 258, MessageID: "ATXid_1", Reason: "why", Code: "100", Cost: "0.8000", Currency: "KES"},
		"a uuid":           {Status: campaign.Delivered, MessageID: id},
		"an upper-case id": {Status: campaign.Accepted, MessageID: strings.ToUpper(id)},
		"a urn":            {Status: campaign.Accepted, MessageID: "urn:uuid:" + id},
		"one of 127 bytes": {Status: campaign.Accepted, MessageID: strings.Repeat("a", 127)},
		"one of 128 bytes": {Status: campaign.Accepted, MessageID: strings.Repeat("a", 128)},
		"one of 246 bytes": {Status: campaign.Rejected, Reason: strings.Repeat("a", 246)},
	} {
		b := appendRecord(nil, r)
		got, err := decodeRecords(b, 1)
		if err != nil || !cmp.Equal(got, []campaign.Record{r}, cmpopts.IgnoreUnexported(campaign.Record{})) {
			t.Errorf("%s decoded as %+v, %v; want the encoded record", name, got, err)
		}
	}
	if n := len(appendRecord(nil, campaign.Record{Status: campaign.Accepted, MessageID: id})); n != 21 {
		t.Errorf("an accepted message with a uuid takes %d bytes, want 21", n)
	}
}

func TestRecord_LongDetailsAreCut(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 1000)
	b := appendRecord(nil, campaign.Record{Status: campaign.Accepted, MessageID: "id", Reason: long, Code: long, Cost: long})
	if len(b) > 2+maxDetail {
		t.Errorf("the record takes %d bytes, want at most 2+maxDetail", len(b))
	}
	got, err := decodeRecords(b, 1)
	if err != nil || got[0].MessageID != "id" || !strings.HasPrefix(long, got[0].Reason) || got[0].Reason == "" {
		t.Errorf("the record decoded as %+v, %v; want the id, and the start of the long reason", got, err)
	}
}

func TestRecord_DamagedBytesAreAnError(t *testing.T) {
	t.Parallel()
	good := appendRecord(nil, campaign.Record{Status: campaign.Accepted, MessageID: "id"})
	for name, b := range map[string][]byte{
		"cut":                good[:len(good)-1],
		"more than expected": append(append([]byte{}, good...), good...),
		"an unknown status":  {9, 0},
		"a detail of one":    {3, 1, 0},
		"a tag cut":          {3, 4, 0, 0, 2, 9},
		"a uuid cut":         {3, 4, 0, 0, 1, 9},
	} {
		if got, err := decodeRecords(b, 1); !errors.Is(err, campaign.ErrRecord) {
			t.Errorf("%s: got %v, %v; want errRecord", name, got, err)
		}
	}
	if got, err := decodeRecords(nil, 3); err != nil || len(got) != 3 || got[2].Status != campaign.Pending {
		t.Errorf("nothing stored: got %v, %v; want three pending records", got, err)
	}
}

func TestDecode_NewerFormatIsErrNewer(t *testing.T) {
	t.Parallel()
	newer := []byte{7, 1, 2, 3}
	_, page := decodePage(newer)
	_, _, batch := decodeBatch(newer)
	_, carry := decodeCarry(newer, 1, true)
	_, left := decodeSkipped(0, newer)
	for name, err := range map[string]error{"page": page, "batch": batch, "carry": carry, "left out": left} {
		if !errors.Is(err, ErrNewer) {
			t.Errorf("%s: %v, want ErrNewer", name, err)
		}
	}
}

// A record of a few bytes may claim to hold much data. The reader must not allocate memory for
// that claim.
func TestDecompress_OutputIsBounded(t *testing.T) {
	t.Parallel()
	bomb := append([]byte{formatZstd}, zstdWriter().EncodeAll(make([]byte, 64<<20), nil)...)
	if len(bomb) > 64<<10 {
		t.Fatalf("the compressed input has %d bytes, want at most 64 KB", len(bomb))
	}
	if _, err := decompress(bomb); !errors.Is(err, campaign.ErrRecord) {
		t.Errorf("decompressing to 64 MB: got %v, want an error", err)
	}
}

func TestParseStatus_RoundTrip(t *testing.T) {
	t.Parallel()
	for s := campaign.Pending; s <= campaign.Skipped; s++ {
		if got, ok := campaign.ParseStatus(s.String()); !ok || got != s {
			t.Errorf("%s is parsed as %s, %t; want the same status", s, got, ok)
		}
	}
	if _, ok := campaign.ParseStatus("sent"); ok {
		t.Error("the word sent was parsed as a status")
	}
	if got := campaign.Status(99).String(); got != "status(99)" {
		t.Errorf("status 99 is %q, want status(99)", got)
	}
}

func TestParseSubmission_ReadsEveryState(t *testing.T) {
	t.Parallel()
	u := uuid.MustParse("0191d7a0-0000-7000-8000-000000000001")
	short := shortUUID(u)
	for record, want := range map[string]submission{
		"r - 0 0 0 0 0 0 0 - - 0 3 0":                               {},
		"r tok 0 1700000000000 1 0 0 0 0 " + short + " login 0 3 1": {uuid: u.String(), at: milli(1_700_000_000_000)},
		"s tok 9 1700000000000 1 0 0 0 0 " + short + " login 0 3 1": {uuid: u.String(), at: milli(1_700_000_000_000), inFlight: true},
		"d tok 9 1700000000000 1 0 0 1 0 " + short + " login 0 3 1": {uuid: u.String(), at: milli(1_700_000_000_000), inFlight: true},
		"t " + short + " 1700000000000 tok 1":                       {uuid: u.String(), at: milli(1_700_000_000_000)},
		"t - 1700000000000 tok 1 0.1:1,0.2:1 abcdef":                {},
	} {
		if got, err := parseSubmission(record); err != nil || got != want {
			t.Errorf("%q reads as %+v, %v; want %+v", record, got, err, want)
		}
	}
	for _, record := range []string{"", " ", "x", "t", "s 1 2 3", "t ! 1 tok 1", "t AAAA 1 tok 1"} {
		if got, err := parseSubmission(record); err == nil {
			t.Errorf("%q reads as %+v, want an error", record, got)
		}
	}
}

func TestPlanSnapshot_StreamsRoundTrip(t *testing.T) {
	t.Parallel()
	f := campaign.PlanSnapshot{Accounts: []campaign.SnapshotAccount{{Name: "a", MaxRecipients: 5, BatchSize: 5}, {Name: "b", MaxRecipients: 5, BatchSize: 5}},
		SendingHours: []campaign.CountryHours{{Country: "KE", Hours: "08:00-18:00"}, {Country: "NG", Hours: "08:00-20:00"}}}
	record, err := encodeSnapshot(f)
	windows := encodeSendingHours(f.SendingHours)
	if err != nil || windows != "KE 08:00-18:00 NG 08:00-20:00" {
		t.Fatalf("encoded sending hours are %s, %v; want KE 08:00-18:00 NG 08:00-20:00", windows, err)
	}
	read, err := decodeSnapshot(string(record), windows)
	if err != nil || !cmp.Equal(f, read) {
		t.Errorf("%s reads as %+v, %v; want the encoded snapshot", record, read, err)
	}
	var got []string
	for n := range read.Streams() {
		stream, err := read.StreamOf(campaign.BatchName(n, 3))
		if err != nil || stream.Number != n {
			t.Fatalf("stream %d is %+v, %v; want the same number", n, stream, err)
		}
		got = append(got, stream.Account.Name+stream.SendingHours.Country)
	}
	if diff := cmp.Diff([]string{"a", "b", "aKE", "bKE", "aNG", "bNG"}, got); diff != "" {
		t.Error(diff)
	}
	for _, batch := range []string{"6.0", "-1.0", "x"} {
		if stream, err := read.StreamOf(batch); err == nil {
			t.Errorf("batch %s has stream %+v, want an error", batch, stream)
		}
	}

	// An earlier release wrote this snapshot, before sending hours were added. Each account is
	// one stream.
	before, err := decodeSnapshot(`{"cc":"KE","a":[{"n":"a","m":5},{"n":"b","m":1}]}`, "")
	if err != nil || before.Streams() != 2 || before.Stream(1).Account.Name != "b" || before.Stream(1).SendingHours != (campaign.CountryHours{}) {
		t.Errorf("got %+v, %v; want two streams, one for each account, at any hour", before, err)
	}
	if f, err := decodeSnapshot(`{"a":[]}`, "KE"); err == nil {
		t.Errorf("a country without hours decodes as %+v, want an error", f)
	}
}

func TestBatchName_StreamRoundTrip(t *testing.T) {
	t.Parallel()
	for _, a := range []int{0, 7, 255} {
		if got, err := campaign.BatchStream(campaign.BatchName(a, 12)); err != nil || got != a {
			t.Errorf("the name of a batch in stream %d gives stream %d, %v; want the same", a, got, err)
		}
	}
	for _, name := range []string{"", "0", "a.1", "1.b", "-1.0", PlanWork} {
		if got, err := campaign.BatchStream(name); err == nil {
			t.Errorf("%q reads as stream %d, want an error", name, got)
		}
	}
	for _, wake := range []string{"", "0.0", "0.0:", "0.0:x"} {
		if got, err := parseWake(wake); err == nil {
			t.Errorf("%q reads as %+v, want an error", wake, got)
		}
	}
}

func TestCompress_AddsAtMostOneByte(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 64, 65, 1000, maxPageRaw} {
		for _, b := range [][]byte{bytes.Repeat([]byte{'1'}, n), incompressibleBytes(n)} {
			out := compress(b)
			back, err := decompress(out)
			if err != nil || !bytes.Equal(back, b) || len(out) > n+1 {
				t.Errorf("%d bytes became %d, %v; want at most one byte more, and the same bytes after decompression", n, len(out), err)
			}
		}
	}
}

// incompressibleBytes returns bytes that do not compress.
func incompressibleBytes(n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		u := uuid.NewSHA1(uuid.NameSpaceOID, strconv.AppendInt(nil, int64(i), 10))
		b = append(b, u[:]...)
	}
	return b[:n]
}

func TestDigest_DiffersForDifferentContent(t *testing.T) {
	t.Parallel()
	sum := func(s campaign.Spec, inputs ...string) string {
		d, err := NewDigest(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range inputs {
			d.Add(x)
		}
		return d.Sum()
	}
	seen := map[string]string{}
	for name, got := range map[string]string{
		"no recipients": sum(campaign.Spec{Body: "b"}), "a": sum(campaign.Spec{Body: "b"}, "a"), "ab": sum(campaign.Spec{Body: "b"}, "ab"), "a b": sum(campaign.Spec{Body: "b"}, "a", "b"),
		"b a": sum(campaign.Spec{Body: "b"}, "b", "a"), "a and nothing": sum(campaign.Spec{Body: "b"}, "a", ""), "flash": sum(campaign.Spec{Body: "b", Flash: true}, "a"),
		"via": sum(campaign.Spec{Body: "b", Via: "x"}, "a"), "from": sum(campaign.Spec{Body: "b", From: "x"}, "a"),
		"transliterated": sum(campaign.Spec{Body: "b", Transliterate: true}, "a"),
	} {
		if other, ok := seen[got]; ok || len(got) != 43 {
			t.Errorf("%q and %q have the hash %q, want different hashes of 43 characters", name, other, got)
		}
		seen[got] = name
	}
	if first, second := sum(campaign.Spec{Body: "b"}, "a"), sum(campaign.Spec{Body: "b"}, "a"); first != second {
		t.Error("the same content has two hashes")
	}
}
